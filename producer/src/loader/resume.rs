//! Going on where an interrupted load ended: reads, keeps and removes the checkpoint.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio_util::sync::CancellationToken;

use super::account::{Account, FileMark};
use super::arrival::Arrival;
use super::checkpoint::Checkpoint;
use super::config::LoadConfig;
use super::input::{Identity, Input};
use super::progress::Progress;
use super::whole::with_suffix;
use crate::publisher::Publisher;

/// Between checkpoints while loading.
const INTERVAL: Duration = Duration::from_secs(1);
/// What the checkpoint is called after the first file.
const SUFFIX: &str = ".checkpoint";

pub(super) struct Resume {
    /// `None` where nothing that is loaded can be known again, or nothing is sent.
    path: Option<PathBuf>,
    identities: Vec<Option<Identity>>,
    /// Whether it is kept while loading, and not only written when that ends early.
    kept: bool,
    next: Instant,
    /// How to go on, for whoever interrupted.
    command: String,
    destination: String,
    /// Of earlier loads and this one.
    arrival: Arrival,
}

impl Resume {
    /// How far each input was settled before: nowhere, unless the load is to go on.
    pub(super) fn begin(
        config: &LoadConfig,
        inputs: &[Input],
    ) -> anyhow::Result<(Self, Vec<FileMark>)> {
        let identities: Vec<_> = inputs.iter().map(|input| input.identity.clone()).collect();
        let known = identities.iter().any(Option::is_some);
        if config.resume && !known {
            bail!("--resume needs a file: standard input cannot be read again from where it ended");
        }
        let destination = destination(config);
        let path = config
            .checkpoint
            .clone()
            .unwrap_or_else(|| with_suffix(&config.files[0], SUFFIX));
        let mut arrival = Arrival::default();
        let marks = if config.resume {
            let checkpoint = Checkpoint::read(&path)
                .with_context(|| format!("cannot go on from the checkpoint {}", path.display()))?;
            let checkpoint = if checkpoint.is_from_elsewhere(&destination) {
                eprintln!(
                    "the checkpoint {} is of a load to another topic or broker: loading from the beginning",
                    path.display()
                );
                Checkpoint::default()
            } else {
                checkpoint
            };
            let marks = inputs.iter().map(|input| mark(&checkpoint, input));
            let marks: Vec<FileMark> = marks.collect();
            if marks.iter().any(|mark| mark.lines > 0) {
                arrival = checkpoint.arrival;
            }
            marks
        } else {
            vec![FileMark::default(); inputs.len()]
        };
        let resume = Self {
            path: (known && !config.dry_run).then_some(path),
            identities,
            kept: config.resume,
            next: Instant::now() + INTERVAL,
            command: command(config),
            destination,
            arrival,
        };
        Ok((resume, marks))
    }

    /// Refuses to go on from a checkpoint when what it settles is not in the topic any more.
    pub(super) fn verify(
        &self,
        publisher: &Publisher,
        patience: Duration,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let verified = self.arrival.verify(publisher, patience, stop);
        verified.with_context(|| format!("cannot go on from the checkpoint {}", path.display()))
    }

    /// Removes an earlier checkpoint of the same files: what it counts as rejected is not kept any longer.
    pub(super) fn begin_anew(&self) -> anyhow::Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let identities = || self.identities.iter().flatten();
        let is_earlier = Checkpoint::read(path)
            .is_ok_and(|checkpoint| identities().any(|identity| checkpoint.knows_path(identity)));
        if is_earlier {
            Checkpoint::remove(path)
                .with_context(|| format!("the checkpoint {} cannot be removed", path.display()))?;
        }
        Ok(())
    }

    /// Whether it is time to call [`Resume::keep`].
    pub(super) fn is_due(&self) -> bool {
        self.kept && Instant::now() >= self.next
    }

    /// Writes the checkpoint. Failing to is said once and does not end the load.
    pub(super) fn keep(
        &mut self,
        account: &Account,
        cluster_id: Option<String>,
        progress: &Progress,
    ) {
        self.next = Instant::now() + INTERVAL;
        let checkpoint = self.checkpoint(account, cluster_id);
        if let Some(path) = &self.path
            && let Err(error) = checkpoint.write(path)
        {
            self.kept = false;
            progress.say(&format!(
                "the checkpoint {} cannot be written: {error}",
                path.display()
            ));
        }
    }

    /// Nothing is left to go on with.
    pub(super) fn complete(self, progress: &Progress) {
        if let Some(path) = &self.path
            && self.kept
            && let Err(error) = Checkpoint::remove(path)
        {
            progress.say(&format!(
                "the checkpoint {} cannot be removed: {error}",
                path.display()
            ));
        }
    }

    /// Writes the checkpoint and says how to go on.
    pub(super) fn interrupted(
        mut self,
        account: &Account,
        cluster_id: Option<String>,
        progress: &Progress,
    ) {
        let checkpoint = self.checkpoint(account, cluster_id);
        let Some(path) = &self.path else { return };
        if !checkpoint.is_worth_keeping() {
            progress.say("no line is settled; loading again begins from the start");
            return;
        }
        progress.say(&match checkpoint.write(path) {
            Ok(()) => format!("to continue: {}", self.command),
            Err(error) => format!(
                "the checkpoint {} cannot be written ({error}); loading again begins from the start and counts \
                 nothing twice",
                path.display()
            ),
        });
    }

    /// Writes nothing, and says how to go on from the checkpoint that is there, if one is.
    pub(super) fn unchanged(self, progress: &Progress) {
        let is_there = |path: &PathBuf| self.kept && path.exists();
        progress.say(&if self.path.as_ref().is_some_and(is_there) {
            format!("to continue from the last checkpoint: {}", self.command)
        } else {
            "loading again begins from the start and counts nothing twice".to_owned()
        });
    }

    fn checkpoint(&mut self, account: &Account, cluster_id: Option<String>) -> Checkpoint {
        // The marks first: what they settle has arrived by the time that is asked.
        let marks = account.marks();
        self.arrival
            .learn(cluster_id, &account.counts().last_offsets);
        let identities = self.identities.iter().map(Option::as_ref);
        Checkpoint::of(
            &self.destination,
            self.arrival.clone(),
            identities.zip(marks),
        )
    }
}

fn mark(checkpoint: &Checkpoint, input: &Input) -> FileMark {
    let Some(identity) = &input.identity else {
        return FileMark::default();
    };
    let mark = checkpoint.mark(identity);
    if mark.is_none() && checkpoint.knows_path(identity) {
        eprintln!(
            "{} has changed since the checkpoint: it is loaded from its beginning",
            input.name
        );
    }
    mark.unwrap_or_default()
}

fn destination(config: &LoadConfig) -> String {
    let publisher = &config.publisher;
    format!("{} {}", publisher.kafka_brokers, publisher.kafka_topic)
}

/// The command line that goes on, to the same topic. `--kafka-config` may hold a password and is not repeated.
fn command(config: &LoadConfig) -> String {
    let mut words = vec!["loader".to_owned(), "--resume".to_owned()];
    let publisher = &config.publisher;
    words.extend([
        "--kafka-brokers".to_owned(),
        quoted(&publisher.kafka_brokers),
    ]);
    words.extend(["--kafka-topic".to_owned(), quoted(&publisher.kafka_topic)]);
    if let Some(source) = &config.source {
        words.extend(["--source".to_owned(), quoted(source)]);
    }
    if let Some(path) = &config.checkpoint {
        words.extend(["--checkpoint".to_owned(), quoted(&path.to_string_lossy())]);
    }
    if let Some(path) = &config.rejects {
        words.extend(["--rejects".to_owned(), quoted(&path.to_string_lossy())]);
    }
    words.extend(
        config
            .files
            .iter()
            .map(|path| quoted(&path.to_string_lossy())),
    );
    words.join(" ")
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+=:,@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_where_a_shell_would_take_it_apart() {
        assert_eq!(quoted("a/b-c.ndjson"), "a/b-c.ndjson");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}

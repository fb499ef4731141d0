//! One load from beginning to end: takes line after line, and looks around between them.

use std::sync::Arc;
use std::time::Duration;

use common::order::FieldError;
use tokio_util::sync::CancellationToken;

use super::account::{Account, Place};
use super::config::LoadConfig;
use super::judge::{Judged, Line, RejectedLine};
use super::pace::Pace;
use super::parse::{Next, Piece, Pieces};
use super::progress::Progress;
use super::rejects::Rejects;
use super::resume::Resume;
use super::send::{Attempt, Sender, TICK, TooLarge};
use super::setup;
use super::stopped::Stopped;
use super::summary::{Ending, Summary};
use crate::publisher::PublishError;
use crate::request::Record;

/// Loads the files that `config` names. Blocks; `stop` ends it early, after what was sent is known.
///
/// # Errors
/// Nothing was begun: a file cannot be opened, or the settings do not fit together.
pub fn load(config: &LoadConfig, stop: CancellationToken) -> anyhow::Result<Summary> {
    let (mut load, pieces) = setup::begin(config, stop)?;
    let stopped = load.run(pieces).err();
    Ok(load.finish(stopped))
}

/// How long the client may take to clear up when everything it was given is settled.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// A load on its way.
pub(super) struct Load {
    pub(super) names: Vec<String>,
    pub(super) account: Arc<Account>,
    /// `None` where lines are only checked.
    pub(super) sender: Option<Sender>,
    pub(super) rejects: Rejects,
    pub(super) progress: Progress,
    pub(super) resume: Resume,
    pub(super) pace: Option<Pace>,
    pub(super) stop: CancellationToken,
    pub(super) bytes: u64,
    pub(super) resumed_lines: u64,
    pub(super) resumed_orders: u64,
}

impl Load {
    fn run(&mut self, pieces: Pieces) -> Result<(), Stopped> {
        let taken = self.take_all(pieces);
        // Whatever ended the taking, what was sent is waited for.
        let drained = self.drain();
        // Before all else: lines that count as rejected and are kept nowhere must not be behind a checkpoint.
        self.rejects.keep()?;
        taken.and(drained)
    }

    fn take_all(&mut self, mut pieces: Pieces) -> Result<(), Stopped> {
        loop {
            match pieces.next(TICK) {
                Next::Piece(Piece::Lines(judged)) => self.take_lines(judged)?,
                Next::Piece(Piece::EndOfFile) => self.account.end_of_file(),
                Next::Piece(Piece::Broken {
                    file,
                    after_line,
                    error,
                }) => return Err(Stopped::by(self.names[file].clone(), after_line, error)),
                Next::NotYet => {}
                Next::Ended => break,
            }
            self.look_around()?;
        }
        if self.account.is_complete() {
            Ok(())
        } else {
            Err(Stopped::Threads)
        }
    }

    fn take_lines(&mut self, judged: Judged) -> Result<(), Stopped> {
        let Judged {
            file,
            first_line,
            lines,
            bytes,
            ..
        } = judged;
        self.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        for (line, judged) in (first_line..).zip(lines) {
            let place = Place { file, line };
            match judged {
                Line::Order(record) => self.send(place, &record)?,
                Line::Blank => {
                    self.wait_for_room()?;
                    self.account.blank();
                }
                Line::Rejected(rejected) => {
                    self.wait_for_room()?;
                    self.account.rejected();
                    self.note(file, &rejected)?;
                }
            }
        }
        Ok(())
    }

    /// Lines that are not sent take room in the books too, behind one that is not settled.
    fn wait_for_room(&mut self) -> Result<(), Stopped> {
        while !self.account.wait_for_room(TICK) {
            self.look_around()?;
        }
        Ok(())
    }

    fn send(&mut self, place: Place, record: &Record) -> Result<(), Stopped> {
        self.keep_pace()?;
        loop {
            let Some(sender) = &mut self.sender else {
                self.account.accepted_unsent();
                return Ok(());
            };
            match sender.attempt(record, place) {
                Attempt::Sent => return Ok(()),
                Attempt::TooLarge => return self.note_too_large(place, &record.value),
                Attempt::NotYet => self.look_around()?,
            }
        }
    }

    fn keep_pace(&mut self) -> Result<(), Stopped> {
        let Some(pace) = &mut self.pace else {
            return Ok(());
        };
        let mut wait = pace.next_wait();
        while !wait.is_zero() {
            let part = wait.min(TICK);
            std::thread::sleep(part);
            wait -= part;
            self.look_around()?;
        }
        Ok(())
    }

    /// Between lines and while waiting: everything that must not wait for the end.
    fn look_around(&mut self) -> Result<(), Stopped> {
        self.resend()?;
        self.keep_checkpoint()?;
        if self.stop.is_cancelled() {
            return Err(Stopped::Asked);
        }
        Ok(())
    }

    /// Waits until everything that was sent is known.
    fn drain(&mut self) -> Result<(), Stopped> {
        while !self.account.wait_until_settled(TICK) {
            self.resend()?;
            self.keep_checkpoint()?;
        }
        Ok(())
    }

    /// What a checkpoint counts as rejected is in the file of rejected lines before.
    fn keep_checkpoint(&mut self) -> Result<(), Stopped> {
        if self.resume.is_due() {
            self.rejects.keep()?;
            let cluster_id = self.sender.as_ref().and_then(Sender::cluster_id);
            self.resume.keep(&self.account, cluster_id, &self.progress);
        }
        Ok(())
    }

    fn resend(&mut self) -> Result<(), Stopped> {
        let Some(sender) = &mut self.sender else {
            self.show(None);
            return Ok(());
        };
        let too_large = sender.resend();
        let patience = sender.check_patience();
        let waiting_for = if self.progress.is_due() {
            sender.waiting_for()
        } else {
            None
        };
        self.show(waiting_for.as_deref());
        for TooLarge { place, value } in too_large {
            self.note_too_large(place, &value)?;
        }
        Ok(patience?)
    }

    fn show(&mut self, waiting_for: Option<&str>) {
        if self.progress.is_due() {
            self.progress
                .update(self.account.counts().accepted, waiting_for);
        }
    }

    fn note(&mut self, file: usize, rejected: &RejectedLine) -> Result<(), Stopped> {
        let name = (self.names.len() > 1).then(|| self.names[file].as_str());
        if let Some(text) = self.rejects.note(name, rejected)? {
            self.progress.say(&text);
        }
        Ok(())
    }

    fn note_too_large(&mut self, place: Place, value: &[u8]) -> Result<(), Stopped> {
        let detail = format!("is {}", PublishError::TooLarge);
        let errors = vec![FieldError {
            pointer: String::new(),
            detail,
        }];
        let raw = String::from_utf8_lossy(value).into_owned();
        self.note(
            place.file,
            &RejectedLine {
                line: place.line,
                errors,
                raw,
            },
        )
    }

    fn finish(self, stopped: Option<Stopped>) -> Summary {
        let Self {
            account,
            sender,
            progress,
            resume,
            bytes,
            resumed_lines,
            resumed_orders,
            ..
        } = self;
        // Of milliseconds, divided: a duration's own seconds are printed with digits that nobody has measured.
        let milliseconds = u32::try_from(progress.elapsed().as_millis()).unwrap_or(u32::MAX);
        let seconds = f64::from(milliseconds) / 1_000.0;
        progress.finish();
        let cluster_id = sender.as_ref().and_then(Sender::cluster_id);
        if let Some(sender) = sender {
            sender.close(CLOSE_TIMEOUT);
        }
        match &stopped {
            None => resume.complete(&progress),
            Some(
                Stopped::Asked
                | Stopped::NoProgress(_)
                | Stopped::Unreadable { .. }
                | Stopped::Threads,
            ) => {
                resume.interrupted(&account, cluster_id, &progress);
            }
            // Lines count as rejected that are kept nowhere: what the last checkpoint says still stands.
            Some(Stopped::Rejects(_)) => resume.unchanged(&progress),
            // Another file is needed, which no checkpoint of this one knows.
            Some(Stopped::Broken { .. }) => {}
        }
        let counts = account.counts();
        Summary {
            accepted: counts.accepted,
            rejected: counts.rejected,
            lines: counts.lines,
            seconds,
            bytes,
            unknown: counts.open,
            resumed_lines,
            resumed_orders,
            last_offsets: counts.last_offsets,
            ending: stopped.map_or(Ending::Complete, |stopped| stopped.ending()),
        }
    }
}

//! Where rejected lines go: into a file, or the first few to whoever watches.
//!
//! However often a load is interrupted, its file holds every rejected line once. What a checkpoint settles was kept before it
//! ([`Rejects::keep`]); what was noted after it is judged again, so a load that goes on takes it out first.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;

use common::order::FieldError;
use serde::{Deserialize, Serialize};

use super::judge::RejectedLine;
use super::whole::replace;

/// How many are shown where no file was given.
const SHOWN: u64 = 10;
/// How many errors of one line are shown.
const ERRORS_SHOWN: usize = 3;
/// How much of the line itself is shown.
const CHARACTERS_SHOWN: usize = 80;

pub(super) enum Rejects {
    File(RejectsFile),
    Shown(u64),
}

pub(super) struct RejectsFile {
    out: BufWriter<File>,
    /// Not a pipe or a terminal, which hold nothing.
    is_regular: bool,
    /// Whether something was noted since it was last kept.
    is_ahead: bool,
    /// The first failure. What it lost is not told apart, so nothing is kept from then on.
    failure: Option<(io::ErrorKind, String)>,
}

/// One line of the rejects file.
#[derive(Serialize)]
struct Reject<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    line: u64,
    errors: &'a [FieldError],
    raw: &'a str,
}

/// What is read of such a line again.
#[derive(Deserialize)]
struct Noted {
    file: Option<String>,
    line: u64,
}

impl Rejects {
    /// A load that goes on where another ended adds to its file; `is_settled` then tells of a file's name (where there are
    /// several) and a line whether the checkpoint settles it.
    pub(super) fn open(
        path: Option<&Path>,
        is_settled: Option<impl Fn(Option<&str>, u64) -> bool>,
    ) -> io::Result<Self> {
        let Some(path) = path else {
            return Ok(Self::Shown(0));
        };
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let goes_on = is_settled.is_some();
        if let Some(is_settled) = is_settled {
            take_out_unsettled(path, is_settled).map_err(named)?;
        }
        RejectsFile::open(path, goes_on)
            .map(Self::File)
            .map_err(named)
    }

    /// Notes a line; `file` names its file where there are several. What is to be shown is returned.
    pub(super) fn note(
        &mut self,
        file: Option<&str>,
        rejected: &RejectedLine,
    ) -> io::Result<Option<String>> {
        let RejectedLine { line, errors, raw } = rejected;
        match self {
            Self::File(rejects) => {
                rejects.write(&Reject {
                    file,
                    line: *line,
                    errors,
                    raw,
                })?;
                Ok(None)
            }
            Self::Shown(count) => {
                *count += 1;
                Ok(match *count {
                    ..=SHOWN => Some(describe(file, rejected)),
                    count if count == SHOWN + 1 => {
                        Some("further rejected lines are counted and not shown; --rejects FILE keeps them".into())
                    }
                    _ => None,
                })
            }
        }
    }

    /// Makes sure that what was noted stays, whatever ends the process or the machine.
    pub(super) fn keep(&mut self) -> io::Result<()> {
        match self {
            Self::File(rejects) => rejects.keep(),
            Self::Shown(_) => Ok(()),
        }
    }
}

impl RejectsFile {
    fn open(path: &Path, goes_on: bool) -> io::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .append(goes_on)
            .truncate(!goes_on)
            .open(path)?;
        Ok(Self {
            is_regular: file.metadata()?.is_file(),
            out: BufWriter::new(file),
            is_ahead: false,
            failure: None,
        })
    }

    fn write(&mut self, reject: &Reject<'_>) -> io::Result<()> {
        self.is_ahead = true;
        let written = serde_json::to_writer(&mut self.out, reject)
            .map_err(io::Error::from)
            .and_then(|()| self.out.write_all(b"\n"));
        self.unless_failed(written)
    }

    fn keep(&mut self) -> io::Result<()> {
        let kept = if std::mem::take(&mut self.is_ahead) {
            self.sync()
        } else {
            Ok(())
        };
        self.unless_failed(kept)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.out.flush()?;
        if self.is_regular {
            self.out.get_ref().sync_data()?;
        }
        Ok(())
    }

    fn unless_failed(&mut self, outcome: io::Result<()>) -> io::Result<()> {
        if let Err(error) = &outcome {
            self.failure
                .get_or_insert_with(|| (error.kind(), error.to_string()));
        }
        match &self.failure {
            None => Ok(()),
            Some((kind, reason)) => Err(io::Error::new(*kind, reason.clone())),
        }
    }
}

/// Takes out of a file of rejected lines what its load noted after the checkpoint, the last of it perhaps in part. Lines
/// that are not of that kind stay.
fn take_out_unsettled(
    path: &Path,
    is_settled: impl Fn(Option<&str>, u64) -> bool,
) -> io::Result<()> {
    let path = match path.canonicalize() {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !path.is_file() {
        return Ok(());
    }
    let mut noted = BufReader::new(File::open(&path)?);
    replace(&path, |settled| {
        let mut line = Vec::new();
        while noted.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            let stays = serde_json::from_slice::<Noted>(&line)
                .map_or(true, |noted| is_settled(noted.file.as_deref(), noted.line));
            if stays {
                settled.write_all(&line)?;
            }
            line.clear();
        }
        Ok(())
    })
}

fn describe(file: Option<&str>, rejected: &RejectedLine) -> String {
    let place = match file {
        Some(file) => format!("{file}, line {}", rejected.line),
        None => format!("line {}", rejected.line),
    };
    let errors: Vec<_> = rejected
        .errors
        .iter()
        .take(ERRORS_SHOWN)
        .map(ToString::to_string)
        .collect();
    let more = rejected.errors.len().saturating_sub(ERRORS_SHOWN);
    let more = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    format!(
        "rejected {place}: {}{more}\n    {}",
        errors.join("; "),
        beginning(&rejected.raw)
    )
}

/// The beginning of a line, with what would move the cursor made visible.
fn beginning(raw: &str) -> String {
    let visible = |c: char| {
        if c.is_control() {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    };
    let beginning: String = raw.chars().take(CHARACTERS_SHOWN).map(visible).collect();
    let cut = if raw.chars().nth(CHARACTERS_SHOWN).is_some() {
        "…"
    } else {
        ""
    };
    beginning + cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(line: u64) -> RejectedLine {
        let errors = vec![FieldError {
            pointer: "/amount".into(),
            detail: "is wrong".into(),
        }];
        RejectedLine {
            line,
            errors,
            raw: "{\"a\":\u{1b}[31m".to_owned() + &"x".repeat(100),
        }
    }

    #[test]
    fn a_load_that_goes_on_finds_each_line_that_is_settled_and_no_other() {
        let path = std::env::temp_dir().join(format!("rejects-{}", uuid::Uuid::new_v4()));
        // Noted out of turn, by another program, and cut off by the end of the process.
        let settled = "{\"line\":3,\"errors\":[],\"raw\":\"é\"}\n";
        let foreign = "not ours\n";
        let of_a_file = "{\"file\":\"b\",\"line\":9,\"raw\":\"\"}\n";
        let later = "{\"line\":7,\"errors\":[],\"raw\":\"\"}\n";
        let before = format!("{later}{settled}{foreign}{of_a_file}{{\"line\":2,\"errors\":[],\"ra");
        std::fs::write(&path, before).unwrap();
        let is_settled = |file: Option<&str>, line| file.is_some() || line <= 5;
        let mut rejects = Rejects::open(Some(&path), Some(is_settled)).unwrap();
        rejects.note(None, &rejected(7)).unwrap();
        rejects.keep().unwrap();
        let after = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let kept = format!("{settled}{foreign}{of_a_file}");
        assert!(after.starts_with(&kept), "{after}");
        assert_eq!(after[kept.len()..].matches("\"line\":7").count(), 1);
        assert_eq!(after.lines().count(), 4);
    }

    #[test]
    fn the_first_ten_are_shown_and_then_it_is_said_that_there_are_more() {
        let mut rejects = Rejects::open(None, None::<fn(Option<&str>, u64) -> bool>).unwrap();
        let shown: Vec<_> = (1..=20)
            .filter_map(|line| rejects.note(None, &rejected(line)).unwrap())
            .collect();
        assert_eq!(shown.len(), 11);
        assert!(
            shown[0].starts_with("rejected line 1: /amount is wrong\n    {\"a\":\\u{1b}[31mxx"),
            "{}",
            shown[0]
        );
        assert!(shown[0].ends_with("x…"));
        assert!(shown[10].contains("--rejects"));
    }
}

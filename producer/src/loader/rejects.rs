//! Where rejected lines go: into a file, or the first few to whoever watches.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use common::order::FieldError;
use serde::Serialize;

use super::judge::RejectedLine;

/// How many are shown where no file was given.
const SHOWN: u64 = 10;
/// How many errors of one line are shown.
const ERRORS_SHOWN: usize = 3;
/// How much of the line itself is shown.
const CHARACTERS_SHOWN: usize = 80;

pub(super) enum Rejects {
    File(BufWriter<File>),
    Shown(u64),
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

impl Rejects {
    /// A load that goes on where another ended adds to its file.
    pub(super) fn open(path: Option<&Path>, resumed: bool) -> io::Result<Self> {
        let Some(path) = path else {
            return Ok(Self::Shown(0));
        };
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .append(resumed)
            .truncate(!resumed)
            .open(path)
            .map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            })?;
        Ok(Self::File(BufWriter::new(file)))
    }

    /// Notes a line; `file` names its file where there are several. What is to be shown is returned.
    pub(super) fn note(
        &mut self,
        file: Option<&str>,
        rejected: &RejectedLine,
    ) -> io::Result<Option<String>> {
        let RejectedLine { line, errors, raw } = rejected;
        match self {
            Self::File(out) => {
                serde_json::to_writer(
                    &mut *out,
                    &Reject {
                        file,
                        line: *line,
                        errors,
                        raw,
                    },
                )?;
                out.write_all(b"\n")?;
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

    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(out) => out.flush(),
            Self::Shown(_) => Ok(()),
        }
    }
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
    fn the_first_ten_are_shown_and_then_it_is_said_that_there_are_more() {
        let mut rejects = Rejects::open(None, false).unwrap();
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

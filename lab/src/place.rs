//! A directory of one's own below the test's: for a log, a record of the process, and what it writes.

use std::fs;
use std::path::{Path, PathBuf};

use crate::settings;

/// Lines of a log that are shown.
const TAIL: usize = 40;

/// Makes an empty directory whose name begins with `name`. `scripts/test` removes it at its end.
pub(crate) fn make(name: &str) -> PathBuf {
    let unique = uuid::Uuid::new_v4().simple().to_string();
    let place = settings::directory().join(format!("{name}-{}", &unique[..8]));
    fs::create_dir_all(&place).unwrap_or_else(|error| panic!("{}: {error}", place.display()));
    place
}

/// The last lines of a log, or why there are none.
pub(crate) fn log_tail(log: &Path) -> String {
    let text = match fs::read(log) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => return format!("{}: {error}", log.display()),
    };
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n");
    format!("--- the end of {}\n{tail}\n---", log.display())
}

//! A directory of one's own below the test's: for a log, a record of the process, and what it writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::settings;

/// Lines of a log that are shown.
const TAIL: usize = 40;

/// Makes an empty directory whose name begins with `name`. `scripts/test` removes it at its end.
///
/// # Panics
/// It cannot be made.
#[must_use]
pub fn make(name: &str) -> PathBuf {
    let unique = uuid::Uuid::new_v4().simple().to_string();
    let place = settings::directory().join(format!("{name}-{}", &unique[..8]));
    fs::create_dir_all(&place).unwrap_or_else(|error| panic!("{}: {error}", place.display()));
    place
}

/// Whether ends of logs are told when servers and services go.
static TOLD: AtomicBool = AtomicBool::new(true);

/// Who ends a test shows the ends of its logs, for what failed; a harness throws them away otherwise. A program without one
/// says here when nothing failed.
pub fn tell_logs(told: bool) {
    TOLD.store(told, Ordering::Relaxed);
}

/// Tells the end of a log to standard error.
pub(crate) fn tell_log(log: &Path) {
    if TOLD.load(Ordering::Relaxed) {
        eprintln!("{}", log_tail(log));
    }
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

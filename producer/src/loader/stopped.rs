//! Why a load ended before its files did, and how it is told.

use std::io;

use super::send::NoProgress;
use super::summary::Ending;

/// Why a load ended before its files did.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stopped {
    #[error("asked to stop")]
    Asked,
    #[error("{0}")]
    NoProgress(#[from] NoProgress),
    #[error("{file} is cut off or corrupt after line {after_line}: {error}")]
    Broken {
        file: String,
        after_line: u64,
        error: io::Error,
    },
    #[error("{file} cannot be read after line {after_line}: {error}")]
    Unreadable {
        file: String,
        after_line: u64,
        error: io::Error,
    },
    #[error("cannot write the rejected lines: {0}")]
    Rejects(#[from] io::Error),
    #[error("the threads that read the files ended unexpectedly")]
    Threads,
}

impl Stopped {
    pub(super) fn ending(&self) -> Ending {
        match self {
            Self::Asked => Ending::Interrupted,
            _ => Ending::Failed {
                reason: self.to_string(),
            },
        }
    }

    /// What the system says of a file is not the file's own fault.
    pub(super) fn by(file: String, after_line: u64, error: io::Error) -> Self {
        if error.raw_os_error().is_some() {
            Self::Unreadable {
                file,
                after_line,
                error,
            }
        } else {
            Self::Broken {
                file,
                after_line,
                error,
            }
        }
    }
}

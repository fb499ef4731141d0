//! How far an interrupted load came, in a file: each input by its identity, with the lines that were settled without a
//! gap. It is written whole or not at all.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::account::FileMark;
use super::arrival::Arrival;
use super::input::Identity;
use super::whole::{remove, replace};

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// Where the lines went: what was settled there is not settled elsewhere.
    destination: String,
    /// What is known of it besides its name.
    #[serde(default)]
    pub(super) arrival: Arrival,
    files: Vec<Entry>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    identity: Identity,
    #[serde(flatten)]
    mark: FileMark,
}

impl Checkpoint {
    /// Of the inputs that can be known again.
    pub(super) fn of<'a>(
        destination: &str,
        arrival: Arrival,
        files: impl Iterator<Item = (Option<&'a Identity>, FileMark)>,
    ) -> Self {
        let entries = files.filter_map(|(identity, mark)| {
            Some(Entry {
                identity: identity?.clone(),
                mark,
            })
        });
        Self {
            destination: destination.to_owned(),
            arrival,
            files: entries.collect(),
        }
    }

    /// The checkpoint at `path`; an empty one where there is none.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Whether it belongs to another destination.
    pub(super) fn is_from_elsewhere(&self, destination: &str) -> bool {
        !self.files.is_empty() && self.destination != destination
    }

    /// How far the file with exactly this identity came.
    pub(super) fn mark(&self, identity: &Identity) -> Option<FileMark> {
        self.files
            .iter()
            .find(|entry| entry.identity == *identity)
            .map(|entry| entry.mark)
    }

    /// Whether another version of the file is in it.
    pub(super) fn knows_path(&self, identity: &Identity) -> bool {
        self.files
            .iter()
            .any(|entry| entry.identity.path == identity.path)
    }

    /// Whether there is anything to go on from.
    pub(super) fn is_worth_keeping(&self) -> bool {
        self.files.iter().any(|entry| entry.mark.lines > 0)
    }

    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        replace(path, |out| {
            serde_json::to_writer(&mut *out, self)?;
            out.write_all(b"\n")
        })
    }

    pub(super) fn remove(path: &Path) -> io::Result<()> {
        match remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

//! A file or standard input: opened, recognised by its content, unpacked, and known again.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use flate2::bufread::MultiGzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};
use serde::{Deserialize, Serialize};
use uuid::{Uuid, uuid};

use crate::request::LineSource;

/// What decompression may take: xz -9 needs 65 MiB.
const XZ_MEMORY: u64 = 96 * 1024 * 1024;
const READ_BUFFER_BYTES: usize = 128 * 1024;
/// How much of a file's beginning is part of its identity.
const IDENTITY_BYTES: u64 = 64 * 1024;
/// Longest of the beginnings by which formats are recognised.
const MAGIC_BYTES: u64 = 6;

/// One input that can be read from its beginning.
pub(super) struct Input {
    /// As it is called in messages.
    pub(super) name: String,
    pub(super) source: LineSource,
    pub(super) is_standard_input: bool,
    /// `None` for what cannot be read twice.
    pub(super) identity: Option<Identity>,
    /// Whether lines should go on as soon as they arrive.
    pub(super) eager: bool,
    /// Bytes as stored, where they are known beforehand.
    pub(super) size: Option<u64>,
    stored: Box<dyn Read + Send>,
}

/// By which a file is known again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) path: PathBuf,
    size: u64,
    modified_ns: u64,
    /// Of the first bytes.
    fingerprint: String,
    /// Ids depend on it.
    source: String,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot open {path}: {error}")]
pub(super) struct CannotOpen {
    path: String,
    error: io::Error,
}

impl Input {
    /// Opens `path`, `-` for standard input. `source` is the name that ids are made from, where one was given.
    pub(super) fn open(path: &Path, source: Option<&str>) -> Result<Self, CannotOpen> {
        if path == Path::new("-") {
            return Ok(Self::standard_input(source));
        }
        let failed = |error| CannotOpen {
            path: path.display().to_string(),
            error,
        };
        Self::file(path, source).map_err(failed)
    }

    fn standard_input(source: Option<&str>) -> Self {
        Self {
            name: "standard input".into(),
            source: source.map_or_else(LineSource::unique, LineSource::named),
            is_standard_input: true,
            identity: None,
            eager: true,
            size: None,
            stored: Box::new(io::stdin()),
        }
    }

    fn file(path: &Path, source: Option<&str>) -> io::Result<Self> {
        let absolute = path.canonicalize()?;
        let file = File::open(&absolute)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        let source = source.map_or_else(|| absolute.to_string_lossy().into_owned(), str::to_owned);
        let (size, identity) = if metadata.is_file() {
            (
                Some(metadata.len()),
                Some(Identity::of(absolute, &metadata, &source)?),
            )
        } else {
            (None, None)
        };
        Ok(Self {
            name: path.display().to_string(),
            source: LineSource::named(&source),
            is_standard_input: false,
            eager: identity.is_none(),
            identity,
            size,
            stored: Box::new(file),
        })
    }

    /// Whether it is the file at `path`.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        let own = self.identity.as_ref().map(|identity| &identity.path);
        path.canonicalize()
            .is_ok_and(|absolute| own == Some(&absolute))
    }

    /// The lines' bytes, unpacked; `progress` counts the bytes as stored.
    pub(super) fn unpack(self, progress: Arc<AtomicU64>) -> io::Result<Box<dyn Read + Send>> {
        let mut stored = Counted {
            inner: self.stored,
            progress,
        };
        let mut beginning = Vec::new();
        (&mut stored)
            .take(MAGIC_BYTES)
            .read_to_end(&mut beginning)?;
        let packing = Packing::of(&beginning);
        let whole = Cursor::new(beginning).chain(stored);
        let buffered = BufReader::with_capacity(READ_BUFFER_BYTES, whole);
        Ok(match packing {
            // The reader of lines has a buffer of its own.
            Packing::None => Box::new(buffered.into_inner()),
            Packing::Gzip => Box::new(MultiGzDecoder::new(buffered)),
            Packing::Zstandard => Box::new(zstd::Decoder::with_buffer(buffered)?),
            Packing::Xz => {
                let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED)?;
                Box::new(XzDecoder::new_stream(buffered, stream))
            }
        })
    }
}

impl Identity {
    fn of(path: PathBuf, metadata: &std::fs::Metadata, source: &str) -> io::Result<Self> {
        /// Any UUID will do that never changes.
        const BEGINNINGS: Uuid = uuid!("b2d3ac0a-9ad0-5b6c-a5f3-5f2f4a1d8c03");
        let mut beginning = Vec::new();
        File::open(&path)?
            .take(IDENTITY_BYTES)
            .read_to_end(&mut beginning)?;
        let modified = metadata
            .modified()?
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Ok(Self {
            path,
            size: metadata.len(),
            modified_ns: u64::try_from(modified.as_nanos()).unwrap_or(u64::MAX),
            fingerprint: Uuid::new_v5(&BEGINNINGS, &beginning).to_string(),
            source: source.to_owned(),
        })
    }
}

/// How a file is packed, by how it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    None,
    Gzip,
    Zstandard,
    Xz,
}

impl Packing {
    fn of(beginning: &[u8]) -> Self {
        match beginning {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // A frame, or one to be skipped before it.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstandard,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            _ => Self::None,
        }
    }
}

/// Counts what is read.
struct Counted<R> {
    inner: R,
    progress: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.progress
            .fetch_add(u64::try_from(read).unwrap_or(u64::MAX), Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_recognised_by_its_beginning() {
        assert_eq!(Packing::of(b""), Packing::None);
        assert_eq!(Packing::of(b"{\"id\""), Packing::None);
        assert_eq!(Packing::of(&[0x1f, 0x8b, 8]), Packing::Gzip);
        assert_eq!(
            Packing::of(&zstd::encode_all(&b"x"[..], 1).unwrap()),
            Packing::Zstandard
        );
        assert_eq!(Packing::of(b"\xfd7zXZ\0rest"), Packing::Xz);
    }
}

//! Files that are written whole or not at all, whatever ends the process meanwhile.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// Puts what `write` writes in the place of what was at `path`.
pub(super) fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let temporary = with_suffix(path, &format!(".{}.new", std::process::id()));
    let mut out = BufWriter::new(File::create(&temporary)?);
    let replaced = write(&mut out)
        .and_then(|()| out.flush())
        .and_then(|()| out.get_ref().sync_all())
        .and_then(|()| fs::rename(&temporary, path));
    if replaced.is_err() {
        // The error that counts is the one before.
        drop(fs::remove_file(&temporary));
    }
    replaced
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

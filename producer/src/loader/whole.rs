//! Files that are written whole or not at all, whatever ends the process meanwhile.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// Puts what `write` writes in the place of what was at `path`. Who may read it stays the same.
pub(super) fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let temporary = with_suffix(path, &format!(".{}.new", std::process::id()));
    let mut out = BufWriter::new(File::create(&temporary)?);
    let replaced = keep_mode(path, out.get_ref())
        .and_then(|()| write(&mut out))
        .and_then(|()| out.flush())
        .and_then(|()| out.get_ref().sync_all())
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| keep_name(path));
    if replaced.is_err() {
        // The error that counts is the one before.
        drop(fs::remove_file(&temporary));
    }
    replaced
}

/// Removes the file for good.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    keep_name(path)
}

/// Before anything is in it.
fn keep_mode(path: &Path, replacement: &File) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(metadata) => replacement.set_permissions(metadata.permissions()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// A name is kept by the directory, which is written to the disk apart from the file.
fn keep_name(path: &Path) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    match File::open(directory).and_then(|directory| directory.sync_all()) {
        // The name has changed already. Whoever may write a directory need not be allowed to read it, and not every file
        // system can sync one: then it comes to the disk when the system writes it.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied
                    | io::ErrorKind::InvalidInput
                    | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        synced => synced,
    }
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_replaced_file_is_readable_by_the_same_as_before() {
        let path = std::env::temp_dir().join(format!("whole-{}", uuid::Uuid::new_v4()));
        fs::write(&path, "before").unwrap();
        for mode in [0o600, 0o640] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            replace(&path, |out| out.write_all(b"after")).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"after");
            let kept = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(kept & 0o777, mode);
        }
        remove(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_directory_that_cannot_be_synced_does_not_undo_what_is_in_it() {
        let synced = File::open("/proc").unwrap().sync_all();
        assert_eq!(synced.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        keep_name(Path::new("/proc/version")).unwrap();
        assert!(keep_name(Path::new("/nowhere/name")).is_err());
    }

    #[test]
    fn the_directory_of_a_name_without_one_is_the_current_one() {
        keep_name(Path::new("name")).unwrap();
    }
}

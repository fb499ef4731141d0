//! The file that keys are kept in: one a line, `name:role:sha256hex`; blank lines and lines that begin with `#` are left out. A
//! name may have several keys, so that one can be replaced while both are in use and stays the same caller. The hash is a
//! plain SHA-256, which is enough for keys made at random and would not be for passwords. What is wrong with a line is said
//! with its number and the rule, never with what it holds: someone may have put the key itself there.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Key, KeyName, Role};

/// More than any file of [`MAX_KEYS`] needs.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// All of them are compared with what each request presents.
const MAX_KEYS: usize = 1_000;

/// Why a file holds no keys that can be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("{path}: {error}", path = .path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error("{path}: line {line} {rule}", path = .path.display())]
    Line {
        path: PathBuf,
        line: usize,
        rule: &'static str,
    },
    #[error("{path} {rule}", path = .path.display())]
    File { path: PathBuf, rule: &'static str },
}

pub(super) fn read(path: &Path) -> Result<Arc<[Key]>, KeysError> {
    let failed = |error| KeysError::Read {
        path: path.to_owned(),
        error,
    };
    let mut text = Vec::new();
    let file = File::open(path).map_err(failed)?;
    let read = file.take(MAX_FILE_BYTES + 1).read_to_end(&mut text);
    read.map_err(failed)?;
    let refused = |rule| KeysError::File {
        path: path.to_owned(),
        rule,
    };
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(refused("is larger than 1 MiB"));
    }
    let text = String::from_utf8(text).map_err(|_| refused("is not UTF-8"))?;
    let keys = parse(&text).map_err(|BadLine { line, rule }| KeysError::Line {
        path: path.to_owned(),
        line,
        rule,
    })?;
    match keys.len() {
        0 => Err(refused("holds no key: nobody could come in")),
        1..=MAX_KEYS => Ok(keys.into()),
        _ => Err(refused("holds more than 1000 keys")),
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadLine {
    line: usize,
    rule: &'static str,
}

pub(super) fn parse(text: &str) -> Result<Vec<Key>, BadLine> {
    let mut keys: Vec<Key> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line_text = line.trim();
        if line_text.is_empty() || line_text.starts_with('#') {
            continue;
        }
        let bad = |rule| BadLine {
            line: index + 1,
            rule,
        };
        let key = parse_line(line_text).map_err(bad)?;
        let is_other = |earlier: &Key| earlier.name == key.name && earlier.role != key.role;
        if keys.iter().any(is_other) {
            return Err(bad("has the name of an earlier line and another role"));
        }
        if keys.iter().any(|earlier| earlier.digest == key.digest) {
            return Err(bad("has the hash of an earlier line"));
        }
        keys.push(key);
    }
    Ok(keys)
}

fn parse_line(line: &str) -> Result<Key, &'static str> {
    let mut fields = line.split(':').map(str::trim);
    let (Some(name), Some(role), Some(hash), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err("must be name:role:sha256hex");
    };
    let name = KeyName::parse(name)
        .ok_or("must begin with a name of 1 to 64 letters, digits, dots, underscores or hyphens")?;
    let (_, role) = Role::NAMES
        .into_iter()
        .find(|(name, _)| *name == role)
        .ok_or("must have one of the roles read, write, admin")?;
    let digest =
        digest(hash).ok_or("must end with the SHA-256 of the key as 64 hexadecimal digits")?;
    Ok(Key { name, role, digest })
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if hex.len() != 2 * digest.len() || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, position) in digest.iter_mut().zip((0..hex.len()).step_by(2)) {
        *byte = u8::from_str_radix(&hex[position..position + 2], 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `secret`.
    const HASH: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

    #[test]
    fn a_bad_line_is_named_by_number_and_rule_and_not_shown() {
        let good = format!("shop:write:{HASH}");
        for (line, rule) in [
            ("hunter2".to_owned(), "name:role:sha256hex"),
            (format!("{good}:x"), "name:role:sha256hex"),
            (format!("a hunter2:write:{HASH}"), "name of 1 to 64"),
            (format!(":write:{HASH}"), "name of 1 to 64"),
            (format!("a:hunter2:{HASH}"), "roles read, write, admin"),
            ("a:read:hunter2".to_owned(), "64 hexadecimal digits"),
            (format!("a:read:{}é", &HASH[..62]), "64 hexadecimal digits"),
            (
                format!("shop:read:{}", HASH.replace('2', "3")),
                "another role",
            ),
            (format!("b:read:{HASH}"), "hash of an earlier"),
        ] {
            let bad = parse(&format!("# one\n{good}\n{line}\n")).unwrap_err();
            assert_eq!(bad.line, 3, "{line}");
            assert!(bad.rule.contains(rule), "{line}: {}", bad.rule);
            assert!(!bad.rule.contains("hunter2"));
        }
    }
}

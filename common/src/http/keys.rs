//! API keys: a file of names, roles and hashes, and which of them a request presents. The keys themselves are nowhere: whoever
//! reads the file, or this process' memory, cannot use them.
//!
//! One key a line, `name:role:sha256hex`; blank lines and lines that begin with `#` are left out. A name may have several keys, so
//! that one can be replaced while both are in use and stays the same caller. The hash is a plain SHA-256,
//! which is enough for keys made at random and would not be for passwords. What is wrong with a line is said with its number
//! and the rule, never with what it holds: someone may have put the key itself there.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpMessage as _, HttpRequest};
use ctutils::CtEq as _;
use sha2::{Digest as _, Sha256};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// More than any file of [`MAX_KEYS`] needs.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// All of them are compared with what each request presents.
const MAX_KEYS: usize = 1_000;
const MAX_NAME_BYTES: usize = 64;

const X_API_KEY: &str = "x-api-key";
const BEARER: &str = "bearer";

/// What a key is called: for logs, for rate limits, and for the ids that follow from an `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyName(Arc<str>);

/// What a key's holder may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Read,
    Write,
    /// Both.
    Admin,
}

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Read,
    Write,
}

#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) name: KeyName,
    pub(super) role: Role,
    digest: [u8; 32],
}

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

/// What a request presents.
#[derive(Debug, Clone)]
pub(super) enum Presented {
    Nothing,
    /// Two keys, or none in a header that should hold one.
    Unreadable,
    Unknown,
    Known(Key),
}

/// The keys of a file as it was when it was last good.
#[derive(Debug)]
pub(super) struct Keys {
    path: PathBuf,
    current: RwLock<Arc<[Key]>>,
}

impl KeyName {
    /// Whose request this is; `None` where keys are not used, or not needed for it.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().cloned()
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let good = !text.is_empty() && text.len() <= MAX_NAME_BYTES && text.bytes().all(allowed);
        good.then(|| Self(text.into()))
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Role {
    const NAMES: [(&'static str, Self); 3] = [
        ("read", Self::Read),
        ("write", Self::Write),
        ("admin", Self::Admin),
    ];

    pub(super) fn may(self, need: Need) -> bool {
        match (self, need) {
            (Self::Admin, Need::Read | Need::Write)
            | (Self::Read, Need::Read)
            | (Self::Write, Need::Write) => true,
            (Self::Read, Need::Write) | (Self::Write, Need::Read) => false,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl Need {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

impl Keys {
    pub(super) fn read(path: &Path) -> Result<Self, KeysError> {
        let keys = read(path)?;
        tracing::info!(path = %path.display(), keys = keys.len(), "API keys are needed");
        Ok(Self {
            path: path.to_owned(),
            current: RwLock::new(keys),
        })
    }

    pub(super) fn presented(&self, headers: &HeaderMap) -> Presented {
        let key = match presented(headers) {
            Ok(Some(key)) => key,
            Ok(None) => return Presented::Nothing,
            Err(Unreadable) => return Presented::Unreadable,
        };
        let digest: [u8; 32] = Sha256::digest(key).into();
        let current = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        // All are compared, each in constant time: how long it takes tells nothing about any of them.
        let mut known = Presented::Unknown;
        for key in current.iter() {
            if key.digest.ct_eq(&digest).to_bool() {
                known = Presented::Known(key.clone());
            }
        }
        known
    }

    /// Reads the file again at each signal. One that cannot be used changes nothing: a slip while editing must not lock
    /// everyone out, nor let anyone in.
    pub(super) async fn reload_at(self: Arc<Self>, mut hangups: Signal) {
        while hangups.recv().await.is_some() {
            let path = self.path.clone();
            let Ok(again) = tokio::task::spawn_blocking(move || read(&path)).await else {
                return;
            };
            match again {
                Ok(keys) => {
                    tracing::info!(path = %self.path.display(), keys = keys.len(), "API keys were read again");
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = keys;
                }
                Err(error) => tracing::error!(%error, "the API keys from before stay in use"),
            }
        }
    }
}

/// SIGHUP, which without this would end the process.
pub(super) fn hangups() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

struct Unreadable;

/// The key in `X-API-Key`, else in `Authorization: Bearer`.
fn presented(headers: &HeaderMap) -> Result<Option<&[u8]>, Unreadable> {
    if let Some(key) = only(headers, X_API_KEY)? {
        return Ok(Some(key));
    }
    let Some(value) = only(headers, header::AUTHORIZATION.as_str())? else {
        return Ok(None);
    };
    let (scheme, key) = value.split_at(BEARER.len().min(value.len()));
    if scheme.eq_ignore_ascii_case(BEARER.as_bytes()) && key.starts_with(b" ") {
        Ok(Some(key.trim_ascii()))
    } else {
        Err(Unreadable)
    }
}

fn only<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a [u8]>, Unreadable> {
    let mut values = headers.get_all(name);
    let first = values.next();
    if values.next().is_some() {
        return Err(Unreadable);
    }
    Ok(first.map(|value| value.as_bytes().trim_ascii()))
}

fn read(path: &Path) -> Result<Arc<[Key]>, KeysError> {
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
struct BadLine {
    line: usize,
    rule: &'static str,
}

fn parse(text: &str) -> Result<Vec<Key>, BadLine> {
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
    use actix_web::test::TestRequest;

    use super::*;

    /// The hash of `secret`.
    const HASH: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

    fn keys(text: &str) -> Keys {
        Keys {
            path: PathBuf::new(),
            current: RwLock::new(parse(text).unwrap().into()),
        }
    }

    fn presented_with(keys: &Keys, headers: &[(&str, &str)]) -> Presented {
        let request = headers.iter().fold(TestRequest::get(), |request, header| {
            request.append_header(*header)
        });
        keys.presented(request.to_http_request().headers())
    }

    #[test]
    fn a_key_is_known_by_its_hash_in_either_header() {
        let keys = keys(&format!(
            "# shops\n\n shop.1 : write : {}\n",
            HASH.to_uppercase()
        ));
        for header in [
            ("authorization", "Bearer secret"),
            ("authorization", "bearer  secret "),
            ("x-api-key", "secret"),
        ] {
            let Presented::Known(key) = presented_with(&keys, &[header]) else {
                panic!("{header:?} is not known")
            };
            assert_eq!((key.name.as_str(), key.role), ("shop.1", Role::Write));
        }
    }

    #[test]
    fn what_is_not_one_known_key_is_told_apart() {
        let keys = keys(&format!("shop:write:{HASH}"));
        let with = |headers| presented_with(&keys, headers);
        assert!(matches!(with(&[]), Presented::Nothing));
        assert!(matches!(
            with(&[("x-api-key", "Secret")]),
            Presented::Unknown
        ));
        // The hash is no key.
        assert!(matches!(with(&[("x-api-key", HASH)]), Presented::Unknown));
        assert!(matches!(with(&[("x-api-key", "")]), Presented::Unknown));
        let basic = [("authorization", "Basic c2VjcmV0")];
        assert!(matches!(with(&basic), Presented::Unreadable));
        assert!(matches!(
            with(&[("authorization", "Bearer")]),
            Presented::Unreadable
        ));
        let twice = [("x-api-key", "secret"), ("x-api-key", "secret")];
        assert!(matches!(with(&twice), Presented::Unreadable));
    }

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

    #[test]
    fn a_role_may_do_what_it_is_called_and_admin_everything() {
        for (role, read, write) in [
            (Role::Read, true, false),
            (Role::Write, false, true),
            (Role::Admin, true, true),
        ] {
            assert_eq!((role.may(Need::Read), role.may(Need::Write)), (read, write));
        }
    }
}

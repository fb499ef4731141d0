//! API keys: names, roles and hashes, and which of them a request presents. The keys themselves are nowhere: whoever reads the
//! [`file`], or this process' memory, cannot use them.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpMessage as _, HttpRequest};
use ctutils::CtEq as _;
use sha2::{Digest as _, Sha256};
use tokio::signal::unix::{Signal, SignalKind, signal};

mod file;
mod role;

pub use file::KeysError;
pub(super) use role::{Need, Role};

const X_API_KEY: &str = "x-api-key";
const BEARER: &str = "bearer";
const MAX_NAME_BYTES: usize = 64;

/// What a key is called: for logs, for rate limits, and for the ids that follow from an `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyName(Arc<str>);

#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) name: KeyName,
    pub(super) role: Role,
    digest: [u8; 32],
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

impl Keys {
    pub(super) fn read(path: &Path) -> Result<Self, KeysError> {
        let keys = file::read(path)?;
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
            let Ok(again) = tokio::task::spawn_blocking(move || file::read(&path)).await else {
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

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    /// The hash of `secret`.
    const HASH: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

    fn keys(text: &str) -> Keys {
        Keys {
            path: PathBuf::new(),
            current: RwLock::new(file::parse(text).unwrap().into()),
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
}

//! What is kept: an answer's body in the forms in which it is sent, and what tells whether it still holds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::header::HeaderValue;
use bytes::Bytes;
use common::http::SharedRoom;
use metrics::histogram;
use moka::notification::RemovalCause;
use tokio::sync::OnceCell;

use super::Key;
use crate::compression::{self, Compressed, entity_tag, with_its_tag};
use crate::touches::{Slot, Tick};

/// An answer's body, and what tells it from another. A clone is the same answer.
///
/// All of a small one that is shared is one piece of memory: whoever sends it counts that piece's holders, which every core
/// does, and nothing else. The server library keeps an answer's headers for a while after it was sent: a large body's tag lies
/// elsewhere, so that it does not keep the body.
#[derive(Debug, Clone)]
pub struct Answer {
    pub body: Bytes,
    pub etag: HeaderValue,
    /// Whose order it is, if it is one.
    pub(super) user: Option<Slot>,
    /// Noted before it was read.
    pub(super) tick: Tick,
    loaded_at: Instant,
    /// How long that took.
    pub load_time: Duration,
    /// Where the body is worth compressing.
    pub large: Option<Arc<Large>>,
}

/// What there is of a large body alone.
#[derive(Debug, Default)]
pub struct Large {
    /// Made when it is first asked for; `None` in it where it does not pay.
    compressed: OnceCell<Option<Compressed>>,
    /// While clients are taking it.
    pub sending: SharedRoom,
}

impl Answer {
    pub(super) fn new(loaded: Loaded, tick: Tick, load_time: Duration) -> Self {
        let Loaded { body, user } = loaded;
        let large = (compression::most_bytes(body.len()) > 0).then(Arc::default);
        let (body, etag) = match large {
            Some(_) => {
                let etag = entity_tag(&body);
                // What it was printed into may be nearly twice as large.
                (body.into_boxed_slice().into(), etag)
            }
            None => with_its_tag(&body),
        };
        Self {
            large,
            body,
            etag,
            user,
            tick,
            loaded_at: Instant::now(),
            load_time,
        }
    }

    /// Whether one is a clone of the other.
    pub(super) fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self.etag.as_bytes(), other.etag.as_bytes())
    }

    /// The body in gzip with a tag of its own, where that is worth it: made once, for all who ask.
    pub async fn compressed(&self) -> Option<Compressed> {
        let make = || compression::gzip(self.body.clone(), self.etag.clone());
        let large = self.large.as_deref()?;
        large.compressed.get_or_init(make).await.clone()
    }

    /// With the room that its compressed form may come to need.
    pub(super) fn heap_bytes(&self) -> usize {
        self.body.len() + self.etag.len() + compression::most_bytes(self.body.len())
    }
}

/// What a load has found.
#[derive(Debug)]
pub struct Loaded {
    pub body: Vec<u8>,
    /// Whose order it is, if it is one: it holds as long as that user is not touched.
    pub user: Option<Slot>,
}

impl From<Vec<u8>> for Loaded {
    fn from(body: Vec<u8>) -> Self {
        Self { body, user: None }
    }
}

/// How long answers live, and what ends them. It is recorded at their end: a clock and a histogram at every hit would cost
/// more than the hit.
#[expect(clippy::needless_pass_by_value, reason = "moka hands it over")]
pub(super) fn record_age(_: Arc<Key>, answer: Answer, cause: RemovalCause) {
    let cause = match cause {
        RemovalCause::Size => "size",
        RemovalCause::Explicit => "outdated",
        RemovalCause::Replaced => "replaced",
        RemovalCause::Expired => "expired",
    };
    histogram!("query_api_cache_age_seconds", "end" => cause).record(answer.loaded_at.elapsed());
}

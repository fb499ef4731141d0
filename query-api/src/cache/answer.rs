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
use crate::compression::{self, Compressed, entity_tag};
use crate::touches::{Slot, Tick};

/// An answer's body, and what tells it from another.
#[derive(Debug)]
pub struct Answer {
    pub body: Bytes,
    pub etag: HeaderValue,
    /// Made when it is first asked for; `None` in it where it does not pay.
    compressed: OnceCell<Option<Compressed>>,
    /// Whose order it is, if it is one.
    pub(super) user: Option<Slot>,
    /// Noted before it was read.
    pub(super) tick: Tick,
    loaded_at: Instant,
    /// How long that took.
    pub load_time: Duration,
    /// While clients are taking it.
    pub sending: SharedRoom,
}

impl Answer {
    pub(super) fn new(loaded: Loaded, tick: Tick, load_time: Duration) -> Arc<Self> {
        let Loaded { body, user } = loaded;
        Arc::new(Self {
            etag: entity_tag(&body),
            body: body.into(),
            compressed: OnceCell::new(),
            user,
            tick,
            loaded_at: Instant::now(),
            load_time,
            sending: SharedRoom::default(),
        })
    }

    /// The body in gzip with a tag of its own, where that is worth it: made once, for all who ask.
    pub async fn compressed(&self) -> Option<&Compressed> {
        let make = || compression::gzip(self.body.clone(), self.etag.clone());
        self.compressed.get_or_init(make).await.as_ref()
    }

    /// With the room that its compressed form may come to need.
    pub(super) fn bytes(&self) -> usize {
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
#[expect(
    clippy::needless_pass_by_value,
    reason = "moka hands the last reference over"
)]
pub(super) fn record_age(_: Arc<Key>, answer: Arc<Answer>, cause: RemovalCause) {
    let cause = match cause {
        RemovalCause::Size => "size",
        RemovalCause::Explicit => "outdated",
        RemovalCause::Replaced => "replaced",
        RemovalCause::Expired => "expired",
    };
    histogram!("query_api_cache_age_seconds", "end" => cause).record(answer.loaded_at.elapsed());
}

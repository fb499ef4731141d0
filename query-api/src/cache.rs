//! Answers that are ready to send, as many as fit in a number of bytes. A missing one is loaded once, however many ask.
//!
//! Invariant: no answer is given that is older than what the asker has already been told ([`Tick`] it has seen), and none
//! that is older than the last change of its subject stays. A load may read before a change and end after it; so each
//! answer carries the tick that was noted before its snapshot, and is looked at against [`Touches`] whenever it is about
//! to be used. The cache itself is never told of a change.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::ids::{OrderId, UserId};
use common::order::ContentHash;
use metrics::{Counter, Histogram, counter, gauge, histogram};
use moka::future::Cache as Moka;
use moka::notification::RemovalCause;
use moka::ops::compute::Op;
use tokio::sync::OnceCell;

use crate::charts::Chart;
use crate::compression::{self, Compressed};
use crate::questions::Question;
use crate::touches::{Subject, Tick, Touches};

/// What moka and the allocator need for an entry beside its key and its bytes.
const ENTRY_OVERHEAD_BYTES: usize = 256;
/// How often a value that others loaded may turn out too old before one is loaded for this asker alone.
const MAX_SHARED_ATTEMPTS: usize = 3;

/// What an answer is the answer to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    Order(OrderId),
    /// The first page of a user's orders.
    OrdersOfUser {
        user_id: UserId,
        limit: u16,
    },
    /// The first page of all orders.
    NewestOrders {
        limit: u16,
    },
    Question(Question),
    Chart(Chart),
}

impl Key {
    fn subject(&self) -> Subject<'_> {
        match self {
            Self::Order(_) => Subject::Constant,
            Self::OrdersOfUser { user_id, .. } => Subject::User(user_id.as_str()),
            Self::NewestOrders { .. } | Self::Question(_) | Self::Chart(_) => Subject::Everything,
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Self::Order(order_id) => order_id.as_str().len(),
            Self::OrdersOfUser { user_id, .. } => user_id.as_str().len(),
            Self::NewestOrders { .. } | Self::Question(_) | Self::Chart(_) => 0,
        }
    }
}

/// An answer's body, and what tells it from another.
#[derive(Debug)]
pub struct Answer {
    pub body: Bytes,
    /// A strong entity tag, quoted.
    pub etag: Bytes,
    /// Made when it is first asked for; `None` in it where it does not pay.
    compressed: OnceCell<Option<Compressed>>,
    /// Noted before it was read.
    tick: Tick,
    loaded_at: Instant,
    /// How long that took.
    pub load_time: Duration,
}

impl Answer {
    fn new(body: Vec<u8>, tick: Tick, load_time: Duration) -> Arc<Self> {
        let etag = format!("\"{}\"", ContentHash::of(&body)).into();
        Arc::new(Self {
            body: body.into(),
            etag,
            compressed: OnceCell::new(),
            tick,
            loaded_at: Instant::now(),
            load_time,
        })
    }

    /// The body in gzip with a tag of its own, where that is worth it: made once, for all who ask.
    pub async fn compressed(&self) -> Option<&Compressed> {
        let make = || compression::gzip(self.body.clone(), self.etag.clone());
        self.compressed.get_or_init(make).await.as_ref()
    }

    /// With the room that its compressed form may come to need.
    fn bytes(&self) -> usize {
        self.body.len() + self.etag.len() + compression::most_bytes(self.body.len())
    }
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Cache,
    /// It was loaded for this asker.
    Load,
}

/// A load that gave no answer, and how old that is.
#[derive(Debug)]
pub struct Failed<E> {
    pub error: E,
    tick: Tick,
}

/// Answers by what they answer.
pub struct Cache {
    answers: Moka<Key, Arc<Answer>>,
    touches: Arc<Touches>,
    metrics: Metrics,
}

struct Metrics {
    hits: Counter,
    misses: Counter,
    outdated: Counter,
    load_seconds: Histogram,
}

impl Cache {
    #[must_use]
    pub fn new(capacity_bytes: u64, touches: Arc<Touches>) -> Self {
        let weigh = |key: &Key, answer: &Arc<Answer>| {
            let bytes = key.heap_bytes() + answer.bytes() + ENTRY_OVERHEAD_BYTES;
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        let requests =
            |result: &'static str| counter!("query_api_cache_requests_total", "result" => result);
        let metrics = Metrics {
            hits: requests("hit"),
            misses: requests("miss"),
            outdated: requests("outdated"),
            load_seconds: histogram!("query_api_cache_load_seconds"),
        };
        Self {
            answers: Moka::builder()
                .max_capacity(capacity_bytes)
                .weigher(weigh)
                .eviction_listener(record_age)
                .build(),
            touches,
            metrics,
        }
    }

    /// The answer to `key` for one who has seen `seen`; `load` reads it if it is not here. What `load` fails with is
    /// shared by all who waited for it, and nothing is kept.
    ///
    /// # Errors
    /// What `load` failed with.
    pub async fn answer<E, F>(
        &self,
        key: &Key,
        seen: Tick,
        load: impl Fn() -> F,
    ) -> Result<(Arc<Answer>, Origin), Arc<Failed<E>>>
    where
        E: Send + Sync + 'static,
        F: Future<Output = Result<Vec<u8>, E>>,
    {
        match self.answers.get(key).await {
            Some(answer) if self.holds(key, &answer) => {
                self.metrics.hits.increment(1);
                return Ok((answer, Origin::Cache));
            }
            Some(answer) => {
                self.metrics.outdated.increment(1);
                Box::pin(self.drop_answer(key, &answer)).await;
            }
            None => self.metrics.misses.increment(1),
        }
        // Boxed, so that the future of a hit, which is nearly all of them, is not as large as that of a load.
        Box::pin(self.load_for(key, seen, load)).await
    }

    async fn load_for<E, F>(
        &self,
        key: &Key,
        seen: Tick,
        load: impl Fn() -> F,
    ) -> Result<(Arc<Answer>, Origin), Arc<Failed<E>>>
    where
        E: Send + Sync + 'static,
        F: Future<Output = Result<Vec<u8>, E>>,
    {
        for _ in 0..MAX_SHARED_ATTEMPTS {
            match self.load_shared(key, load()).await {
                // Begun after what this asker has seen, it is good enough for him even if it was touched meanwhile.
                Ok((answer, origin)) if answer.tick >= seen || self.holds(key, &answer) => {
                    return Ok((answer, origin));
                }
                Err(failed) if failed.tick >= seen => return Err(failed),
                // Others began it too early: not finding an order then says nothing of now.
                Ok(_) | Err(_) => {}
            }
        }
        let answer = self.load(load()).await.map_err(Arc::new)?;
        Ok((answer, Origin::Load))
    }

    /// Joins a load of this key that is under way, or begins one. What was touched meanwhile does not stay.
    async fn load_shared<E>(
        &self,
        key: &Key,
        reading: impl Future<Output = Result<Vec<u8>, E>>,
    ) -> Result<(Arc<Answer>, Origin), Arc<Failed<E>>>
    where
        E: Send + Sync + 'static,
    {
        let entry = self.answers.entry_by_ref(key);
        let entry = entry.or_try_insert_with(self.load(reading)).await?;
        let origin = if entry.is_fresh() {
            Origin::Load
        } else {
            Origin::Cache
        };
        let answer = entry.into_value();
        if !self.holds(key, &answer) {
            self.drop_answer(key, &answer).await;
        }
        Ok((answer, origin))
    }

    /// Keeps an answer that was read after `tick` was noted.
    pub async fn keep(&self, key: Key, body: Vec<u8>, tick: Tick) {
        let answer = Answer::new(body, tick, Duration::ZERO);
        if self.holds(&key, &answer) {
            self.answers.insert(key, answer).await;
        }
    }

    /// The tick that a load has to note before it takes its snapshot.
    #[must_use]
    pub fn now(&self) -> Tick {
        self.touches.now()
    }

    /// Frees what [`Touches::forget`] has made worthless.
    pub fn clear(&self) {
        self.answers.invalidate_all();
    }

    /// Bytes in use, as far as moka has counted.
    #[must_use]
    pub fn weighted_bytes(&self) -> u64 {
        self.answers.weighted_size()
    }

    pub fn report(&self) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a gauge takes floats, and sizes stay far below 2⁵³"
        )]
        let (bytes, entries) = (
            self.answers.weighted_size() as f64,
            self.answers.entry_count() as f64,
        );
        gauge!("query_api_cache_bytes").set(bytes);
        gauge!("query_api_cache_entries").set(entries);
    }

    fn holds(&self, key: &Key, answer: &Answer) -> bool {
        self.touches.untouched_since(key.subject(), answer.tick)
    }

    /// `reading` has not begun: its snapshot is taken after the tick is noted.
    async fn load<E>(
        &self,
        reading: impl Future<Output = Result<Vec<u8>, E>>,
    ) -> Result<Arc<Answer>, Failed<E>> {
        let tick = self.now();
        let started = Instant::now();
        let body = reading.await.map_err(|error| Failed { error, tick })?;
        let load_time = started.elapsed();
        self.metrics.load_seconds.record(load_time);
        Ok(Answer::new(body, tick, load_time))
    }

    /// Drops `outdated` and nothing that came in its place.
    async fn drop_answer(&self, key: &Key, outdated: &Arc<Answer>) {
        let still_there = |entry: Option<moka::Entry<Key, Arc<Answer>>>| {
            let same = entry.is_some_and(|entry| Arc::ptr_eq(entry.value(), outdated));
            std::future::ready(if same { Op::Remove } else { Op::Nop })
        };
        self.answers
            .entry_by_ref(key)
            .and_compute_with(still_there)
            .await;
    }
}

/// How long answers live, and what ends them. It is recorded at their end: a clock and a histogram at every hit would cost
/// more than the hit.
#[expect(
    clippy::needless_pass_by_value,
    reason = "moka hands the last reference over"
)]
fn record_age(_: Arc<Key>, answer: Arc<Answer>, cause: RemovalCause) {
    let cause = match cause {
        RemovalCause::Size => "size",
        RemovalCause::Explicit => "outdated",
        RemovalCause::Replaced => "replaced",
        RemovalCause::Expired => "expired",
    };
    histogram!("query_api_cache_age_seconds", "end" => cause).record(answer.loaded_at.elapsed());
}

#[cfg(test)]
mod tests;

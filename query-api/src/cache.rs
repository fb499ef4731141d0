//! Answers that are ready to send, as many as fit in a number of bytes. A missing one is loaded once, however many ask.
//!
//! Invariant: no answer is given that is older than what the asker has already been told ([`Tick`] it has seen), and none
//! that is older than the last change of its subject stays. A load may read before a change and end after it; so each
//! answer carries the tick that was noted before its snapshot, and is looked at against [`Touches`] whenever it is about
//! to be used. The cache itself is never told of a change.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::ids::UserId;
use futures_util::FutureExt as _;
use futures_util::future::{Either, ready};
use metrics::{Counter, Histogram, counter, gauge, histogram};
use moka::future::Cache as Moka;
use moka::ops::compute::Op;

use crate::touches::{Slot, Subject, Tick, Touches};

mod answer;
mod key;

pub use answer::{Answer, Loaded};
pub use key::Key;

use answer::record_age;

/// What moka, the holders of a body and the allocator need for an entry beside its key and its answer: 310 as measured, by the
/// resident memory of 15,000 and of 139,000 orders.
const BOOKKEEPING_BYTES: usize = 320;
const ENTRY_BYTES: usize = size_of::<Key>() + size_of::<Answer>() + BOOKKEEPING_BYTES;
/// How often a value that others loaded may turn out too old before one is loaded for this asker alone.
const MAX_SHARED_ATTEMPTS: usize = 3;

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
    answers: Moka<Key, Answer>,
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
        let weigh = |key: &Key, answer: &Answer| {
            let bytes = ENTRY_BYTES + key.heap_bytes() + answer.heap_bytes();
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
    /// shared by all who waited for it, and nothing is kept. To be awaited at once: it has been looked for when this returns.
    ///
    /// # Errors
    /// What `load` failed with.
    pub fn answer<'a, E, L, F>(
        &'a self,
        key: &'a Key,
        seen: Tick,
        load: impl Fn() -> F + 'a,
    ) -> impl Future<Output = Result<(Answer, Origin), Arc<Failed<E>>>> + 'a
    where
        E: Send + Sync + 'static,
        L: Into<Loaded> + 'a,
        F: Future<Output = Result<L, E>> + 'a,
    {
        // Nearly every look-up is a hit, and ready at once. The future of moka's look-up and that of a load are large, and no
        // part of a hit's.
        let looked = pin!(self.answers.get(key)).now_or_never();
        match looked {
            Some(Some(answer)) if self.holds(key, &answer) => {
                Either::Left(ready(Ok(self.hit(answer))))
            }
            _ => Either::Right(Box::pin(self.look_or_load(looked, key, seen, load))),
        }
    }

    fn hit(&self, answer: Answer) -> (Answer, Origin) {
        self.metrics.hits.increment(1);
        (answer, Origin::Cache)
    }

    async fn look_or_load<E, L, F>(
        &self,
        looked: Option<Option<Answer>>,
        key: &Key,
        seen: Tick,
        load: impl Fn() -> F,
    ) -> Result<(Answer, Origin), Arc<Failed<E>>>
    where
        E: Send + Sync + 'static,
        L: Into<Loaded>,
        F: Future<Output = Result<L, E>>,
    {
        let unusable = match looked {
            Some(found) => found,
            // moka was in the middle of its upkeep, and it has forgotten who waits for that.
            None => {
                self.settle().await;
                match self.answers.get(key).await {
                    Some(answer) if self.holds(key, &answer) => return Ok(self.hit(answer)),
                    found => found,
                }
            }
        };
        match unusable {
            Some(outdated) => {
                self.metrics.outdated.increment(1);
                self.drop_answer(key, &outdated).await;
            }
            None => self.metrics.misses.increment(1),
        }
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
    async fn load_shared<E, L>(
        &self,
        key: &Key,
        reading: impl Future<Output = Result<L, E>>,
    ) -> Result<(Answer, Origin), Arc<Failed<E>>>
    where
        E: Send + Sync + 'static,
        L: Into<Loaded>,
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
    pub async fn keep(&self, key: Key, loaded: impl Into<Loaded>, tick: Tick) {
        let answer = Answer::new(loaded.into(), tick, Duration::ZERO);
        if self.holds(&key, &answer) {
            self.answers.insert(key, answer).await;
        }
    }

    /// To be noted with an order, whose user's touches end it.
    #[must_use]
    pub fn slot(&self, user_id: &UserId) -> Slot {
        self.touches.slot(user_id.as_str())
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

    /// Has moka count what was kept so far: it does that by and by.
    pub async fn settle(&self) {
        self.answers.run_pending_tasks().await;
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
        let subject = answer.user.map_or_else(|| key.subject(), Subject::Slot);
        self.touches.untouched_since(subject, answer.tick)
    }

    /// `reading` has not begun: its snapshot is taken after the tick is noted.
    async fn load<E, L>(
        &self,
        reading: impl Future<Output = Result<L, E>>,
    ) -> Result<Answer, Failed<E>>
    where
        L: Into<Loaded>,
    {
        let tick = self.now();
        let started = Instant::now();
        let loaded = reading.await.map_err(|error| Failed { error, tick })?;
        let load_time = started.elapsed();
        self.metrics.load_seconds.record(load_time);
        Ok(Answer::new(loaded.into(), tick, load_time))
    }

    /// Drops `outdated` and nothing that came in its place.
    async fn drop_answer(&self, key: &Key, outdated: &Answer) {
        let still_there = |entry: Option<moka::Entry<Key, Answer>>| {
            let same = entry.is_some_and(|entry| entry.value().is(outdated));
            std::future::ready(if same { Op::Remove } else { Op::Nop })
        };
        self.answers
            .entry_by_ref(key)
            .and_compute_with(still_there)
            .await;
    }
}

#[cfg(test)]
mod tests;

//! What the feed tells everybody after each look: how far it has seen, and whether it can see at all.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::header::HeaderValue;
use common::time::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::lag::Lag;
use crate::positions::Positions;
use crate::touches::Tick;

/// What was committed longer ago than this is in every answer, while the database can be reached; an answer that is older
/// says so.
pub const BOUND: Duration = Duration::from_millis(250);

/// Every commit up to `as_of` is in every answer that is given from now on.
#[derive(Debug, Clone)]
pub struct Seen {
    pub tick: Tick,
    /// By the database's clock.
    pub as_of: Timestamp,
    /// No later than `as_of`, by ours.
    pub looked_at: Instant,
    /// `as_of` as answers carry it, printed once for all of them.
    pub as_of_header: HeaderValue,
    pub positions: Arc<Positions>,
    pub lag: Arc<Lag>,
}

impl Seen {
    #[must_use]
    pub fn new(
        tick: Tick,
        as_of: Timestamp,
        looked_at: Instant,
        positions: Arc<Positions>,
        lag: Arc<Lag>,
    ) -> Self {
        Self {
            tick,
            as_of,
            looked_at,
            as_of_header: header(as_of.to_string().as_bytes()),
            positions,
            lag,
        }
    }

    fn copied(&self) -> Self {
        Self {
            as_of_header: header(self.as_of_header.as_bytes()),
            ..self.clone()
        }
    }
}

fn header(time: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(time).expect("a time is visible ASCII")
}

/// Whether what was seen at `looked_at` is older than [`BOUND`] at `now`: the database is away, or slow.
#[must_use]
pub fn is_stale(looked_at: Instant, now: Instant) -> bool {
    now.duration_since(looked_at) > BOUND
}

/// Whether the last look came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    Reachable,
    /// Answers are given from memory, and grow older.
    Away,
}

impl Database {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reachable => "reachable",
            Self::Away => "away",
        }
    }
}

/// How the aggregates stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Totals {
    Loaded,
    /// For the first time, or again because what was known could not be advanced.
    Loading,
}

/// What the feed knows of itself.
#[derive(Debug, Clone)]
pub struct Freshness {
    /// `None` before the first load. While totals are loaded again it stays where it was.
    pub seen: Option<Arc<Seen>>,
    pub database: Database,
    pub totals: Totals,
}

impl Freshness {
    /// With holders of its own.
    fn copied(&self) -> Self {
        Self {
            seen: self.seen.as_deref().map(|seen| Arc::new(seen.copied())),
            ..*self
        }
    }
}

impl Default for Freshness {
    fn default() -> Self {
        Self {
            seen: None,
            database: Database::Away,
            totals: Totals::Loading,
        }
    }
}

/// Where tasks hear of it.
pub type FreshnessReceiver = watch::Receiver<Freshness>;

/// Where answers look before they begin: what they say about their age must be read before anything that they say.
///
/// Each clone holds a copy of its own. It is looked at several times by each request and changes twenty times a second: were it
/// one for all workers, each look would take the lock and the counts of holders from another core.
#[derive(Debug)]
pub struct OwnFreshness(Mutex<Own>);

#[derive(Debug)]
struct Own {
    receiver: FreshnessReceiver,
    newest: Freshness,
}

impl OwnFreshness {
    #[must_use]
    pub fn new(mut receiver: FreshnessReceiver) -> Self {
        let newest = receiver.borrow_and_update().copied();
        Self(Mutex::new(Own { receiver, newest }))
    }

    /// Looks at the newest.
    pub fn look<T>(&self, at: impl FnOnce(&Freshness) -> T) -> T {
        let mut own = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Of a feed that has ended it is not known.
        if own.receiver.has_changed().unwrap_or(true) {
            let newest = own.receiver.borrow_and_update().copied();
            own.newest = newest;
        }
        at(&own.newest)
    }
}

impl Clone for OwnFreshness {
    fn clone(&self) -> Self {
        let own = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Self::new(own.receiver.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_clone_sees_the_newest_and_holds_a_copy_of_its_own() {
        let (publish, receiver) = watch::channel(Freshness::default());
        let first = OwnFreshness::new(receiver);
        let second = first.clone();
        let seen = |own: &OwnFreshness| own.look(|freshness| freshness.seen.clone());
        assert!(seen(&first).is_none());

        let as_of = Timestamp::parse("2026-01-02T03:04:05Z").unwrap();
        let published = Arc::new(Seen::new(
            Tick::default(),
            as_of,
            Instant::now(),
            Arc::default(),
            Arc::default(),
        ));
        publish.send_modify(|freshness| freshness.seen = Some(Arc::clone(&published)));
        let [one, other] = [&first, &second].map(|own| seen(own).unwrap());
        assert_eq!((one.as_of, other.as_of), (as_of, as_of));
        assert_eq!(one.as_of_header, published.as_of_header);
        assert!(!Arc::ptr_eq(&one, &other) && !Arc::ptr_eq(&one, &published));

        publish.send_modify(|freshness| freshness.database = Database::Reachable);
        drop(publish);
        // What was published before the feed ended, too.
        assert_eq!(
            second.look(|freshness| freshness.database),
            Database::Reachable
        );
    }
}

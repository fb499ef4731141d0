//! What the feed tells everybody after each look: how far it has seen, and whether it can see at all.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::HeaderValue;
use bytes::Bytes;
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
            as_of_header: HeaderValue::from_maybe_shared(Bytes::from(as_of.to_string()))
                .expect("a time is visible ASCII"),
            positions,
            lag,
        }
    }
}

/// Whether what was seen at `looked_at` is older than [`BOUND`] by now: the database is away, or slow.
#[must_use]
pub fn is_stale(looked_at: Instant) -> bool {
    looked_at.elapsed() > BOUND
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

impl Default for Freshness {
    fn default() -> Self {
        Self {
            seen: None,
            database: Database::Away,
            totals: Totals::Loading,
        }
    }
}

/// Where answers look before they begin: what they say about their age must be read before anything that they say.
pub type FreshnessReceiver = watch::Receiver<Freshness>;

//! The change feed: looks every [`INTERVAL`] at what was committed, advances the aggregates by what was touched, marks
//! the touches, and then tells everybody how far it has seen — in this order, so that whoever knows of a change never
//! meets an answer without it.
//!
//! It goes on only over batches that follow each other without a gap. At a gap what is in memory is worth nothing: all of
//! it goes, and everything is loaded again. When the database is away it keeps what it knows and tries again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use common::retry::Backoff;
use common::time::Timestamp;
use metrics::{counter, gauge, histogram};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_postgres::Config;
use tokio_util::sync::CancellationToken;

use crate::analytics::{Live, StatsByCurrency};
use crate::cache::Cache;
use crate::freshness::{Database, Freshness, Seen, Totals};
use crate::positions::{Gap, Positions};
use crate::repo::{Advance, ChangeReader, Identity, Look, RepoError, Stand};
use crate::touches::Touches;

/// Between two looks. With the look itself and what follows it, it makes the bound on staleness.
pub const INTERVAL: Duration = Duration::from_millis(50);
/// A look that takes longer has met a connection that nobody answers any more. Above any statement's own timeout.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// For connecting, and for loading everything.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const LOAD_TIMEOUT: Duration = Duration::from_secs(180);
/// Between attempts to reach a database that is away: half a second is the most that a recovery waits for the feed.
const FIRST_RETRY: Duration = Duration::from_millis(50);
const MAX_RETRY: Duration = Duration::from_millis(500);
/// Gauges that nobody reads more often.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
enum FeedError {
    #[error(transparent)]
    Repo(#[from] RepoError),
    #[error("the database did not answer within {0:?}")]
    Silent(Duration),
}

/// What the next look is compared with.
struct Known {
    identity: Identity,
    positions: Arc<Positions>,
    as_of: Timestamp,
}

/// The task that follows the database.
pub struct Feed {
    database: Config,
    live: Arc<Live>,
    touches: Arc<Touches>,
    cache: Arc<Cache>,
    freshness: watch::Sender<Freshness>,
    known: Option<Known>,
    away_since: Option<Instant>,
    backoff: Backoff,
}

impl Feed {
    #[must_use]
    pub fn new(
        database: Config,
        live: Arc<Live>,
        touches: Arc<Touches>,
        cache: Arc<Cache>,
        freshness: watch::Sender<Freshness>,
    ) -> Self {
        let backoff = Backoff::new(FIRST_RETRY, MAX_RETRY);
        Self {
            database,
            live,
            touches,
            cache,
            freshness,
            known: None,
            away_since: None,
            backoff,
        }
    }

    /// Follows the database until `stop`; nothing else ends it.
    pub async fn run(mut self, stop: CancellationToken) {
        let followed = async {
            loop {
                let error = match self.follow().await {
                    Ok(never) => match never {},
                    Err(error) => error,
                };
                self.is_away(&error);
                tokio::time::sleep(self.backoff.next_wait()).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = followed => {}
        }
    }

    async fn follow(&mut self) -> Result<std::convert::Infallible, FeedError> {
        let mut reader = within(CONNECT_TIMEOUT, ChangeReader::connect(&self.database)).await?;
        let identity = within(LOOK_TIMEOUT, reader.identity()).await?;
        if self
            .known
            .as_ref()
            .is_some_and(|known| known.identity != identity)
        {
            self.forget(&Gap::OtherDatabase);
        }
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reported = Instant::now();
        loop {
            interval.tick().await;
            let started = Instant::now();
            match &self.known {
                None => self.load(&mut reader, identity.clone()).await?,
                Some(known) => {
                    let positions = Arc::clone(&known.positions);
                    let look = within(LOOK_TIMEOUT, reader.look(&positions)).await?;
                    self.take(look, &positions, started);
                }
            }
            self.is_back();
            histogram!("query_api_feed_look_seconds").record(started.elapsed());
            if reported.elapsed() >= REPORT_INTERVAL {
                reported = Instant::now();
                self.report();
            }
        }
    }

    /// Reads everything and answers from that.
    async fn load(
        &mut self,
        reader: &mut ChangeReader,
        identity: Identity,
    ) -> Result<(), FeedError> {
        let started = Instant::now();
        let snapshot = within(LOAD_TIMEOUT, reader.snapshot()).await?;
        let Stand {
            as_of,
            positions,
            lag,
        } = snapshot.stand;
        let positions = Arc::new(positions);
        let summary = snapshot.analytics.summary();
        self.live.replace(Some(snapshot.analytics));
        // What was read from the database since the gap may lack what was committed before this snapshot.
        let tick = self.touches.forget();
        self.cache.clear();
        self.known = Some(Known {
            identity,
            positions: Arc::clone(&positions),
            as_of,
        });
        self.publish(Seen::new(tick, as_of, started, positions, Arc::new(lag)));
        tracing::info!(
            order.count = summary.order_count,
            user.count = summary.user_count,
            elapsed_ms = started.elapsed().as_millis(),
            "all totals are loaded"
        );
        Ok(())
    }

    /// `started` is before the look.
    fn take(&mut self, look: Look, known: &Arc<Positions>, started: Instant) {
        match look {
            Look::Still(stand) => {
                let unchanged = **known == stand.positions;
                let positions = if unchanged {
                    Arc::clone(known)
                } else {
                    Arc::new(stand.positions)
                };
                let (as_of, lag) = (stand.as_of, Arc::new(stand.lag));
                self.seen(Seen::new(
                    self.touches.now(),
                    as_of,
                    started,
                    positions,
                    lag,
                ));
            }
            Look::Moved(advance) => self.advance(advance, started),
            Look::Gap(gap) => self.forget(&gap),
        }
    }

    fn advance(&mut self, advance: Advance, started: Instant) {
        let Advance {
            stand,
            user_ids,
            user_stats,
            hours,
            sales,
            dead_letters,
        } = advance;
        let mut by_user: HashMap<&str, StatsByCurrency> = user_ids
            .iter()
            .map(|user_id| (user_id.as_str(), Vec::new()))
            .collect();
        for (user_id, currency, stats) in &user_stats {
            by_user
                .entry(user_id)
                .or_default()
                .push((*currency, *stats));
        }
        self.live.advance(|analytics| {
            for (user_id, stats) in by_user {
                analytics.replace_user(user_id, stats);
            }
            analytics.replace_hours(&hours, sales);
            analytics.add_dead_letters(dead_letters);
        });
        let tick = self
            .touches
            .mark(user_ids.iter().map(String::as_str), hours);
        let (positions, lag) = (Arc::new(stand.positions), Arc::new(stand.lag));
        self.seen(Seen::new(tick, stand.as_of, started, positions, lag));
    }

    fn seen(&mut self, seen: Seen) {
        if let Some(known) = &mut self.known {
            known.positions = Arc::clone(&seen.positions);
            known.as_of = seen.as_of;
        }
        self.publish(seen);
    }

    fn publish(&self, seen: Seen) {
        let freshness = Freshness {
            seen: Some(Arc::new(seen)),
            database: Database::Reachable,
            totals: Totals::Loaded,
        };
        self.freshness.send_replace(freshness);
    }

    /// Nothing in memory is answered from any more.
    fn forget(&mut self, gap: &Gap) {
        tracing::warn!(reason = %gap, "what is in memory is dropped and loaded again");
        counter!("query_api_feed_gaps_total").increment(1);
        self.known = None;
        self.freshness
            .send_modify(|freshness| freshness.totals = Totals::Loading);
        self.live.replace(None);
        self.touches.forget();
        self.cache.clear();
    }

    fn is_away(&mut self, error: &FeedError) {
        if self.away_since.is_none() {
            self.away_since = Some(Instant::now());
            tracing::warn!(%error, "the database is away: answers come from memory and grow older");
            self.freshness
                .send_modify(|freshness| freshness.database = Database::Away);
        }
        self.report();
    }

    fn is_back(&mut self) {
        if let Some(since) = self.away_since.take() {
            tracing::info!(
                away_ms = since.elapsed().as_millis(),
                "the database is back"
            );
        }
        self.backoff.reset();
    }

    fn report(&self) {
        if let Some(known) = &self.known {
            let age_micros = Timestamp::now()
                .as_micros()
                .saturating_sub(known.as_of.as_micros());
            let age = Duration::from_micros(u64::try_from(age_micros).unwrap_or(0));
            gauge!("query_api_feed_age_seconds").set(age.as_secs_f64());
        }
        self.cache.report();
    }
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, RepoError>>,
) -> Result<T, FeedError> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(FeedError::Silent(limit)),
    }
}

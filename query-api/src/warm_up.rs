//! Before the service says that it is ready: the newest orders and the pages of the most active users are in memory.
//!
//! Bounded in time and in bytes, and a courtesy only: what it could not load is loaded when it is asked for.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::ids::UserId;
use common::time::Timestamp;
use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::analytics::{Analytics, Live};
use crate::cache::{Cache, Key, Loaded};
use crate::freshness::FreshnessReceiver;
use crate::repo::{OrderNo, Repo, RepoError};
use crate::views::OrdersPage;

/// When readiness comes, whatever is still missing.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Of the cache's bytes, what the newest orders and the users' pages may take.
const ORDERS_SHARE: u64 = 2;
const PAGES_SHARE: u64 = 4;
/// Read by one statement.
const ORDERS_AT_ONCE: usize = 500;
const MAX_BYTES_AT_ONCE: usize = 8 * 1024 * 1024;
/// Statements at once, of each of the two kinds.
const CONCURRENCY: usize = 2;
const ACTIVE_USERS: usize = 200;
/// The limit that is asked for where nobody names one.
const PAGE_LIMIT: u16 = 50;

/// Whether the warm-up is over.
#[derive(Debug, Clone, Default)]
pub struct Warmth(Arc<AtomicBool>);

impl Warmth {
    #[must_use]
    pub fn is_warm(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What fills the cache.
pub struct WarmUp {
    pub repo: Repo,
    pub live: Arc<Live>,
    pub cache: Arc<Cache>,
    pub cache_bytes: u64,
    pub orders: u32,
    pub warmth: Warmth,
}

impl WarmUp {
    /// Waits for the aggregates, fills the cache, and says so; or ends early at `stop`.
    pub async fn run(self, freshness: FreshnessReceiver, stop: CancellationToken) {
        if stop
            .run_until_cancelled(self.fill(freshness))
            .await
            .is_none()
        {
            tracing::debug!("stopped before the cache was warm");
        }
    }

    async fn fill(&self, mut freshness: FreshnessReceiver) {
        if freshness
            .wait_for(|freshness| freshness.seen.is_some())
            .await
            .is_err()
        {
            return;
        }
        let started = Instant::now();
        let filled =
            tokio::time::timeout(TIMEOUT, async { tokio::join!(self.orders(), self.pages()) })
                .await;
        match filled {
            Ok((Ok(()), ())) => {}
            Ok((Err(error), ())) => {
                tracing::warn!(%error, "not all of the newest orders could be loaded")
            }
            Err(_) => {
                tracing::warn!("the warm-up took too long: the rest is loaded when it is asked for")
            }
        }
        self.warmth.0.store(true, Ordering::Release);
        self.cache.settle().await;
        let elapsed_ms = started.elapsed().as_millis();
        tracing::info!(
            elapsed_ms,
            cache.bytes = self.cache.weighted_bytes(),
            "the cache is warm"
        );
    }

    async fn orders(&self) -> Result<(), RepoError> {
        let numbers = self.repo.newest_order_numbers(self.orders.into()).await?;
        let chunks: Vec<Vec<OrderNo>> = numbers
            .chunks(ORDERS_AT_ONCE)
            .map(<[OrderNo]>::to_vec)
            .collect();
        let mut loads = stream::iter(chunks)
            .map(|numbers| self.load_orders(numbers))
            .buffered(CONCURRENCY);
        let mut bytes = 0;
        while let Some(loaded) = loads.next().await {
            bytes += loaded?;
            if bytes >= self.cache_bytes / ORDERS_SHARE {
                break;
            }
        }
        Ok(())
    }

    /// Returns how many bytes they are.
    async fn load_orders(&self, numbers: Vec<OrderNo>) -> Result<u64, RepoError> {
        let tick = self.cache.now();
        let mut loaded = Vec::with_capacity(numbers.len());
        let mut bytes = 0;
        let take = |stored: crate::repo::StoredOrder| {
            let json = stored.order.to_json();
            bytes += json.len();
            if let Some(order_id) = stored.order.order_id {
                let user = Some(self.cache.slot(&stored.order.user_id));
                loaded.push((Key::Order(order_id), Loaded { body: json, user }));
            }
            if bytes < MAX_BYTES_AT_ONCE {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        };
        self.repo.orders_by_number(&numbers, take).await?;
        for (key, order) in loaded {
            self.cache.keep(key, order, tick).await;
        }
        Ok(u64::try_from(bytes).unwrap_or(u64::MAX))
    }

    async fn pages(&self) {
        let most_active = |analytics: &Analytics| analytics.most_active(ACTIVE_USERS);
        let users = self.live.read(most_active).unwrap_or_default();
        let mut loads = stream::iter(users)
            .map(|user_id| self.load_page(user_id))
            .buffered(CONCURRENCY);
        let mut bytes = 0;
        while let Some(loaded) = loads.next().await {
            bytes += loaded;
            if bytes >= self.cache_bytes / PAGES_SHARE {
                break;
            }
        }
    }

    /// Returns how many bytes it is; 0 where it could not be loaded.
    async fn load_page(&self, user_id: Arc<str>) -> u64 {
        let Ok(user_id) = UserId::parse(&user_id) else {
            return 0;
        };
        let key = Key::OrdersOfUser {
            user_id: user_id.clone(),
            limit: PAGE_LIMIT,
        };
        let load = || async {
            let mut page = OrdersPage::of_user(PAGE_LIMIT);
            let rows = page.rows_to_read();
            let newest = (Timestamp::MAX, OrderNo::MAX);
            self.repo
                .orders_of_user(&user_id, newest, rows, |stored| page.take(stored))
                .await?;
            Ok::<_, RepoError>(page.into_json())
        };
        match self.cache.answer(&key, self.cache.now(), load).await {
            Ok((answer, _)) => u64::try_from(answer.body.len()).unwrap_or(u64::MAX),
            Err(failed) => {
                tracing::debug!(error = %failed.error, "a user's page could not be loaded");
                0
            }
        }
    }
}

//! Every SELECT, one function a statement. It knows the tables and nothing of who asks or what is cached.
//!
//! [`Repo`] answers single questions on a small pool; [`ChangeReader`] follows what is committed, on a connection of its
//! own. Neither can write: their sessions are read-only.

mod changes;
mod orders;
mod periods;
mod rows;
mod scans;

use std::sync::Arc;
use std::time::Duration;

use common::pg::{self, PoolSettings};
use deadpool_postgres::{BuildError, Client, Pool, PoolError};
use tokio_postgres::Config;

pub use changes::{Advance, ChangeReader, Identity, Look, Snapshot, Stand};
pub use orders::{OrderNo, StoredOrder};
pub use periods::{Hours, Ordered};
use scans::Scans;

use crate::gate::Gate;

/// No statement here looks up more than a page of rows by an index: one that takes this long has met a database in
/// trouble.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(2);

/// For a connection and the statement: a connection that nobody answers any more keeps nobody waiting longer.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(3);
/// Who waits for a connection is sent away when so many wait already for each there is.
const WAITING_PER_CONNECTION: usize = 64;
/// As `pg_stat_activity` shows these sessions.
const APPLICATION_NAME: &str = "query-api";

#[derive(Debug, thiserror::Error)]
pub enum RepoError {
    /// No connection, none free in time, or the statement did not finish: it may work a little later.
    #[error("the database did not answer: {}", Causes(.0.as_ref()))]
    Unavailable(Box<dyn std::error::Error + Send + Sync>),
    #[error("the database did not answer within {0:?}")]
    Silent(Duration),
    /// More wait for it already than it will get to soon.
    #[error("too many ask the database at once")]
    Crowded,
    /// A row that no writer of ours stores.
    #[error("a row cannot be read: {0}")]
    Corrupt(String),
}

/// The driver's errors name only their kind; what happened is in their sources.
struct Causes<'a>(&'a (dyn std::error::Error + Send + Sync));

impl std::fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl From<PoolError> for RepoError {
    fn from(error: PoolError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

impl From<tokio_postgres::Error> for RepoError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

/// Looks up orders.
#[derive(Debug, Clone)]
pub struct Repo {
    pool: Pool,
    max_waiting: usize,
    /// Anybody may ask for ids that nobody has ever seen: they never hold the last connection of several, which lists need.
    single_orders: Arc<Gate>,
    scans: Scans,
}

impl Repo {
    /// Connects when first asked.
    ///
    /// # Errors
    /// The pool's settings do not fit together.
    pub fn new(
        database: Config,
        connections: usize,
        acquire_timeout: Duration,
    ) -> Result<Self, BuildError> {
        let scans = Scans::new(database.clone(), acquire_timeout)?;
        let settings = PoolSettings {
            application_name: APPLICATION_NAME.into(),
            max_connections: connections,
            acquire_timeout,
            session_setup: session_setup(),
        };
        let single_orders = connections.saturating_sub(1).max(1);
        let max_waiting = connections * WAITING_PER_CONNECTION;
        Ok(Self {
            pool: pg::pool(database, &settings)?,
            max_waiting,
            single_orders: Arc::new(Gate::new(single_orders, max_waiting, acquire_timeout)),
            scans,
        })
    }

    async fn client(&self) -> Result<Client, RepoError> {
        if self.pool.status().waiting >= self.max_waiting {
            return Err(RepoError::Crowded);
        }
        Ok(self.pool.get().await?)
    }
}

async fn bounded<T>(look_up: impl Future<Output = Result<T, RepoError>>) -> Result<T, RepoError> {
    let bounded = tokio::time::timeout(LOOK_UP_TIMEOUT, look_up).await;
    bounded.unwrap_or(Err(RepoError::Silent(LOOK_UP_TIMEOUT)))
}

/// Read-only, bounded, and planned for what is always true here: few rows, each found by an index, whatever the
/// statistics of a table that is being filled say.
fn session_setup() -> String {
    let timeout_ms = STATEMENT_TIMEOUT.as_millis();
    format!(
        "SET default_transaction_read_only = on;
         SET statement_timeout = {timeout_ms};
         SET enable_seqscan = off;
         SET enable_hashjoin = off;
         SET enable_mergejoin = off;
         SET jit = off"
    )
}

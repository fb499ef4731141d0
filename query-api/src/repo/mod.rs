//! Every SELECT, one function a statement. It knows the tables and nothing of who asks or what is cached.
//!
//! [`Repo`] answers single questions on a small pool; [`ChangeReader`] follows what is committed, on a connection of its
//! own. Neither can write: their sessions are read-only.

mod changes;
mod connections;
mod look_ups;
mod orders;
mod periods;
mod rows;
mod scans;

use std::sync::Arc;
use std::time::Duration;

use common::pg::PoolSettings;
use deadpool_postgres::{BuildError, PoolError};
use tokio_postgres::Config;

pub use changes::{Advance, ChangeReader, Identity, Look, Snapshot, Stand};
pub use orders::{ORDER_BY_ID, OrderNo, StoredOrder};
pub use periods::{Hours, Ordered};

use connections::Connections;
use look_ups::LookUps;
use scans::Scans;

/// No statement here looks up more than a page of rows by an index: one that takes this long has met a database in
/// trouble.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(2);

/// For a connection and the statement: a connection that nobody answers any more keeps nobody waiting longer.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(3);
/// As `pg_stat_activity` shows these sessions.
const APPLICATION_NAME: &str = "query-api";

#[derive(Debug, Clone, thiserror::Error)]
pub enum RepoError {
    /// No connection, none free in time, or the statement did not finish: it may work a little later.
    #[error("the database did not answer: {}", Causes(.0.as_ref()))]
    Unavailable(Arc<dyn std::error::Error + Send + Sync>),
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
        Self::Unavailable(Arc::new(error))
    }
}

impl From<tokio_postgres::Error> for RepoError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Unavailable(Arc::new(error))
    }
}

/// Looks up orders.
#[derive(Debug, Clone)]
pub struct Repo {
    connections: Connections,
    look_ups: LookUps,
    scans: Scans,
}

impl Repo {
    /// Connects when first asked. To be called within a tokio runtime.
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
        let statements = connections.saturating_sub(1).max(1);
        let connections = Connections::new(database, &settings)?;
        Ok(Self {
            look_ups: LookUps::start(&connections, statements, acquire_timeout),
            connections,
            scans,
        })
    }
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

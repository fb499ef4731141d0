//! What was committed since: the positions, what the batches between two of them touched, and how that looks now. All of
//! one look comes from one snapshot.
//!
//! Invariant: `as_of` is the time at which a transaction began, and its snapshot was taken after that, so every commit up
//! to `as_of` is in what is returned with it.

use std::time::Duration;

use common::ids::Currency;
use common::time::Timestamp;
use tokio::task::AbortHandle;
use tokio_postgres::{Client, Config, IsolationLevel, NoTls, Transaction};

use super::{RepoError, STATEMENT_TIMEOUT};
use crate::analytics::{Analytics, AnalyticsBuilder, Hour, SalesRow, UserStats};
use crate::lag::Lag;
use crate::positions::{Gap, Positions};

mod statements;

use statements::Statements;

/// As `pg_stat_activity` shows this session.
const APPLICATION_NAME: &str = "query-api-feed";
/// For everything to be read again: a million users take a few seconds.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(120);

/// The most users whose statistics are read again one by one: beyond that, reading all of them is not much dearer.
/// It bounds what one look holds in memory, too.
const MAX_TOUCHED_USERS: usize = 250_000;
/// The most hours that are read again one by one.
const MAX_TOUCHED_HOURS: usize = 50_000;

/// What tells a database from another, or from its own past: a look that is based on one says nothing about the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    system: i64,
    timeline: i32,
    tables: Vec<u32>,
}

/// How far everything is applied, as of a time.
#[derive(Debug)]
pub struct Stand {
    pub as_of: Timestamp,
    pub positions: Positions,
    pub lag: Lag,
}

/// What has become of the positions that were known.
#[derive(Debug)]
pub enum Look {
    /// Nothing was committed that changes an answer.
    Still(Stand),
    Moved(Advance),
    /// What is known is worth nothing any more.
    Gap(Gap),
}

/// What a number of batches changed, as it is now.
#[derive(Debug)]
pub struct Advance {
    pub stand: Stand,
    /// Whose statistics or orders were touched; none twice.
    pub user_ids: Vec<String>,
    /// Theirs; who has no row any more has no statistics.
    pub user_stats: Vec<(String, Currency, UserStats)>,
    /// Which hours were touched; none twice.
    pub hours: Vec<Hour>,
    pub sales: Vec<(Hour, Currency, SalesRow)>,
    /// Negative where dead letters were removed.
    pub dead_letters: i64,
}

/// Everything there is.
#[derive(Debug)]
pub struct Snapshot {
    pub stand: Stand,
    pub analytics: Analytics,
}

/// A connection that looks for changes.
#[derive(Debug)]
pub struct ChangeReader {
    client: Client,
    connection: AbortHandle,
    statements: Statements,
}

impl Drop for ChangeReader {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl ChangeReader {
    /// # Errors
    /// [`RepoError`]; the tables may not be there yet.
    pub async fn connect(database: &Config) -> Result<Self, RepoError> {
        let mut database = database.clone();
        database.application_name(APPLICATION_NAME);
        database.connect_timeout(STATEMENT_TIMEOUT);
        let (client, connection) = database.connect(NoTls).await?;
        // Its end reaches whoever uses the client.
        let connection = tokio::spawn(connection).abort_handle();
        client.batch_execute(&session_setup()).await?;
        let statements = Statements::prepare(&client).await?;
        Ok(Self {
            client,
            connection,
            statements,
        })
    }

    /// # Errors
    /// See [`RepoError`].
    pub async fn identity(&self) -> Result<Identity, RepoError> {
        const SQL: &str = "
            SELECT (SELECT system_identifier FROM pg_control_system()),
                   (SELECT timeline_id FROM pg_control_checkpoint()),
                   (SELECT oid FROM pg_database WHERE datname = current_database()),
                   'consumer_offsets'::regclass::oid, 'user_stats'::regclass::oid";
        let row = self.client.query_one(SQL, &[]).await?;
        Ok(Identity {
            system: row.try_get(0)?,
            timeline: row.try_get(1)?,
            tables: vec![row.try_get(2)?, row.try_get(3)?, row.try_get(4)?],
        })
    }

    /// One look: a single statement where nothing moved.
    ///
    /// # Errors
    /// See [`RepoError`].
    pub async fn look(&mut self, known: &Positions) -> Result<Look, RepoError> {
        let stand = self.statements.stand(&self.client).await?;
        match known.until(&stand.positions) {
            Ok(spans) if spans.is_empty() => Ok(Look::Still(stand)),
            Ok(_) => self.advance(known).await,
            Err(gap) => Ok(Look::Gap(gap)),
        }
    }

    async fn advance(&mut self, known: &Positions) -> Result<Look, RepoError> {
        let statements = &self.statements;
        let transaction = snapshot_of(&mut self.client).await?;
        let stand = statements.stand(&transaction).await?;
        let spans = match known.until(&stand.positions) {
            Ok(spans) => spans,
            Err(gap) => return Ok(Look::Gap(gap)),
        };
        let (dead_letters, user_ids, hours) = futures_util::try_join!(
            statements.batches(&transaction, &spans),
            statements.touched_users(&transaction, &spans, one_more_than(MAX_TOUCHED_USERS)),
            statements.touched_hours(&transaction, &spans, one_more_than(MAX_TOUCHED_HOURS)),
        )?;
        let dead_letters = match dead_letters {
            Ok(count) => count,
            Err(gap) => return Ok(Look::Gap(gap)),
        };
        if user_ids.len() > MAX_TOUCHED_USERS || hours.len() > MAX_TOUCHED_HOURS {
            return Ok(Look::Gap(Gap::TooFar));
        }
        let (user_stats, sales) = futures_util::try_join!(
            statements.user_stats(&transaction, &user_ids),
            statements.sales(&transaction, &hours),
        )?;
        transaction.commit().await?;
        let hours = hours.into_iter().map(Hour::of).collect();
        Ok(Look::Moved(Advance {
            stand,
            user_ids,
            user_stats,
            hours,
            sales,
            dead_letters,
        }))
    }

    /// Reads everything, in one snapshot.
    ///
    /// # Errors
    /// See [`RepoError`].
    pub async fn snapshot(&mut self) -> Result<Snapshot, RepoError> {
        let transaction = snapshot_of(&mut self.client).await?;
        transaction.batch_execute(&snapshot_setup()).await?;
        let stand = self.statements.stand(&transaction).await?;
        let mut builder = AnalyticsBuilder::default();
        statements::all_user_stats(&transaction, &mut builder).await?;
        statements::all_sales(&transaction, &mut builder).await?;
        let dead_letters = statements::count_dead_letters(&transaction).await?;
        transaction.commit().await?;
        // Sorting a million users takes a second or two: not on a thread that others wait for.
        let build = tokio::task::spawn_blocking(move || builder.build(dead_letters));
        let analytics = build
            .await
            .map_err(|error| RepoError::Corrupt(error.to_string()))?;
        Ok(Snapshot { stand, analytics })
    }
}

/// A look finds its rows by indexes, whatever the statistics of tables that are being filled say.
fn session_setup() -> String {
    let timeout_ms = STATEMENT_TIMEOUT.as_millis();
    format!(
        "SET default_transaction_read_only = on;
         SET statement_timeout = {timeout_ms};
         SET idle_in_transaction_session_timeout = {timeout_ms};
         SET enable_seqscan = off;
         SET enable_hashjoin = off;
         SET enable_mergejoin = off;
         SET jit = off"
    )
}

/// A snapshot reads whole tables, and takes its time.
fn snapshot_setup() -> String {
    let timeout_ms = SNAPSHOT_TIMEOUT.as_millis();
    format!(
        "SET LOCAL enable_seqscan = on;
         SET LOCAL statement_timeout = {timeout_ms};
         SET LOCAL idle_in_transaction_session_timeout = {timeout_ms}"
    )
}

async fn snapshot_of(client: &mut Client) -> Result<Transaction<'_>, RepoError> {
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true);
    Ok(transaction.start().await?)
}

fn one_more_than(limit: usize) -> i64 {
    i64::try_from(limit).map_or(i64::MAX, |limit| limit.saturating_add(1))
}

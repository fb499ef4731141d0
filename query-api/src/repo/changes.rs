//! What was committed since: the positions, what the batches between two of them touched, and how that looks now. All of
//! one look comes from one snapshot.
//!
//! Invariant: `as_of` is the time at which a transaction began, and its snapshot was taken after that, so every commit up
//! to `as_of` is in what is returned with it.

use std::time::Duration;

use common::ids::{Currency, NextOffset, Partition};
use common::time::Timestamp;
use futures_util::TryStreamExt;
use tokio::task::AbortHandle;
use tokio_postgres::{Client, Config, IsolationLevel, NoTls, Row, Statement, Transaction};

use super::{RepoError, STATEMENT_TIMEOUT, rows};
use crate::analytics::{Analytics, AnalyticsBuilder, Hour, SalesRow, UserStats};
use crate::positions::{Gap, Position, Positions, Source, Span};

/// As `pg_stat_activity` shows this session.
const APPLICATION_NAME: &str = "query-api-feed";
/// For everything to be read again; ten million users take less.
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

/// What has become of the positions that were known.
#[derive(Debug)]
pub enum Look {
    /// Nothing was committed that changes an answer.
    Still { as_of: Timestamp, positions: Positions },
    Moved(Advance),
    /// What is known is worth nothing any more.
    Gap(Gap),
}

/// What a number of batches changed, as it is now.
#[derive(Debug)]
pub struct Advance {
    pub as_of: Timestamp,
    pub positions: Positions,
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
    pub as_of: Timestamp,
    pub positions: Positions,
    pub analytics: Analytics,
}

/// A connection that looks for changes.
#[derive(Debug)]
pub struct ChangeReader {
    client: Client,
    connection: AbortHandle,
    positions: Statement,
    batches: Statement,
    touched_users: Statement,
    touched_hours: Statement,
    user_stats: Statement,
    sales: Statement,
}

impl Drop for ChangeReader {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// The parameters that name spans, as columns: one array for each.
#[derive(Default)]
struct SpanColumns<'a> {
    group_ids: Vec<&'a str>,
    topics: Vec<&'a str>,
    partitions: Vec<i32>,
    after: Vec<i64>,
    up_to: Vec<i64>,
}

impl<'a> SpanColumns<'a> {
    fn of(spans: &'a [Span]) -> Self {
        let mut columns = Self::default();
        for span in spans {
            columns.group_ids.push(&span.source.group_id);
            columns.topics.push(&span.source.topic);
            columns.partitions.push(span.source.partition.0);
            columns.after.push(span.after);
            columns.up_to.push(span.up_to);
        }
        columns
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
        Ok(Self {
            positions: client.prepare(POSITIONS).await?,
            batches: client.prepare(BATCHES).await?,
            touched_users: client.prepare(TOUCHED_USERS).await?,
            touched_hours: client.prepare(TOUCHED_HOURS).await?,
            user_stats: client.prepare(USER_STATS).await?,
            sales: client.prepare(SALES).await?,
            client,
            connection,
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
        let (as_of, positions) = read_positions(&self.client.query(&self.positions, &[]).await?)?;
        match known.until(&positions) {
            Ok(spans) if spans.is_empty() => Ok(Look::Still { as_of, positions }),
            Ok(_) => self.advance(known).await,
            Err(gap) => Ok(Look::Gap(gap)),
        }
    }

    async fn advance(&mut self, known: &Positions) -> Result<Look, RepoError> {
        let Self { client, positions, batches, touched_users, touched_hours, user_stats, sales, .. } = self;
        let transaction = snapshot_of(client).await?;
        let (as_of, positions) = read_positions(&transaction.query(positions, &[]).await?)?;
        let spans = match known.until(&positions) {
            Ok(spans) => spans,
            Err(gap) => return Ok(Look::Gap(gap)),
        };
        let (dead_letters, user_ids, hours) = futures_util::try_join!(
            read_batches(&transaction, batches, &spans),
            read_touched_users(&transaction, touched_users, &spans),
            read_touched_hours(&transaction, touched_hours, &spans),
        )?;
        let dead_letters = match dead_letters {
            Ok(count) => count,
            Err(gap) => return Ok(Look::Gap(gap)),
        };
        if user_ids.len() > MAX_TOUCHED_USERS || hours.len() > MAX_TOUCHED_HOURS {
            return Ok(Look::Gap(Gap::TooFar));
        }
        let (user_stats, sales) = futures_util::try_join!(
            read_user_stats(&transaction, user_stats, &user_ids),
            read_sales(&transaction, sales, &hours),
        )?;
        transaction.commit().await?;
        let hours = hours.into_iter().map(Hour::of).collect();
        Ok(Look::Moved(Advance { as_of, positions, user_ids, user_stats, hours, sales, dead_letters }))
    }

    /// Reads everything, in one snapshot.
    ///
    /// # Errors
    /// See [`RepoError`].
    pub async fn snapshot(&mut self) -> Result<Snapshot, RepoError> {
        let transaction = snapshot_of(&mut self.client).await?;
        let timeout_ms = SNAPSHOT_TIMEOUT.as_millis();
        transaction.batch_execute(&format!("SET LOCAL statement_timeout = {timeout_ms}")).await?;
        let (as_of, positions) = read_positions(&transaction.query(&self.positions, &[]).await?)?;
        let mut builder = AnalyticsBuilder::default();
        read_all_user_stats(&transaction, &mut builder).await?;
        read_all_sales(&transaction, &mut builder).await?;
        let dead_letters = count_dead_letters(&transaction).await?;
        transaction.commit().await?;
        // Sorting a million users takes a second or two: not on a thread that others wait for.
        let build = tokio::task::spawn_blocking(move || builder.build(dead_letters));
        let analytics = build.await.map_err(|error| RepoError::Corrupt(error.to_string()))?;
        Ok(Snapshot { as_of, positions, analytics })
    }
}

/// Where nothing else is said, index scans: the statistics of tables that are being filled lag behind.
fn session_setup() -> String {
    let timeout_ms = STATEMENT_TIMEOUT.as_millis();
    format!(
        "SET default_transaction_read_only = on;
         SET statement_timeout = {timeout_ms};
         SET idle_in_transaction_session_timeout = {timeout_ms};
         SET jit = off"
    )
}

async fn snapshot_of(client: &mut Client) -> Result<Transaction<'_>, RepoError> {
    let transaction = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    Ok(transaction.start().await?)
}

/// One row with the time at least, also where there are no positions yet.
const POSITIONS: &str = "
    SELECT now(), o.group_id, o.topic, o.partition, o.batch_no, o.next_offset
      FROM (VALUES (1)) AS always LEFT JOIN consumer_offsets AS o ON true";

fn read_positions(rows: &[Row]) -> Result<(Timestamp, Positions), RepoError> {
    let first = rows.first().ok_or_else(|| rows::corrupt("no time"))?;
    let as_of = first.try_get(0)?;
    let mut positions = Vec::with_capacity(rows.len());
    for row in rows {
        if let Some(group_id) = row.try_get(1)? {
            let source = Source { group_id, topic: row.try_get(2)?, partition: Partition(row.try_get(3)?) };
            let position = Position { batch_no: row.try_get(4)?, next_offset: NextOffset(row.try_get(5)?) };
            positions.push((source, position));
        }
    }
    Ok((as_of, positions.into_iter().collect()))
}

/// Counts what is on record of each span.
const BATCHES: &str = "
    SELECT s.no, count(b.batch_no), coalesce(sum(b.dead_letter_count), 0)::bigint
      FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[], $5::bigint[])
           WITH ORDINALITY AS s (group_id, topic, partition, after, up_to, no)
      LEFT JOIN applied_batches AS b
        ON b.group_id = s.group_id AND b.topic = s.topic AND b.partition = s.partition
           AND b.batch_no > s.after AND b.batch_no <= s.up_to
     GROUP BY s.no";

/// How many dead letters the batches added, if all of them are still on record.
async fn read_batches(
    transaction: &Transaction<'_>,
    statement: &Statement,
    spans: &[Span],
) -> Result<Result<i64, Gap>, RepoError> {
    let SpanColumns { group_ids, topics, partitions, after, up_to } = SpanColumns::of(spans);
    let rows = transaction.query(statement, &[&group_ids, &topics, &partitions, &after, &up_to]).await?;
    let mut dead_letters = 0;
    for row in rows {
        let index = usize::try_from(row.try_get::<_, i64>(0)? - 1).map_err(rows::corrupt)?;
        let span = spans.get(index).ok_or_else(|| rows::corrupt("a span that was not asked for"))?;
        if row.try_get::<_, i64>(1)? != span.batches() {
            return Ok(Err(Gap::Pruned(span.source.clone())));
        }
        dead_letters += row.try_get::<_, i64>(2)?;
    }
    Ok(Ok(dead_letters))
}

/// `$6` is one more than there may be.
const TOUCHED_USERS: &str = "
    SELECT DISTINCT user_id
      FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[], $5::bigint[])
           AS s (group_id, topic, partition, after, up_to)
      JOIN applied_batches AS b
        ON b.group_id = s.group_id AND b.topic = s.topic AND b.partition = s.partition
           AND b.batch_no > s.after AND b.batch_no <= s.up_to,
           unnest(b.user_ids) AS user_id
     LIMIT $6";

async fn read_touched_users(
    transaction: &Transaction<'_>,
    statement: &Statement,
    spans: &[Span],
) -> Result<Vec<String>, RepoError> {
    let SpanColumns { group_ids, topics, partitions, after, up_to } = SpanColumns::of(spans);
    let limit = one_more_than(MAX_TOUCHED_USERS);
    let rows = transaction.query(statement, &[&group_ids, &topics, &partitions, &after, &up_to, &limit]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// `$6` is one more than there may be.
const TOUCHED_HOURS: &str = "
    SELECT DISTINCT bucket
      FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[], $5::bigint[])
           AS s (group_id, topic, partition, after, up_to)
      JOIN applied_batches AS b
        ON b.group_id = s.group_id AND b.topic = s.topic AND b.partition = s.partition
           AND b.batch_no > s.after AND b.batch_no <= s.up_to,
           unnest(b.buckets) AS bucket
     LIMIT $6";

async fn read_touched_hours(
    transaction: &Transaction<'_>,
    statement: &Statement,
    spans: &[Span],
) -> Result<Vec<Timestamp>, RepoError> {
    let SpanColumns { group_ids, topics, partitions, after, up_to } = SpanColumns::of(spans);
    let limit = one_more_than(MAX_TOUCHED_HOURS);
    let rows = transaction.query(statement, &[&group_ids, &topics, &partitions, &after, &up_to, &limit]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

fn one_more_than(limit: usize) -> i64 {
    i64::try_from(limit).map_or(i64::MAX, |limit| limit.saturating_add(1))
}

const USER_STATS: &str = "
    SELECT user_id, currency, order_count, total_amount, first_order_at, last_order_at
      FROM user_stats WHERE user_id = ANY($1)";

async fn read_user_stats(
    transaction: &Transaction<'_>,
    statement: &Statement,
    user_ids: &[String],
) -> Result<Vec<(String, Currency, UserStats)>, RepoError> {
    let rows = transaction.query(statement, &[&user_ids]).await?;
    let stats = rows.iter().map(|row| {
        let (user_id, currency, stats) = rows::user_stats(row)?;
        Ok((user_id.to_owned(), currency, stats))
    });
    stats.collect()
}

const SALES: &str = "
    SELECT bucket, currency, sum(order_count)::bigint, sum(item_count)::bigint, sum(amount)
      FROM sales_hourly WHERE bucket = ANY($1) GROUP BY bucket, currency";

async fn read_sales(
    transaction: &Transaction<'_>,
    statement: &Statement,
    hours: &[Timestamp],
) -> Result<Vec<(Hour, Currency, SalesRow)>, RepoError> {
    transaction.query(statement, &[&hours]).await?.iter().map(rows::sales).collect()
}

async fn read_all_user_stats(
    transaction: &Transaction<'_>,
    builder: &mut AnalyticsBuilder,
) -> Result<(), RepoError> {
    const SQL: &str =
        "SELECT user_id, currency, order_count, total_amount, first_order_at, last_order_at FROM user_stats";
    let statement = transaction.prepare(SQL).await?;
    let mut stream = std::pin::pin!(transaction.query_raw(&statement, NO_PARAMETERS).await?);
    while let Some(row) = stream.try_next().await? {
        let (user_id, currency, stats) = rows::user_stats(&row)?;
        builder.user(user_id, currency, stats);
    }
    Ok(())
}

async fn read_all_sales(transaction: &Transaction<'_>, builder: &mut AnalyticsBuilder) -> Result<(), RepoError> {
    const SQL: &str = "
        SELECT bucket, currency, sum(order_count)::bigint, sum(item_count)::bigint, sum(amount)
          FROM sales_hourly GROUP BY bucket, currency";
    let statement = transaction.prepare(SQL).await?;
    let mut stream = std::pin::pin!(transaction.query_raw(&statement, NO_PARAMETERS).await?);
    while let Some(row) = stream.try_next().await? {
        let (hour, currency, sales) = rows::sales(&row)?;
        builder.hour(hour, currency, sales);
    }
    Ok(())
}

async fn count_dead_letters(transaction: &Transaction<'_>) -> Result<i64, RepoError> {
    let row = transaction.query_one("SELECT count(*) FROM dead_letters", &[]).await?;
    Ok(row.try_get(0)?)
}

const NO_PARAMETERS: [i64; 0] = [];

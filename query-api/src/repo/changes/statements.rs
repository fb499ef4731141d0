//! The statements that a look is made of, prepared once for its connection.

use std::pin::pin;

use common::ids::{Currency, NextOffset, Partition};
use common::time::Timestamp;
use futures_util::TryStreamExt;
use tokio_postgres::{Client, GenericClient, Row, Statement, Transaction};

use crate::analytics::{AnalyticsBuilder, Hour, SalesRow, UserStats};
use crate::lag::{End, PartitionLag};
use crate::positions::{Gap, Position, Source, Span};
use crate::repo::changes::Stand;
use crate::repo::{RepoError, rows};

/// One row with the time at least, also where there are no positions yet.
const STAND: &str = "
    SELECT now(), o.group_id, o.topic, o.partition, o.batch_no, o.next_offset, p.end_offset, p.read_at
      FROM (VALUES (1)) AS always
      LEFT JOIN consumer_offsets AS o ON true
      LEFT JOIN consumer_progress AS p
        ON p.group_id = o.group_id AND p.topic = o.topic AND p.partition = o.partition";

/// Counts what is on record of each span.
const BATCHES: &str = "
    SELECT s.no, count(b.batch_no), coalesce(sum(b.dead_letter_count), 0)::bigint
      FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[], $5::bigint[])
           WITH ORDINALITY AS s (group_id, topic, partition, after, up_to, no)
      LEFT JOIN applied_batches AS b
        ON b.group_id = s.group_id AND b.topic = s.topic AND b.partition = s.partition
           AND b.batch_no > s.after AND b.batch_no <= s.up_to
     GROUP BY s.no";

const TOUCHED_USERS: &str = "
    SELECT DISTINCT user_id
      FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[], $5::bigint[])
           AS s (group_id, topic, partition, after, up_to)
      JOIN applied_batches AS b
        ON b.group_id = s.group_id AND b.topic = s.topic AND b.partition = s.partition
           AND b.batch_no > s.after AND b.batch_no <= s.up_to,
           unnest(b.user_ids) AS user_id
     LIMIT $6";

const TOUCHED_HOURS: &str = "
    SELECT DISTINCT bucket
      FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[], $5::bigint[])
           AS s (group_id, topic, partition, after, up_to)
      JOIN applied_batches AS b
        ON b.group_id = s.group_id AND b.topic = s.topic AND b.partition = s.partition
           AND b.batch_no > s.after AND b.batch_no <= s.up_to,
           unnest(b.buckets) AS bucket
     LIMIT $6";

const USER_STATS: &str = "
    SELECT user_id, currency, order_count, total_amount, first_order_at, last_order_at
      FROM user_stats WHERE user_id = ANY($1)";

const ALL_USER_STATS: &str = "
    SELECT user_id, currency, order_count, total_amount, first_order_at, last_order_at FROM user_stats";

const SALES: &str = "
    SELECT bucket, currency, sum(order_count)::bigint, sum(item_count)::bigint, sum(amount)
      FROM sales_hourly WHERE bucket = ANY($1) GROUP BY bucket, currency";

const ALL_SALES: &str = "
    SELECT bucket, currency, sum(order_count)::bigint, sum(item_count)::bigint, sum(amount)
      FROM sales_hourly GROUP BY bucket, currency";

const DEAD_LETTERS: &str = "SELECT count(*) FROM dead_letters";

/// Prepared, and what each of them reads.
#[derive(Debug)]
pub(super) struct Statements {
    stand: Statement,
    batches: Statement,
    touched_users: Statement,
    touched_hours: Statement,
    user_stats: Statement,
    sales: Statement,
}

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Self, RepoError> {
        Ok(Self {
            stand: client.prepare(STAND).await?,
            batches: client.prepare(BATCHES).await?,
            touched_users: client.prepare(TOUCHED_USERS).await?,
            touched_hours: client.prepare(TOUCHED_HOURS).await?,
            user_stats: client.prepare(USER_STATS).await?,
            sales: client.prepare(SALES).await?,
        })
    }

    /// All positions, and the time at which the transaction began.
    pub(super) async fn stand(&self, client: &impl GenericClient) -> Result<Stand, RepoError> {
        let rows = client.query(&self.stand, &[]).await?;
        let first = rows.first().ok_or_else(|| rows::corrupt("no time"))?;
        let as_of = first.try_get(0)?;
        let partitions: Vec<(Position, PartitionLag)> = rows
            .iter()
            .filter_map(|row| partition(row).transpose())
            .collect::<Result<_, _>>()?;
        let positions = partitions
            .iter()
            .map(|(position, partition)| (partition.source.clone(), *position));
        Ok(Stand {
            as_of,
            positions: positions.collect(),
            lag: partitions.into_iter().map(|(_, lag)| lag).collect(),
        })
    }

    /// How many dead letters the batches added, if all of them are still on record.
    pub(super) async fn batches(
        &self,
        transaction: &Transaction<'_>,
        spans: &[Span],
    ) -> Result<Result<i64, Gap>, RepoError> {
        let SpanColumns {
            group_ids,
            topics,
            partitions,
            after,
            up_to,
        } = SpanColumns::of(spans);
        let rows = transaction
            .query(
                &self.batches,
                &[&group_ids, &topics, &partitions, &after, &up_to],
            )
            .await?;
        let mut dead_letters = 0;
        for row in rows {
            let index = usize::try_from(row.try_get::<_, i64>(0)? - 1).map_err(rows::corrupt)?;
            let span = spans
                .get(index)
                .ok_or_else(|| rows::corrupt("a span nobody asked for"))?;
            if row.try_get::<_, i64>(1)? != span.batches() {
                return Ok(Err(Gap::Pruned(span.source.clone())));
            }
            dead_letters += row.try_get::<_, i64>(2)?;
        }
        Ok(Ok(dead_letters))
    }

    /// At most `limit` of the users that the batches touched, each once.
    pub(super) async fn touched_users(
        &self,
        transaction: &Transaction<'_>,
        spans: &[Span],
        limit: i64,
    ) -> Result<Vec<String>, RepoError> {
        let SpanColumns {
            group_ids,
            topics,
            partitions,
            after,
            up_to,
        } = SpanColumns::of(spans);
        let rows = transaction
            .query(
                &self.touched_users,
                &[&group_ids, &topics, &partitions, &after, &up_to, &limit],
            )
            .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// At most `limit` of the hours that the batches touched, each once.
    pub(super) async fn touched_hours(
        &self,
        transaction: &Transaction<'_>,
        spans: &[Span],
        limit: i64,
    ) -> Result<Vec<Timestamp>, RepoError> {
        let SpanColumns {
            group_ids,
            topics,
            partitions,
            after,
            up_to,
        } = SpanColumns::of(spans);
        let rows = transaction
            .query(
                &self.touched_hours,
                &[&group_ids, &topics, &partitions, &after, &up_to, &limit],
            )
            .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    pub(super) async fn user_stats(
        &self,
        transaction: &Transaction<'_>,
        user_ids: &[String],
    ) -> Result<Vec<(String, Currency, UserStats)>, RepoError> {
        let rows = transaction.query(&self.user_stats, &[&user_ids]).await?;
        let stats = rows.iter().map(|row| {
            let (user_id, currency, stats) = rows::user_stats(row)?;
            Ok((user_id.to_owned(), currency, stats))
        });
        stats.collect()
    }

    pub(super) async fn sales(
        &self,
        transaction: &Transaction<'_>,
        hours: &[Timestamp],
    ) -> Result<Vec<(Hour, Currency, SalesRow)>, RepoError> {
        transaction
            .query(&self.sales, &[&hours])
            .await?
            .iter()
            .map(rows::sales)
            .collect()
    }
}

/// `None` in the row that says that there is none.
fn partition(row: &Row) -> Result<Option<(Position, PartitionLag)>, RepoError> {
    let Some(group_id) = row.try_get(1)? else {
        return Ok(None);
    };
    let source = Source {
        group_id,
        topic: row.try_get(2)?,
        partition: Partition(row.try_get(3)?),
    };
    let position = Position {
        batch_no: row.try_get(4)?,
        next_offset: NextOffset(row.try_get(5)?),
    };
    let end = match (row.try_get(6)?, row.try_get(7)?) {
        (Some(offset), Some(read_at)) => Some(End {
            offset: NextOffset(offset),
            read_at,
        }),
        (None, _) | (_, None) => None,
    };
    let lag = PartitionLag {
        source,
        next_offset: position.next_offset,
        end,
    };
    Ok(Some((position, lag)))
}

/// Spans as parameters: one array for each column.
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

const NO_PARAMETERS: [i64; 0] = [];

/// Row by row: nothing is in memory twice.
pub(super) async fn all_user_stats(
    transaction: &Transaction<'_>,
    builder: &mut AnalyticsBuilder,
) -> Result<(), RepoError> {
    let mut stream = pin!(transaction.query_raw(ALL_USER_STATS, NO_PARAMETERS).await?);
    while let Some(row) = stream.try_next().await? {
        let (user_id, currency, stats) = rows::user_stats(&row)?;
        builder.user(user_id, currency, stats);
    }
    Ok(())
}

pub(super) async fn all_sales(
    transaction: &Transaction<'_>,
    builder: &mut AnalyticsBuilder,
) -> Result<(), RepoError> {
    let mut stream = pin!(transaction.query_raw(ALL_SALES, NO_PARAMETERS).await?);
    while let Some(row) = stream.try_next().await? {
        let (hour, currency, sales) = rows::sales(&row)?;
        builder.hour(hour, currency, sales);
    }
    Ok(())
}

pub(super) async fn count_dead_letters(transaction: &Transaction<'_>) -> Result<i64, RepoError> {
    let row = transaction.query_one(DEAD_LETTERS, &[]).await?;
    Ok(row.try_get(0)?)
}

//! `consumer offsets`: where each partition stands, and setting it by hand.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Context, bail};
use common::ids::{NextOffset, Partition};
use deadpool_postgres::{Pool, Transaction};
use tokio_postgres::Row;

use super::visible::{dash, visible};
use crate::feed::{self, Source, Touched};
use crate::service::application_name;

/// The owner writes a partition's end down every second. One that was read longer ago is no measure of lag any more: the
/// owner is gone, or its database was away.
const STALE_AFTER: Duration = Duration::from_secs(5);

/// Prints every partition's position with its lag.
pub(super) async fn show(pool: &Pool, group_id: &str, topic: &str) -> anyhow::Result<()> {
    const SQL: &str = "
        SELECT partition, next_offset, end_offset, extract(epoch FROM now() - read_at)::float8, epoch, owner,
               committed_at::text
          FROM consumer_offsets LEFT JOIN consumer_progress USING (group_id, topic, partition)
         WHERE group_id = $1 AND topic = $2 ORDER BY partition";
    let rows = pool.get().await?.query(SQL, &[&group_id, &topic]).await?;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{:>9} {:>12} {:>12} {:>12} {:>10} {:>6}  {:<32} owner",
        "partition", "next_offset", "end_offset", "end_read", "lag", "epoch", "committed_at"
    )?;
    let mut stale = false;
    for row in rows {
        let end = EndOffset::of(&row);
        stale |= end.as_ref().is_some_and(EndOffset::is_stale);
        let next = NextOffset(row.get(1));
        writeln!(
            out,
            "{:>9} {next:>12} {:>12} {:>12} {:>10} {:>6}  {:<32} {}",
            row.get::<_, i32>(0),
            dash(end.as_ref().map(|end| end.offset)),
            dash(end.as_ref().map(EndOffset::age)),
            dash(end.as_ref().map(|end| end.lag(next))),
            row.get::<_, i64>(4),
            dash(row.get::<_, Option<String>>(6)),
            visible(row.get(5)),
        )?;
    }
    if stale {
        writeln!(
            out,
            "an end that was read more than {STALE_AFTER:?} ago may be far behind by now: the lag (>=) is what it was then, at least"
        )?;
    }
    Ok(())
}

/// A partition's end as its owner last read it.
struct EndOffset {
    offset: NextOffset,
    read: Duration,
}

impl EndOffset {
    fn of(row: &Row) -> Option<Self> {
        let offset: Option<i64> = row.get(2);
        let age: Option<f64> = row.get(3);
        Some(Self {
            offset: NextOffset(offset?),
            // A transaction begins before what it reads is a moment old.
            read: Duration::try_from_secs_f64(age?).unwrap_or_default(),
        })
    }

    fn is_stale(&self) -> bool {
        self.read > STALE_AFTER
    }

    fn age(&self) -> String {
        let seconds = self.read.as_secs();
        match seconds {
            0..120 => format!("{:.1}s ago", self.read.as_secs_f64()),
            120..7200 => format!("{}m ago", seconds / 60),
            7200..172_800 => format!("{}h ago", seconds / 3600),
            _ => format!("{}d ago", seconds / 86_400),
        }
    }

    /// A topic only grows, so what was once the end is a lower bound. The position may have passed it since.
    fn lag(&self, next: NextOffset) -> String {
        let at_least = (self.offset.0 - next.0).max(0);
        if self.is_stale() {
            format!(">={at_least}")
        } else {
            at_least.to_string()
        }
    }
}

/// Sets a position. Refused while the group consumes, unless `force`; then the owner is fenced and claims again.
pub(super) async fn set(
    pool: &Pool,
    source: &Source,
    to: NextOffset,
    force: bool,
) -> anyhow::Result<()> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    let sessions = sessions(&tx, &source.group_id).await?;
    if sessions > 0 && !force {
        bail!(
            "{sessions} sessions of group {} are connected: stop its consumers first, or pass --force, \
             then the partition's owner is fenced and goes on from the new position",
            source.group_id
        );
    }
    let (from, batch_no) = move_position(&tx, source, to).await?;
    record(&tx, source, from, to).await?;
    feed::record(&tx, source, batch_no, to, Touched::default()).await?;
    tx.commit().await?;
    let partition = source.partition;
    match to.0 - from.0 {
        0 => println!("partition {partition} stays at {to}; its next claim compares no record"),
        skipped @ 1.. => println!(
            "partition {partition}: {from} -> {to}; {skipped} offsets will never be applied"
        ),
        again => println!(
            "partition {partition}: {from} -> {to}; {} offsets will be read again, known orders count once",
            -again
        ),
    }
    Ok(())
}

async fn sessions(tx: &Transaction<'_>, group_id: &str) -> anyhow::Result<i64> {
    const SQL: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1";
    Ok(tx
        .query_one(SQL, &[&application_name(group_id)])
        .await?
        .get(0))
}

/// Moves the position under a new epoch and returns where it was, and the number of the batch that tells the feed.
async fn move_position(
    tx: &Transaction<'_>,
    source: &Source,
    to: NextOffset,
) -> anyhow::Result<(NextOffset, i64)> {
    const LOOK: &str = "
        SELECT next_offset FROM consumer_offsets
         WHERE group_id = $1 AND topic = $2 AND partition = $3 FOR UPDATE";
    const MOVE: &str = "
        UPDATE consumer_offsets
           SET next_offset = $4, epoch = epoch + 1, batch_no = batch_no + 1, owner = 'offsets set',
               last_record_offset = NULL, last_record_hash = NULL, claimed_at = now()
         WHERE group_id = $1 AND topic = $2 AND partition = $3
        RETURNING batch_no";
    let Source {
        group_id,
        topic,
        partition: Partition(number),
    } = source;
    let found = tx.query_opt(LOOK, &[group_id, topic, number]).await?;
    let found = found.with_context(|| {
        format!("group {group_id} has no position for partition {number} of {topic}: it begins at the beginning")
    })?;
    let moved = tx
        .query_one(MOVE, &[group_id, topic, number, &to.0])
        .await?;
    Ok((NextOffset(found.get(0)), moved.get(0)))
}

async fn record(
    tx: &Transaction<'_>,
    source: &Source,
    from: NextOffset,
    to: NextOffset,
) -> anyhow::Result<()> {
    const SQL: &str = "
        INSERT INTO offset_changes (group_id, topic, partition, from_offset, to_offset) VALUES ($1, $2, $3, $4, $5)";
    let Source {
        group_id,
        topic,
        partition,
    } = source;
    tx.execute(SQL, &[group_id, topic, &partition.0, &from.0, &to.0])
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_from_an_end_that_was_read_long_ago_is_only_a_lower_bound() {
        let end = |seconds| EndOffset {
            offset: NextOffset(10),
            read: Duration::from_secs(seconds),
        };
        assert_eq!(end(1).lag(NextOffset(7)), "3");
        assert_eq!(end(6).lag(NextOffset(7)), ">=3");
        assert_eq!(end(6).lag(NextOffset(12)), ">=0");
        assert_eq!(end(0).age(), "0.0s ago");
        assert_eq!(end(7199).age(), "119m ago");
        assert_eq!(end(86_400).age(), "24h ago");
    }
}

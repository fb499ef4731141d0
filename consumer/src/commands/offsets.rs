//! `consumer offsets`: where each partition stands, and setting it by hand.

use anyhow::{Context, bail};
use common::ids::{NextOffset, Partition};
use deadpool_postgres::{Pool, Transaction};

use crate::service::application_name;

/// Prints every partition's position with its lag.
pub(super) async fn show(pool: &Pool, group_id: &str, topic: &str) -> anyhow::Result<()> {
    const SQL: &str = "
        SELECT partition, next_offset, end_offset, epoch, owner, committed_at::text
          FROM consumer_offsets LEFT JOIN consumer_progress USING (group_id, topic, partition)
         WHERE group_id = $1 AND topic = $2 ORDER BY partition";
    let rows = pool.get().await?.query(SQL, &[&group_id, &topic]).await?;
    println!(
        "{:>9} {:>12} {:>12} {:>10} {:>6}  {:<32} owner",
        "partition", "next_offset", "end_offset", "lag", "epoch", "committed_at"
    );
    for row in rows {
        let (next, end): (i64, Option<i64>) = (row.get(1), row.get(2));
        let dash = || "-".to_owned();
        println!(
            "{:>9} {next:>12} {:>12} {:>10} {:>6}  {:<32} {}",
            row.get::<_, i32>(0),
            end.map_or_else(dash, |end| end.to_string()),
            // The end is up to a second older than the position.
            end.map_or_else(dash, |end| (end - next).max(0).to_string()),
            row.get::<_, i64>(3),
            row.get::<_, Option<String>>(5).unwrap_or_else(dash),
            row.get::<_, String>(4),
        );
    }
    Ok(())
}

/// Sets a position. Refused while the group consumes, unless `force`; then the owner is fenced and claims again.
pub(super) async fn set(
    pool: &Pool,
    group_id: &str,
    topic: &str,
    partition: Partition,
    to: NextOffset,
    force: bool,
) -> anyhow::Result<()> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    let sessions = sessions(&tx, group_id).await?;
    if sessions > 0 && !force {
        bail!(
            "{sessions} sessions of group {group_id} are connected: stop its consumers first, or pass --force, \
             then the partition's owner is fenced and goes on from the new position"
        );
    }
    let (from, batch_no) = move_position(&tx, group_id, topic, partition, to).await?;
    record(&tx, group_id, topic, partition, (from, to), batch_no).await?;
    tx.commit().await?;
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
    group_id: &str,
    topic: &str,
    partition: Partition,
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
    let found = tx
        .query_opt(LOOK, &[&group_id, &topic, &partition.0])
        .await?;
    let found = found.with_context(|| {
        format!("group {group_id} has no position for partition {partition} of {topic}: it begins at the beginning")
    })?;
    let moved = tx
        .query_one(MOVE, &[&group_id, &topic, &partition.0, &to.0])
        .await?;
    Ok((NextOffset(found.get(0)), moved.get(0)))
}

async fn record(
    tx: &Transaction<'_>,
    group_id: &str,
    topic: &str,
    partition: Partition,
    (from, to): (NextOffset, NextOffset),
    batch_no: i64,
) -> anyhow::Result<()> {
    const CHANGE: &str = "
        INSERT INTO offset_changes (group_id, topic, partition, from_offset, to_offset) VALUES ($1, $2, $3, $4, $5)";
    const FEED: &str = "
        INSERT INTO applied_batches (group_id, topic, partition, batch_no, next_offset, user_ids, buckets,
                                     dead_letter_count)
        VALUES ($1, $2, $3, $4, $5, '{}', '{}', 0)";
    tx.execute(CHANGE, &[&group_id, &topic, &partition.0, &from.0, &to.0])
        .await?;
    tx.execute(FEED, &[&group_id, &topic, &partition.0, &batch_no, &to.0])
        .await?;
    Ok(())
}

//! `consumer dead-letters discard`: the only way in which a dead letter is ever deleted.
//!
//! A transaction deletes some of one partition's, records their offsets in `dead_letter_discards`, and tells the query API
//! how many fewer there are. So whatever interrupts it, what is deleted is recorded, and what is not is still there.

use std::process::ExitCode;

use anyhow::{Context, bail};
use common::ids::Partition;
use deadpool_postgres::{Client, Pool, Transaction};
use tokio_postgres::{Error, Row};

use super::super::visible::visible;
use super::selection::Criteria;
use crate::config::DiscardArgs;
use crate::feed::{self, Source, Touched};

/// Deleted in one transaction, during whose last moments the partition's owner has to wait.
const CHUNK: i64 = 5_000;

/// What one partition would lose.
struct Share {
    source: Source,
    reason: String,
    letters: i64,
    /// What is recorded from now on was not shown, and stays. One partition's numbers grow from commit to commit, under the
    /// lock of its position; those of two partitions do not.
    newest: i64,
}

pub(super) async fn run(pool: &Pool, discard: &DiscardArgs) -> anyhow::Result<ExitCode> {
    let criteria = Criteria::explicit(&discard.selection, discard.all)?;
    let mut client = pool.get().await?;
    let shares = shares(&client, &criteria).await?;
    for share in &shares {
        println!(
            "{} {} dead letters of {} partition {} (group {})",
            share.letters,
            visible(&share.reason),
            visible(&share.source.topic),
            share.source.partition,
            visible(&share.source.group_id)
        );
    }
    let found: i64 = shares.iter().map(|share| share.letters).sum();
    if let Some(left_out) = criteria.left_out(usize::try_from(found).unwrap_or(usize::MAX)) {
        println!("{left_out}");
    }
    if !discard.yes {
        println!("{found} dead letters would be deleted; --yes deletes them");
        return Ok(ExitCode::SUCCESS);
    }
    if shares.is_empty() {
        println!("nothing was deleted");
        return Ok(ExitCode::SUCCESS);
    }
    let mut deleted = 0;
    for (source, newest) in newest_of_each(shares) {
        loop {
            let chunk = discard_chunk(&mut client, &criteria, &source, newest).await;
            match chunk.with_context(|| format!("{deleted} dead letters were deleted before"))? {
                0 => break,
                chunk => deleted += chunk,
            }
        }
    }
    println!("{deleted} dead letters deleted; dead_letter_discards says which");
    Ok(ExitCode::SUCCESS)
}

/// The last number that was shown of each partition; those of one stand side by side.
fn newest_of_each(shares: Vec<Share>) -> Vec<(Source, i64)> {
    let mut sources: Vec<(Source, i64)> = Vec::new();
    for share in shares {
        match sources.last_mut() {
            Some((source, newest)) if *source == share.source => {
                *newest = share.newest.max(*newest)
            }
            _ => sources.push((share.source, share.newest)),
        }
    }
    sources
}

/// By partition and reason.
async fn shares(client: &Client, criteria: &Criteria) -> Result<Vec<Share>, Error> {
    let sql = format!(
        "SELECT group_id, topic, partition, reason, count(*), max(dead_letter_no) FROM dead_letters WHERE {}
          GROUP BY group_id, topic, partition, reason ORDER BY group_id, topic, partition, reason",
        Criteria::MATCH
    );
    let share = |row: &Row| {
        Ok(Share {
            source: Source {
                group_id: row.try_get(0)?,
                topic: row.try_get(1)?,
                partition: Partition(row.try_get(2)?),
            },
            reason: row.try_get(3)?,
            letters: row.try_get(4)?,
            newest: row.try_get(5)?,
        })
    };
    client
        .query(&sql, &criteria.parameters())
        .await?
        .iter()
        .map(share)
        .collect()
}

/// How many were deleted; zero when there are no more.
async fn discard_chunk(
    client: &mut Client,
    criteria: &Criteria,
    source: &Source,
    newest: i64,
) -> anyhow::Result<usize> {
    let tx = client.transaction().await?;
    let offsets = delete(&tx, criteria, source, newest).await?;
    if offsets.is_empty() {
        return Ok(0);
    }
    record(&tx, criteria, source, &offsets).await?;
    let letters = i32::try_from(offsets.len())?;
    let touched = Touched {
        dead_letters: -letters,
        ..Touched::default()
    };
    // The last thing, because the partition's owner waits from here on.
    if !feed::announce(&tx, source, touched).await? {
        bail!(
            "group {} has no position for partition {} of {}, so nobody could be told: start its consumer first",
            source.group_id,
            source.partition,
            source.topic
        );
    }
    tx.commit().await?;
    Ok(offsets.len())
}

async fn delete(
    tx: &Transaction<'_>,
    criteria: &Criteria,
    source: &Source,
    newest: i64,
) -> Result<Vec<i64>, Error> {
    // Locked in the order of their numbers: two discards of the same letters wait for each other, and do not deadlock.
    let sql = format!(
        r#"DELETE FROM dead_letters WHERE dead_letter_no IN (
               SELECT dead_letter_no FROM dead_letters
                WHERE {} AND group_id = $10 AND topic = $11 AND partition = $12 AND dead_letter_no <= $13
                ORDER BY dead_letter_no LIMIT {CHUNK} FOR UPDATE)
           RETURNING "offset""#,
        Criteria::MATCH
    );
    let mut parameters = criteria.parameters();
    parameters.extend([
        &source.group_id as &(dyn postgres_types::ToSql + Sync),
        &source.topic,
        &source.partition.0,
        &newest,
    ]);
    let rows = tx.query(&sql, &parameters).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

async fn record(
    tx: &Transaction<'_>,
    criteria: &Criteria,
    source: &Source,
    offsets: &[i64],
) -> Result<(), Error> {
    const SQL: &str = "
        INSERT INTO dead_letter_discards (group_id, topic, partition, offsets, selection)
        VALUES ($1, $2, $3, $4, $5)";
    let Source {
        group_id,
        topic,
        partition,
    } = source;
    tx.execute(
        SQL,
        &[
            group_id,
            topic,
            &partition.0,
            &offsets,
            &criteria.describe(),
        ],
    )
    .await?;
    Ok(())
}

//! Changes that no batch made (a repair, a discard, a position set by hand) are told to the query API as batches are: by
//! one row of `applied_batches` under the partition's next batch number.
//!
//! Taking a number locks the partition's row of `consumer_offsets` until the transaction ends. Its owner waits for that
//! long and then goes on: neither its epoch nor its position has changed, and it never compares batch numbers.

use common::ids::{NextOffset, Partition};
use common::time::Timestamp;
use deadpool_postgres::Transaction;
use tokio_postgres::Error;

/// A partition of a topic, as one consumer group reads it: the key of `consumer_offsets`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub group_id: String,
    pub topic: String,
    pub partition: Partition,
}

/// What a change touched.
#[derive(Debug, Clone, Copy, Default)]
pub struct Touched<'a> {
    pub user_ids: &'a [&'a str],
    pub buckets: &'a [Timestamp],
    /// How many dead letters there are more now; negative: fewer.
    pub dead_letters: i32,
}

/// Takes the partition's next batch number for this change. False if it has no position: nobody has ever claimed it.
///
/// # Errors
/// The database's; the transaction is worth nothing then.
pub async fn announce(
    tx: &Transaction<'_>,
    source: &Source,
    touched: Touched<'_>,
) -> Result<bool, Error> {
    const SQL: &str = "
        UPDATE consumer_offsets SET batch_no = batch_no + 1
         WHERE group_id = $1 AND topic = $2 AND partition = $3
        RETURNING batch_no, next_offset";
    let key = [
        &source.group_id as _,
        &source.topic as _,
        &source.partition.0 as _,
    ];
    let Some(row) = tx.query_opt(SQL, &key).await? else {
        return Ok(false);
    };
    record(tx, source, row.get(0), NextOffset(row.get(1)), touched).await?;
    Ok(true)
}

/// The row for a batch number that was taken in this transaction.
///
/// # Errors
/// See [`announce`].
pub async fn record(
    tx: &Transaction<'_>,
    source: &Source,
    batch_no: i64,
    next_offset: NextOffset,
    touched: Touched<'_>,
) -> Result<(), Error> {
    const SQL: &str = "
        INSERT INTO applied_batches (group_id, topic, partition, batch_no, next_offset, user_ids, buckets,
                                     dead_letter_count)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    tx.execute(
        SQL,
        &[
            &source.group_id,
            &source.topic,
            &source.partition.0,
            &batch_no,
            &next_offset.0,
            &touched.user_ids,
            &touched.buckets,
            &touched.dead_letters,
        ],
    )
    .await?;
    Ok(())
}

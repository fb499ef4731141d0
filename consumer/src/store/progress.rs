//! What the consumer writes outside its transactions: for operators and for tidiness, never for correctness.

use std::collections::BTreeMap;
use std::time::Duration;

use common::ids::Partition;
use common::time::Timestamp;

use super::Store;
use super::error::{Part, StoreError};
use crate::position::Epoch;
use crate::source::EndOffset;

/// How long the feed keeps a batch: far longer than any reader's look, so that only one that was away sees a gap.
const FEED_RETENTION: Duration = Duration::from_secs(60);

impl Store {
    /// Whether every migration was applied.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn is_current(&self) -> Result<bool, StoreError> {
        let client = self.pool.get().await?;
        common::migrate::is_current(&client)
            .await
            .map_err(StoreError::of(Part::Bookkeeping))
    }

    /// Records the broker's end offsets, for lag: of partitions that are still held under these epochs, so that whoever was
    /// superseded overwrites nothing of the owner's. How old an answer is counts, by the database's clock: the two clocks need
    /// not agree. An answer from the future came before our clock was set back, and its age is not known: what is recorded
    /// stands, and grows old.
    ///
    /// # Errors
    /// [`StoreError`]; the next call makes up for it.
    pub async fn record_progress(
        &self,
        ends: &[(Partition, Epoch, EndOffset)],
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            INSERT INTO consumer_progress (group_id, topic, partition, end_offset, read_at)
            SELECT group_id, topic, partition, end_offset, now() - make_interval(secs => age)
              FROM unnest($3::integer[], $4::bigint[], $5::bigint[], $6::float8[]) AS seen (partition, epoch, end_offset, age)
              JOIN consumer_offsets USING (partition, epoch)
             WHERE group_id = $1 AND topic = $2
             ORDER BY partition
            ON CONFLICT (group_id, topic, partition)
            DO UPDATE SET end_offset = excluded.end_offset, read_at = excluded.read_at";
        let client = self.pool.get().await?;
        let statement = client
            .prepare_cached(SQL)
            .await
            .map_err(StoreError::of(Part::Bookkeeping))?;
        // Only now: a connection may have been waited for.
        let now = Timestamp::now();
        let ends = || ends.iter().filter(|(.., end)| end.read_at <= now);
        let partitions: Vec<_> = ends().map(|(partition, ..)| partition.0).collect();
        let epochs: Vec<_> = ends().map(|(_, epoch, _)| epoch.0).collect();
        let offsets: Vec<_> = ends().map(|(.., end)| end.offset.0).collect();
        let ages: Vec<_> = ends()
            .map(|(.., end)| now.since(end.read_at).as_secs_f64())
            .collect();
        client
            .execute(
                &statement,
                &[
                    &self.group_id,
                    &self.topic,
                    &partitions,
                    &epochs,
                    &offsets,
                    &ages,
                ],
            )
            .await
            .map_err(StoreError::of(Part::Bookkeeping))?;
        Ok(())
    }

    /// The epochs of all partitions: a member that has nothing to apply learns here that it was superseded.
    ///
    /// # Errors
    /// [`StoreError`]; the next call makes up for it.
    pub async fn epochs(&self) -> Result<BTreeMap<Partition, Epoch>, StoreError> {
        const SQL: &str =
            "SELECT partition, epoch FROM consumer_offsets WHERE group_id = $1 AND topic = $2";
        let client = self.pool.get().await?;
        let statement = client
            .prepare_cached(SQL)
            .await
            .map_err(StoreError::of(Part::Bookkeeping))?;
        let rows = client
            .query(&statement, &[&self.group_id, &self.topic])
            .await
            .map_err(StoreError::of(Part::Bookkeeping))?;
        let epoch = |row: &tokio_postgres::Row| (Partition(row.get(0)), Epoch(row.get(1)));
        Ok(rows.iter().map(epoch).collect())
    }

    /// Removes what the feed no longer needs, and returns how much that was.
    ///
    /// # Errors
    /// [`StoreError`]; the next call makes up for it.
    pub async fn prune_feed(&self) -> Result<u64, StoreError> {
        const SQL: &str = "DELETE FROM applied_batches WHERE group_id = $1 AND applied_at < now() - make_interval(secs => $2)";
        let client = self.pool.get().await?;
        let statement = client
            .prepare_cached(SQL)
            .await
            .map_err(StoreError::of(Part::Bookkeeping))?;
        client
            .execute(&statement, &[&self.group_id, &FEED_RETENTION.as_secs_f64()])
            .await
            .map_err(StoreError::of(Part::Bookkeeping))
    }
}

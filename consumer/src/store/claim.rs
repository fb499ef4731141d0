//! Taking a partition over: from here on, whoever held it before writes nothing more.

use std::time::Duration;

use common::ids::{NextOffset, Offset, Partition};
use deadpool_postgres::Object;
use tokio_postgres::Row;

use super::Store;
use super::error::{Part, StoreError};
use crate::position::{Epoch, Fingerprint, LastRecord, Position};

/// How long a claim waits for the row before it looks who holds it.
const BLOCKED_AFTER: Duration = Duration::from_secs(1);

impl Store {
    /// Claims a partition for `owner`: the epoch grows, and the position is returned. A partition without a row begins at
    /// its beginning, whatever Kafka has committed: a database without a row has nothing of it.
    ///
    /// A previous owner that froze in the middle of a transaction would hold the row for ever, whatever its timeouts say:
    /// its session is ended.
    ///
    /// # Errors
    /// [`StoreError`]; nothing has changed, or the claim will be superseded by the next.
    pub async fn claim(&self, partition: Partition, owner: &str) -> Result<Position, StoreError> {
        let client = self.pool.get().await?;
        let backend = backend_pid(&client).await?;
        let claim = self.insert_claim(&client, partition, owner);
        tokio::pin!(claim);
        match tokio::time::timeout(BLOCKED_AFTER, &mut claim).await {
            Ok(position) => position,
            Err(_) => {
                // The claim goes on whether or not that could be done: dropped, it would run later, unasked.
                if let Err(error) = self.end_blockers(partition, backend).await {
                    tracing::warn!(kafka.partition = partition.0, %error, "could not look who holds the partition");
                }
                claim.await
            }
        }
    }

    async fn insert_claim(
        &self,
        client: &Object,
        partition: Partition,
        owner: &str,
    ) -> Result<Position, StoreError> {
        const SQL: &str = "
            INSERT INTO consumer_offsets AS o (group_id, topic, partition, next_offset, epoch, owner)
            VALUES ($1, $2, $3, 0, 1, $4)
            ON CONFLICT (group_id, topic, partition)
            DO UPDATE SET epoch = o.epoch + 1, owner = excluded.owner, claimed_at = now()
            RETURNING epoch, next_offset, last_record_offset, last_record_hash";
        let statement = client
            .prepare_cached(SQL)
            .await
            .map_err(StoreError::of(Part::Bookkeeping))?;
        let row = client
            .query_one(
                &statement,
                &[&self.group_id, &self.topic, &partition.0, &owner],
            )
            .await
            .map_err(StoreError::of(Part::Bookkeeping))?;
        Ok(position_of(&row))
    }

    /// Ends the sessions of this group's consumers that block `backend`, and of nobody else.
    async fn end_blockers(&self, partition: Partition, backend: i32) -> Result<(), StoreError> {
        const SQL: &str = "
            SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE pid = ANY(pg_blocking_pids($1)) AND application_name = $2";
        let client = self.pool.get().await?;
        let ended = client
            .query(SQL, &[&backend, &self.application_name])
            .await
            .map_err(StoreError::of(Part::Bookkeeping))?;
        for row in ended {
            let pid: i32 = row.get(0);
            tracing::warn!(
                kafka.partition = partition.0,
                postgres.pid = pid,
                "the partition's former owner was stuck in a transaction: its session was ended"
            );
        }
        Ok(())
    }
}

async fn backend_pid(client: &Object) -> Result<i32, StoreError> {
    let row = client
        .query_one("SELECT pg_backend_pid()", &[])
        .await
        .map_err(StoreError::of(Part::Bookkeeping))?;
    Ok(row.get(0))
}

fn position_of(row: &Row) -> Position {
    let hash: Option<&[u8]> = row.get("last_record_hash");
    let fingerprint = hash.and_then(|hash| hash.try_into().ok()).map(Fingerprint);
    let offset: Option<i64> = row.get("last_record_offset");
    Position {
        epoch: Epoch(row.get("epoch")),
        next_offset: NextOffset(row.get("next_offset")),
        last_record: offset
            .zip(fingerprint)
            .map(|(offset, fingerprint)| LastRecord {
                offset: Offset(offset),
                fingerprint,
            }),
    }
}

//! The transaction: a batch of records becomes rows, sums and a new position, all of it or nothing.
//!
//! `consumer_offsets` in PostgreSQL is the truth about what was applied. [`Store::claim`] takes a partition over and returns
//! its position; [`Store::apply`] moves it. The first statement of every transaction moves the position from exactly where
//! this member left it, under the epoch of its claim. If that matches no row, nothing else is sent: either another member
//! has claimed the partition ([`StoreError::Fenced`]), or an earlier COMMIT of this very batch had succeeded and only its
//! answer was lost, in which case the batch is done. So a batch may be tried again after any error, any number of times.
//!
//! Only a committed transaction makes a [`Committed`], and only a [`Committed`] moves Kafka's offsets.
//!
//! Nothing here knows Kafka beyond offsets, and nothing decides when to retry: see [`crate::workers`].

use std::collections::BTreeMap;

use common::ids::{NextOffset, Partition};
use deadpool_postgres::{Object, Pool, Transaction};

use crate::dead_letters::{DeadLetter, Reason};
use crate::position::{Epoch, Position};
use crate::tally::Tally;

mod claim;
mod copy;
mod error;
mod novelty;
mod progress;
mod rows;
mod slice;
mod sums;

use error::Part;
pub use error::StoreError;
pub use novelty::{Informed, KnownOrders};
use rows::NumberedOrder;
pub use slice::Slice;
pub(crate) use sums::{add_to_hours, add_to_users};

/// The database, as one consumer group sees one topic.
#[derive(Debug, Clone)]
pub struct Store {
    pool: Pool,
    group_id: String,
    topic: String,
    application_name: String,
}

/// What a transaction is about.
#[derive(Debug, Clone, Copy)]
pub enum Change<'b> {
    /// Records to apply; the position moves behind the last of them.
    Records(Slice<'b>),
    /// Nothing lies before this offset that could be read: control records of transactions, which leave gaps.
    EndOfPartition(NextOffset),
}

impl Change<'_> {
    fn end(self, start: Position) -> Position {
        match self {
            Self::Records(slice) => {
                let last_record = slice.last_record();
                Position {
                    next_offset: last_record.offset.next(),
                    last_record: Some(last_record),
                    ..start
                }
            }
            Self::EndOfPartition(next_offset) => Position {
                next_offset,
                ..start
            },
        }
    }
}

/// How many records of a batch became what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcomes {
    pub new: usize,
    pub duplicates: usize,
    /// Duplicates that can be told by their bytes alone.
    pub repeats: usize,
    pub dead_letters: BTreeMap<Reason, usize>,
}

/// Evidence of a committed transaction.
#[derive(Debug, Clone)]
pub struct Committed {
    position: Position,
    /// `None` where the answer to an earlier COMMIT was lost and only its effect was found.
    outcomes: Option<Outcomes>,
}

impl Committed {
    /// Where the partition stands now.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    #[must_use]
    pub fn outcomes(&self) -> Option<&Outcomes> {
        self.outcomes.as_ref()
    }
}

impl Store {
    #[must_use]
    pub fn new(pool: Pool, group_id: String, topic: String, application_name: String) -> Self {
        Self {
            pool,
            group_id,
            topic,
            application_name,
        }
    }

    /// Makes a change in one transaction, which also moves the position. Safe to call again with the same arguments after
    /// any error.
    ///
    /// # Errors
    /// [`StoreError`]: unless it is a connection that broke during COMMIT, nothing was applied.
    pub async fn apply(
        &self,
        partition: Partition,
        position: Position,
        change: Change<'_>,
    ) -> Result<Committed, StoreError> {
        let session = self.pool.get().await?;
        self.apply_in(session, partition, position, change).await
    }

    /// As [`Store::apply`], in the session that has said which of the records are [`Decoded::Known`]: only there is that so.
    ///
    /// # Errors
    /// As [`Store::apply`].
    pub async fn apply_informed(
        &self,
        informed: Informed,
        partition: Partition,
        position: Position,
        slice: Slice<'_>,
    ) -> Result<Committed, StoreError> {
        let change = Change::Records(slice);
        self.apply_in(informed.session, partition, position, change)
            .await
    }

    async fn apply_in(
        &self,
        mut session: Object,
        partition: Partition,
        position: Position,
        change: Change<'_>,
    ) -> Result<Committed, StoreError> {
        let end = change.end(position);
        let tx = session
            .transaction()
            .await
            .map_err(StoreError::of(Part::Bookkeeping))?;
        let Some(batch_no) = self.advance(&tx, partition, &position, &end).await? else {
            tx.rollback()
                .await
                .map_err(StoreError::of(Part::Bookkeeping))?;
            return self.settle(&session, partition, end).await;
        };
        let outcomes = match change {
            Change::Records(slice) => self.write(&tx, partition, batch_no, &end, slice).await?,
            Change::EndOfPartition(next_offset) => {
                let nothing = Tally::default();
                self.announce(&tx, partition, batch_no, next_offset, &nothing, 0)
                    .await?;
                Outcomes::default()
            }
        };
        // Every statement before has succeeded, so this cannot answer ROLLBACK: an aborted transaction has an error above.
        tx.commit()
            .await
            .map_err(StoreError::of(Part::Bookkeeping))?;
        Ok(Committed {
            position: end,
            outcomes: Some(outcomes),
        })
    }

    /// Moves the position, if it is still where this member left it, and returns the batch's number. Waits for whoever is
    /// in the middle of moving it.
    async fn advance(
        &self,
        tx: &Transaction<'_>,
        partition: Partition,
        start: &Position,
        end: &Position,
    ) -> Result<Option<i64>, StoreError> {
        const SQL: &str = "
            UPDATE consumer_offsets
               SET next_offset = $6, batch_no = batch_no + 1, last_record_offset = $7, last_record_hash = $8,
                   committed_at = now()
             WHERE group_id = $1 AND topic = $2 AND partition = $3 AND epoch = $4 AND next_offset = $5
            RETURNING batch_no";
        let statement = tx
            .prepare_cached(SQL)
            .await
            .map_err(StoreError::of(Part::Bookkeeping))?;
        let (offset, hash) = end
            .last_record
            .map(|last| (last.offset.0, last.fingerprint.0))
            .unzip();
        let hash = hash.as_ref().map(<[u8; 16]>::as_slice);
        let row = tx
            .query_opt(
                &statement,
                &[
                    &self.group_id,
                    &self.topic,
                    &partition.0,
                    &start.epoch.0,
                    &start.next_offset.0,
                    &end.next_offset.0,
                    &offset,
                    &hash,
                ],
            )
            .await
            .map_err(StoreError::of(Part::Bookkeeping))?;
        Ok(row.map(|row| row.get(0)))
    }

    /// The position was not where this member left it. Under this member's epoch only this member can have moved it.
    async fn settle(
        &self,
        session: &Object,
        partition: Partition,
        end: Position,
    ) -> Result<Committed, StoreError> {
        const SQL: &str = "
            SELECT epoch, next_offset FROM consumer_offsets
             WHERE group_id = $1 AND topic = $2 AND partition = $3 FOR UPDATE";
        let row = session
            .query_opt(SQL, &[&self.group_id, &self.topic, &partition.0])
            .await
            .map_err(StoreError::of(Part::Bookkeeping))?
            .ok_or(StoreError::Fenced)?;
        let found = (Epoch(row.get("epoch")), NextOffset(row.get("next_offset")));
        if found == (end.epoch, end.next_offset) {
            tracing::info!(
                kafka.partition = partition.0,
                kafka.next_offset = end.next_offset.0,
                "an earlier commit had succeeded, only its answer was lost"
            );
            return Ok(Committed {
                position: end,
                outcomes: None,
            });
        }
        Err(StoreError::Fenced)
    }

    async fn write(
        &self,
        tx: &Transaction<'_>,
        partition: Partition,
        batch_no: i64,
        end: &Position,
        slice: Slice<'_>,
    ) -> Result<Outcomes, StoreError> {
        let (first_order_no, known) = self.known_orders(tx, slice).await?;
        let sorted = novelty::sort(slice, &known);
        let numbered: Vec<_> = sorted
            .new
            .iter()
            .zip(first_order_no..)
            .map(|(received, order_no)| NumberedOrder { order_no, received })
            .collect();
        rows::copy_new_orders(tx, &numbered).await?;
        let tally = Tally::of(sorted.new.iter().map(|received| &received.order));
        sums::add_to_users(tx, &tally).await?;
        sums::add_to_hours(tx, partition, &tally).await?;
        let dead_letters: Vec<&DeadLetter> = sorted
            .poison
            .iter()
            .copied()
            .chain(&sorted.conflicts)
            .collect();
        rows::copy_dead_letters(tx, &self.group_id, &self.topic, partition, &dead_letters).await?;
        self.announce(
            tx,
            partition,
            batch_no,
            end.next_offset,
            &tally,
            dead_letters.len(),
        )
        .await?;
        let mut outcomes = Outcomes {
            new: sorted.new.len(),
            duplicates: sorted.duplicates,
            repeats: sorted.repeats,
            dead_letters: BTreeMap::new(),
        };
        for letter in dead_letters {
            *outcomes.dead_letters.entry(letter.reason).or_default() += 1;
        }
        Ok(outcomes)
    }
}

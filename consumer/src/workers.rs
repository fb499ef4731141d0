//! One batch of one partition: take, decode, apply; again on trouble that passes, in halves on a record that the database
//! refuses. A job owns its partition's intake, so that a partition has one batch in flight at most.

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::ids::{NextOffset, Offset, Partition};
use common::retry::Backoff;
use tokio_util::sync::CancellationToken;

use crate::batch::BatchLimits;
use crate::dead_letters::{DeadLetter, Reason};
use crate::decode::{Decoded, Decoder};
use crate::observe;
use crate::position::Position;
use crate::source::{Generation, Intake, IntakeError, Record};
use crate::store::{Change, Committed, Informed, KnownOrders, Slice, Store, StoreError};

/// Waits between attempts while the database is in trouble.
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// What every job shares.
pub struct Worker {
    pub store: Store,
    pub decoder: Decoder,
    pub limits: BatchLimits,
    pub max_consecutive_poison: u32,
}

/// A partition at work.
pub struct Job {
    pub partition: Partition,
    pub generation: Generation,
    pub intake: Intake,
    pub position: Position,
    pub recent: Recent,
    /// The partition is to be given up: a wait between attempts ends, an attempt does not.
    pub leaving: CancellationToken,
}

/// What the last records of a partition were.
#[derive(Debug, Clone, Copy, Default)]
pub struct Recent {
    /// Undecodable or invalid ones since the last good one.
    poison_run: u32,
    /// At least half of the last batch could be told by its bytes to be stored already: somebody replays.
    repeats: bool,
}

/// A job that ended; the position is the last one committed, whatever the result.
pub struct Finished {
    pub job: Job,
    pub result: Result<Progress, Halt>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// There may be more at once.
    More,
    /// Everything that had arrived is applied.
    Drained,
}

/// Why a partition does not go on as it is.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    #[error("given up while the database was in trouble")]
    Interrupted,
    #[error("another member has claimed it")]
    Fenced,
    #[error(transparent)]
    Intake(#[from] IntakeError),
    #[error("{0}")]
    Store(StoreError),
    #[error(
        "{run} records in a row up to offset {offset} are no orders: is this the right topic? \
         The records are kept as dead letters; a restart reads on"
    )]
    Flood { run: u32, offset: Offset },
}

impl Worker {
    /// Runs one batch. Never cancelled by its caller: a transaction that was begun is finished.
    pub async fn run(self: Arc<Self>, mut job: Job) -> Finished {
        let result = self.batch(&mut job).await;
        Finished { job, result }
    }

    async fn batch(&self, job: &mut Job) -> Result<Progress, Halt> {
        let began = Instant::now();
        let batch = job.intake.take(self.limits)?;
        let records = batch.records();
        let attempts = Attempts {
            worker: self,
            partition: job.partition,
            leaving: &job.leaving,
        };
        if records.is_empty() {
            if let Some(end) = batch.end_of_partition() {
                attempts.follow(&mut job.position, end).await?;
            }
            return Ok(Progress::Drained);
        }
        let informed = self.inform(job.recent, records).await;
        let decoded = self.decode(records, informed.as_ref().map(|informed| &informed.known));
        let (until, flood) = self.until_flood(&mut job.recent.poison_run, records, &decoded);
        let slice = Slice::new(&records[..until], &decoded[..until]);
        let repeats = match informed {
            Some(informed) => {
                attempts
                    .apply_informed(&mut job.position, slice, informed)
                    .await?
            }
            None => attempts.apply_all(&mut job.position, slice).await?,
        };
        job.recent.repeats = repeats * 2 >= until;
        observe::batch(job.partition, until, began.elapsed());
        match flood {
            Some(halt) => Err(halt),
            None if batch.drained() => Ok(Progress::Drained),
            None => Ok(Progress::More),
        }
    }

    fn decode(&self, records: &[Record<'_>], known: Option<&KnownOrders>) -> Vec<Decoded> {
        let decode = |record| {
            if known.is_some_and(|known| known.repeated_by(record)) {
                Decoded::Known
            } else {
                self.decoder.decode(record)
            }
        };
        // Thousands of orders take milliseconds: long enough to leave the other tasks to the other threads.
        tokio::task::block_in_place(|| records.iter().map(decode).collect())
    }

    /// While somebody replays, the database is asked before anything is decoded: what it knows need not be. Not otherwise:
    /// new orders would be looked up twice.
    async fn inform(&self, recent: Recent, records: &[Record<'_>]) -> Option<Informed> {
        if !recent.repeats {
            return None;
        }
        let informed = self.store.inform(records).await;
        // It was a short way. The long one meets the same trouble, and tells of it.
        informed
            .inspect_err(|error| tracing::debug!(%error, "every record is decoded"))
            .ok()
    }

    /// How many records to apply: all, or up to the one that makes it a flood.
    fn until_flood(
        &self,
        run: &mut u32,
        records: &[Record<'_>],
        decoded: &[Decoded],
    ) -> (usize, Option<Halt>) {
        for (index, decoded) in decoded.iter().enumerate() {
            let record = &records[index];
            *run = match decoded {
                // What an operator publishes again says nothing of what others send.
                Decoded::Poison(letter)
                    if letter.is_replayed(&self.decoder.topic, record.partition()) =>
                {
                    *run
                }
                Decoded::Poison(letter) if letter.reason.counts_towards_a_flood() => *run + 1,
                Decoded::Poison(_) | Decoded::Order(_) | Decoded::Known => 0,
            };
            if *run >= self.max_consecutive_poison {
                let halt = Halt::Flood {
                    run: *run,
                    offset: record.offset(),
                };
                return (index + 1, Some(halt));
            }
        }
        (records.len(), None)
    }
}

struct Attempts<'w> {
    worker: &'w Worker,
    partition: Partition,
    leaving: &'w CancellationToken,
}

impl Attempts<'_> {
    /// Applies the slice in the session that has told which of its records are known. On trouble, or a record that the
    /// database refuses, every record is decoded and the long way taken: nobody then believes what that session said.
    async fn apply_informed(
        &self,
        position: &mut Position,
        slice: Slice<'_>,
        informed: Informed,
    ) -> Result<usize, Halt> {
        let applied = self
            .worker
            .store
            .apply_informed(informed, self.partition, *position, slice)
            .await;
        match applied {
            Ok(committed) => Ok(self.committed(position, &committed)),
            Err(error @ (StoreError::Fenced | StoreError::Fatal { .. })) => Err(halt(error)),
            Err(error @ (StoreError::Transient { .. } | StoreError::Condemned { .. })) => {
                if let StoreError::Transient { cause, .. } = &error {
                    observe::retry(cause);
                    if self.leaving.is_cancelled() {
                        return Err(halt(error));
                    }
                }
                tracing::debug!(%error, "every record is decoded");
                let decoded = self.worker.decode(slice.records(), None);
                self.apply_all(position, Slice::new(slice.records(), &decoded))
                    .await
            }
        }
    }

    /// Applies the slice; while the database refuses a row, in halves, each a transaction of its own, until the record to
    /// blame stands alone: it becomes a dead letter, its neighbours land. Returns how many were stored before, byte
    /// for byte.
    async fn apply_all(&self, position: &mut Position, whole: Slice<'_>) -> Result<usize, Halt> {
        let mut rest = vec![whole];
        let mut repeats = 0;
        while let Some(slice) = rest.pop() {
            let committed = match self.apply(*position, Change::Records(slice)).await {
                Ok(committed) => committed,
                Err(StoreError::Condemned { sqlstate, message }) => match slice.halves() {
                    Some((first, second)) => {
                        rest.extend([second, first]);
                        continue;
                    }
                    None => {
                        self.refuse(*position, slice, &format!("SQLSTATE {sqlstate}: {message}"))
                            .await?
                    }
                },
                Err(error) => return Err(halt(error)),
            };
            repeats += self.committed(position, &committed);
        }
        Ok(repeats)
    }

    /// Moves the position, and says how many of the records were stored before, byte for byte.
    fn committed(&self, position: &mut Position, committed: &Committed) -> usize {
        *position = committed.position();
        observe::outcomes(self.partition, committed);
        committed.outcomes().map_or(0, |outcomes| outcomes.repeats)
    }

    /// Everything before `end` was read and applied: the position follows.
    async fn follow(&self, position: &mut Position, end: NextOffset) -> Result<(), Halt> {
        if position.next_offset < end {
            let committed = self
                .apply(*position, Change::EndOfPartition(end))
                .await
                .map_err(halt)?;
            *position = committed.position();
        }
        Ok(())
    }

    async fn refuse(
        &self,
        position: Position,
        slice: Slice<'_>,
        detail: &str,
    ) -> Result<Committed, Halt> {
        let record = slice.first();
        let letter = DeadLetter::new(record, Reason::Refused, detail, slice.first_order_id());
        let refused = [Decoded::Poison(Box::new(letter))];
        self.apply(
            position,
            Change::Records(Slice::new(std::slice::from_ref(record), &refused)),
        )
        .await
        .map_err(halt)
    }

    /// Tries until it is decided. Only giving the partition up ends it, and only between two attempts.
    async fn apply(&self, position: Position, change: Change<'_>) -> Result<Committed, StoreError> {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        let mut failures = 0_u64;
        loop {
            let error = match self
                .worker
                .store
                .apply(self.partition, position, change)
                .await
            {
                Ok(committed) => {
                    if failures > 0 {
                        tracing::info!(
                            kafka.partition = self.partition.0,
                            failures,
                            "applied after all"
                        );
                    }
                    return Ok(committed);
                }
                Err(error) => error,
            };
            let StoreError::Transient { cause, message } = &error else {
                return Err(error);
            };
            observe::retry(cause);
            if failures == 0 {
                tracing::warn!(
                    kafka.partition = self.partition.0,
                    cause,
                    error = message,
                    "the batch could not be applied; trying until it can"
                );
            }
            failures += 1;
            tokio::select! {
                () = tokio::time::sleep(backoff.next_wait()) => {}
                () = self.leaving.cancelled() => return Err(error),
            }
        }
    }
}

fn halt(error: StoreError) -> Halt {
    match error {
        StoreError::Transient { .. } => Halt::Interrupted,
        StoreError::Fenced => Halt::Fenced,
        StoreError::Condemned { .. } | StoreError::Fatal { .. } => Halt::Store(error),
    }
}

//! Which partitions are this member's: assignments, claims, revocations.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use common::ids::{NextOffset, Partition};
use tokio_util::sync::CancellationToken;

use super::{CLAIM_AGAIN, Pipeline, PipelineError, numbers};
use crate::lane::Lane;
use crate::observe;
use crate::position::Position;
use crate::source::{Generation, Release};
use crate::store::StoreError;

pub(super) struct Claimed {
    partition: Partition,
    generation: Generation,
    /// `None` if the partition was taken back before the claim could be made.
    result: Option<Result<Position, StoreError>>,
}

/// A revocation whose batches in flight have not all ended.
pub(super) struct PendingRelease {
    waiting: BTreeSet<Partition>,
    positions: Vec<(Partition, NextOffset)>,
    deadline: Instant,
    reply: SyncSender<Vec<(Partition, NextOffset)>>,
}

impl PendingRelease {
    /// A batch that the revocation may have waited for has ended at `next`.
    pub(super) fn ended(&mut self, partition: Partition, next: NextOffset) {
        if self.waiting.remove(&partition) {
            self.positions.push((partition, next));
        }
    }
}

impl Pipeline {
    pub(super) fn on_assigned(&mut self, partitions: &[Partition]) {
        self.joined = true;
        observe::rebalance("assigned");
        tracing::info!(kafka.partitions = ?numbers(partitions), "assigned");
        for &partition in partitions {
            match self.lanes.get_mut(&partition) {
                Some(Lane::Working { leaving, .. }) => {
                    leaving.cancel();
                    self.lanes
                        .insert(partition, Lane::Leaving { reassigned: true });
                }
                Some(Lane::Leaving { reassigned }) => *reassigned = true,
                Some(
                    Lane::Claiming { .. }
                    | Lane::Waiting { .. }
                    | Lane::Starting { .. }
                    | Lane::Idle(_)
                    | Lane::Queued(_)
                    | Lane::Stopped { .. },
                )
                | None => self.claim(partition),
            }
        }
    }

    pub(super) fn on_revoked(&mut self, release: Release) {
        let Release {
            partitions,
            lost,
            timeout,
            reply,
        } = release;
        observe::rebalance(if lost { "lost" } else { "revoked" });
        let mut pending = PendingRelease {
            waiting: BTreeSet::new(),
            positions: Vec::new(),
            deadline: Instant::now() + timeout,
            reply,
        };
        for &partition in &partitions {
            observe::released(partition);
            self.statistics.remove(&partition);
            match self.lanes.remove(&partition) {
                Some(Lane::Working { leaving, .. }) => {
                    leaving.cancel();
                    self.lanes
                        .insert(partition, Lane::Leaving { reassigned: false });
                    pending.waiting.insert(partition);
                }
                Some(Lane::Leaving { .. }) => {
                    self.lanes
                        .insert(partition, Lane::Leaving { reassigned: false });
                }
                Some(Lane::Idle(running) | Lane::Queued(running)) => {
                    pending
                        .positions
                        .push((partition, running.position.next_offset));
                }
                Some(
                    Lane::Claiming { .. }
                    | Lane::Waiting { .. }
                    | Lane::Starting { .. }
                    | Lane::Stopped { .. },
                )
                | None => {}
            }
        }
        tracing::info!(
            kafka.partitions = ?numbers(&partitions),
            in_flight = pending.waiting.len(),
            "{}",
            if lost { "lost" } else { "revoked" }
        );
        if lost {
            // Somebody else owns them: what is in flight is fenced, and nothing waits for it.
            pending.waiting.clear();
            pending.positions.clear();
        }
        self.release = Some(pending);
        self.answer_release();
    }

    /// Answers the waiting revocation once nothing of it is in flight, or its time is up.
    pub(super) fn answer_release(&mut self) {
        let Some(release) = self
            .release
            .take_if(|release| release.waiting.is_empty() || release.deadline <= Instant::now())
        else {
            return;
        };
        if !release.waiting.is_empty() {
            let late: Vec<_> = release.waiting.iter().copied().collect();
            tracing::warn!(
                kafka.partitions = ?numbers(&late),
                "batches did not finish in time; the next owner's claim decides about them"
            );
        }
        if release.reply.send(release.positions).is_err() {
            tracing::debug!("the revocation had stopped waiting");
        }
    }

    /// What this member reads of the partition may be out of order: it is claimed and read again from the position.
    pub(super) fn on_disturbed(&mut self, partition: Partition) {
        match self.lanes.get_mut(&partition) {
            Some(Lane::Working { leaving, .. }) => {
                leaving.cancel();
                self.lanes
                    .insert(partition, Lane::Leaving { reassigned: true });
            }
            Some(Lane::Starting { .. } | Lane::Idle(_) | Lane::Queued(_)) => {
                tracing::warn!(
                    kafka.partition = partition.0,
                    "reading was disturbed; claiming the partition again"
                );
                self.wait(partition, CLAIM_AGAIN);
            }
            Some(
                Lane::Claiming { .. }
                | Lane::Waiting { .. }
                | Lane::Leaving { .. }
                | Lane::Stopped { .. },
            )
            | None => {}
        }
    }

    /// Somebody else claimed a partition that this member holds, or an operator set its position. One with a batch in flight
    /// finds out by itself; one that has nothing to apply, or that had stopped, would not.
    pub(super) fn on_epochs(&mut self) -> Result<(), PipelineError> {
        let seen = self.epochs.borrow_and_update().clone();
        for (partition, epoch) in seen {
            let superseded = |position: &Position| position.epoch < epoch;
            match self.lanes.get(&partition) {
                Some(Lane::Idle(running)) if superseded(&running.position) => {
                    observe::fenced();
                    tracing::warn!(
                        kafka.partition = partition.0,
                        "fenced: the partition was claimed, or its position set, elsewhere"
                    );
                    self.wait(partition, self.config.session_timeout);
                    self.source.stop(partition)?;
                }
                Some(Lane::Stopped { position, .. }) if superseded(position) => {
                    tracing::info!(
                        kafka.partition = partition.0,
                        "the position was set; trying again"
                    );
                    self.wait(partition, Duration::ZERO);
                }
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    pub(super) fn wait(&mut self, partition: Partition, duration: Duration) {
        self.lanes.insert(
            partition,
            Lane::Waiting {
                until: Instant::now() + duration,
            },
        );
    }

    pub(super) fn claim(&mut self, partition: Partition) {
        self.generations += 1;
        let generation = Generation(self.generations);
        let revoked = CancellationToken::new();
        self.lanes.insert(
            partition,
            Lane::Claiming {
                generation,
                revoked: revoked.clone().drop_guard(),
            },
        );
        let (worker, owner) = (Arc::clone(&self.worker), self.config.owner.clone());
        let permits = Arc::clone(&self.claim_permits);
        self.claims.spawn(async move {
            let _permit = permits
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            // A claim that is late would fence whoever owns the partition by then.
            let result = match revoked.is_cancelled() {
                true => None,
                false => Some(worker.store.claim(partition, &owner).await),
            };
            Claimed {
                partition,
                generation,
                result,
            }
        });
    }

    pub(super) fn on_claimed(&mut self, claimed: Claimed) -> Result<(), PipelineError> {
        let Claimed {
            partition,
            generation,
            result,
        } = claimed;
        match self.lanes.get(&partition) {
            Some(Lane::Claiming {
                generation: current,
                ..
            }) if *current == generation => {}
            // Revoked, or claimed again, meanwhile.
            Some(_) | None => return Ok(()),
        }
        let Some(result) = result else {
            return Ok(());
        };
        match result {
            Ok(position) => {
                tracing::info!(
                    kafka.partition = partition.0,
                    kafka.next_offset = position.next_offset.0,
                    epoch = position.epoch.0,
                    "claimed"
                );
                self.lanes.insert(
                    partition,
                    Lane::Starting {
                        generation,
                        position,
                    },
                );
                self.source.fetch(partition, generation, position)?;
            }
            Err(error) => {
                tracing::warn!(kafka.partition = partition.0, %error, "the claim failed; trying again");
                self.wait(partition, CLAIM_AGAIN);
            }
        }
        Ok(())
    }
}

//! Who works on what: partitions with records wait for a free worker, and come back with what became of their batch.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use common::ids::Partition;
use tokio_util::sync::CancellationToken;

use super::{CLAIM_AGAIN, Pipeline, PipelineError};
use crate::lane::{Lane, Running};
use crate::observe;
use crate::position::Position;
use crate::source::{Generation, IntakeError};
use crate::workers::{Finished, Halt, Job, Progress};

impl Pipeline {
    pub(super) fn on_ready(&mut self, partitions: &BTreeSet<Partition>) {
        for &partition in partitions {
            match self.lanes.remove(&partition) {
                Some(Lane::Idle(running)) => self.enqueue(partition, running),
                Some(Lane::Working {
                    position, leaving, ..
                }) => {
                    self.lanes.insert(
                        partition,
                        Lane::Working {
                            position,
                            leaving,
                            arrived: true,
                        },
                    );
                }
                Some(lane) => {
                    self.lanes.insert(partition, lane);
                }
                None => {}
            }
        }
    }

    pub(super) fn enqueue(&mut self, partition: Partition, running: Running) {
        self.lanes.insert(partition, Lane::Queued(running));
        self.queue.push_back(partition);
    }

    /// The broker's end offsets, once a second.
    pub(super) fn on_ends(&mut self) {
        let ends = self.ends.borrow_and_update().clone();
        let shrunk: Vec<_> = ends
            .iter()
            .filter(|(partition, now)| {
                let before = self.known_ends.get(partition);
                before.is_some_and(|before| now.offset < before.offset)
            })
            .map(|(partition, _)| *partition)
            .collect();
        self.known_ends = ends;
        // A partition does not become shorter; one of a topic that was made again is, and while it is shorter than the
        // position the broker refuses to be read there. The next claim compares records. What librdkafka hides is a topic that
        // is made again and outgrows the position within the same second: it goes on at the same offset of the new one.
        for partition in shrunk {
            self.on_disturbed(partition);
        }
        self.wake_lagging();
    }

    /// An idle partition with lag was woken and found nothing yet, or its wake-up was lost: dropping a partition's former queue
    /// also takes the callback from its present one, they are the same to librdkafka. Either the broker's word or what has
    /// been fetched will do.
    pub(super) fn wake_lagging(&mut self) {
        let lags = |partition: &Partition, running: &Running| {
            let end = self.known_ends.get(partition);
            let fetched = self.statistics.get(partition);
            end.is_some_and(|end| running.position.next_offset < end.offset)
                || fetched.is_some_and(|fetched| fetched.buffered_bytes > 0)
        };
        let lagging: BTreeSet<_> = self
            .lanes
            .iter()
            .filter(
                |(partition, lane)| matches!(lane, Lane::Idle(running) if lags(partition, running)),
            )
            .map(|(partition, _)| *partition)
            .collect();
        self.on_ready(&lagging);
    }

    /// Gives queued partitions to free workers.
    pub(super) fn dispatch(&mut self) {
        while self.jobs.len() < self.config.workers {
            let Some(partition) = self.queue.pop_front() else {
                return;
            };
            let running = match self.lanes.remove(&partition) {
                Some(Lane::Queued(running)) => running,
                // It changed its state while it stood in the queue.
                Some(lane) => {
                    self.lanes.insert(partition, lane);
                    continue;
                }
                None => continue,
            };
            let Running {
                generation,
                intake,
                position,
                recent,
            } = running;
            let leaving = CancellationToken::new();
            let job = Job {
                partition,
                generation,
                intake,
                position,
                recent,
                leaving: leaving.clone(),
            };
            self.lanes.insert(
                partition,
                Lane::Working {
                    position,
                    leaving,
                    arrived: false,
                },
            );
            self.jobs.spawn(Arc::clone(&self.worker).run(job));
        }
    }

    pub(super) fn on_finished(&mut self, finished: Finished) -> Result<(), PipelineError> {
        let Finished { job, result } = finished;
        let Job {
            partition,
            generation,
            intake,
            position,
            recent,
            ..
        } = job;
        // Whatever became of the lane meanwhile: a member that was suspended is told of its loss by the group, and by the
        // database.
        if let Err(Halt::Fenced) = result {
            observe::fenced();
            tracing::warn!(
                kafka.partition = partition.0,
                kafka.next_offset = position.next_offset.0,
                "fenced: another member has claimed the partition, and goes on from what was committed"
            );
        }
        match self.lanes.remove(&partition) {
            Some(Lane::Working { arrived, .. }) => {
                let running = Running {
                    generation,
                    intake,
                    position,
                    recent,
                };
                match result {
                    Ok(Progress::Drained) if !arrived => {
                        self.lanes.insert(partition, Lane::Idle(running));
                    }
                    Ok(Progress::Drained | Progress::More) => self.enqueue(partition, running),
                    Err(halt) => {
                        drop(running);
                        self.on_halt(partition, generation, position, halt)?;
                    }
                }
            }
            Some(Lane::Leaving { reassigned }) => {
                drop(intake);
                if let Some(release) = &mut self.release {
                    release.ended(partition, position.next_offset);
                }
                self.answer_release();
                if reassigned {
                    self.claim(partition);
                }
            }
            // A lane with a batch in flight is in no other state.
            Some(lane) => {
                tracing::error!(kafka.partition = partition.0, state = ?lane.state(), "a batch ended in a state that has none");
                self.claim(partition);
            }
            None => {}
        }
        Ok(())
    }

    pub(super) fn on_halt(
        &mut self,
        partition: Partition,
        generation: Generation,
        position: Position,
        halt: Halt,
    ) -> Result<(), PipelineError> {
        match halt {
            Halt::Interrupted => self.wait(partition, Duration::ZERO),
            Halt::Fenced => {
                self.source.stop(partition)?;
                self.wait(partition, self.config.session_timeout);
            }
            // The record before the position may be gone while the position itself is still there.
            Halt::Intake(IntakeError::Unproved) => {
                tracing::warn!(
                    kafka.partition = partition.0,
                    kafka.next_offset = position.next_offset.0,
                    "the last applied record is no longer there to compare: going on without that proof"
                );
                let unproved = Position {
                    last_record: None,
                    ..position
                };
                self.lanes.insert(
                    partition,
                    Lane::Starting {
                        generation,
                        position,
                    },
                );
                self.source.fetch(partition, generation, unproved)?;
            }
            // The broker's trouble, not the position's: fetching starts again.
            Halt::Intake(IntakeError::Kafka(error)) => {
                tracing::warn!(kafka.partition = partition.0, %error, "the partition could not be read; starting again");
                self.wait(partition, CLAIM_AGAIN);
            }
            Halt::Intake(IntakeError::OutOfRange(_) | IntakeError::Recreated(_))
            | Halt::Store(_)
            | Halt::Flood { .. } => {
                self.source.stop(partition)?;
                let reason = match halt {
                    Halt::Intake(_) => format!(
                        "{halt}; once that is clear: consumer offsets set --partition {partition} --to OFFSET"
                    ),
                    Halt::Store(_) | Halt::Flood { .. } | Halt::Interrupted | Halt::Fenced => {
                        halt.to_string()
                    }
                };
                tracing::error!(
                    kafka.partition = partition.0,
                    kafka.next_offset = position.next_offset.0,
                    "stopped: {reason}"
                );
                self.lanes
                    .insert(partition, Lane::Stopped { reason, position });
            }
        }
        Ok(())
    }
}

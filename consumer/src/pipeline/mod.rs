//! The one task that owns every partition's state. It reacts to what the group, the workers and the claims report, and
//! never waits for the database or Kafka itself: whatever takes time is a job whose end comes back as an event.
//!
//! Its only await is one biased `select!`. Rebalances come first, because the polling thread may be waiting for the answer;
//! then ends of batches and claims, which free what a rebalance waits for; then arrivals, and the clock last.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::ids::{NextOffset, Partition};
use rdkafka::error::KafkaError;
use tokio::sync::{Semaphore, mpsc::Receiver, watch};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::lane::{Lane, Running};
use crate::source::{PartitionStats, ReadySet, Source, SourceEvent, SourceGone};
use crate::workers::{Finished, Worker};

mod ownership;
mod report;
mod work;

use ownership::{Claimed, PendingRelease};
pub use report::Report;

/// How often Kafka's committed offsets follow, and waiting claims are looked at.
const TICK: Duration = Duration::from_millis(250);
/// Claims made at once. Each may need a second connection, to end the session that blocks it.
pub(crate) const MAX_CLAIMS: usize = 2;
/// How long a failed claim waits for the next.
const CLAIM_AGAIN: Duration = Duration::from_secs(1);

/// What the pipeline is told once.
#[derive(Debug, Clone)]
pub struct PipelineConfig {
    pub topic: String,
    /// Shown in `consumer_offsets.owner`.
    pub owner: String,
    pub workers: usize,
    /// After this long without hearing from a member the group gives its partitions away: a fenced member that still
    /// holds a partition then was fenced by mistake.
    pub session_timeout: Duration,
    pub shutdown_timeout: Duration,
}

/// Why the process has to end.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    #[error("kafka: {0}")]
    Kafka(KafkaError),
    #[error(transparent)]
    Source(#[from] SourceGone),
    #[error("a task ended unexpectedly: {0}")]
    Task(#[from] JoinError),
    #[error("batches in flight did not finish in {0:?}; the next start reads them again")]
    ShutdownTimeout(Duration),
}

pub struct Pipeline {
    config: PipelineConfig,
    worker: Arc<Worker>,
    source: Source,
    events: Receiver<SourceEvent>,
    ready: ReadySet,
    lanes: BTreeMap<Partition, Lane>,
    /// Partitions in [`Lane::Queued`], the longest waiting first.
    queue: VecDeque<Partition>,
    jobs: JoinSet<Finished>,
    claims: JoinSet<Claimed>,
    claim_permits: Arc<Semaphore>,
    release: Option<PendingRelease>,
    statistics: BTreeMap<Partition, PartitionStats>,
    committed_to_kafka: BTreeMap<Partition, NextOffset>,
    joined: bool,
    generations: u64,
    report: watch::Sender<Report>,
}

impl Pipeline {
    #[must_use]
    pub fn new(
        config: PipelineConfig,
        worker: Worker,
        (source, events): (Source, Receiver<SourceEvent>),
        ready: ReadySet,
        report: watch::Sender<Report>,
    ) -> Self {
        Self {
            config,
            worker: Arc::new(worker),
            source,
            events,
            ready,
            lanes: BTreeMap::new(),
            queue: VecDeque::new(),
            jobs: JoinSet::new(),
            claims: JoinSet::new(),
            claim_permits: Arc::new(Semaphore::new(MAX_CLAIMS)),
            release: None,
            statistics: BTreeMap::new(),
            committed_to_kafka: BTreeMap::new(),
            joined: false,
            generations: 0,
            report,
        }
    }

    /// Consumes until `stop`, then finishes what is in flight, commits and leaves the group.
    ///
    /// # Errors
    /// [`PipelineError`]: nothing is lost, the process has to end.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), PipelineError> {
        let mut tick = tokio::time::interval(TICK);
        while !stop.is_cancelled() {
            tokio::select! {
                biased;
                event = self.events.recv() => self.on_event(event.ok_or(SourceGone)?)?,
                Some(finished) = self.jobs.join_next() => self.on_finished(finished?)?,
                Some(claimed) = self.claims.join_next() => self.on_claimed(claimed?)?,
                partitions = self.ready.take() => self.on_ready(&partitions),
                _ = tick.tick() => self.on_tick()?,
                () = stop.cancelled() => break,
            }
            self.dispatch();
            self.publish();
        }
        self.shut_down().await
    }

    fn on_event(&mut self, event: SourceEvent) -> Result<(), PipelineError> {
        match event {
            SourceEvent::Assigned(partitions) => self.on_assigned(&partitions),
            SourceEvent::Revoked(release) => self.on_revoked(release),
            SourceEvent::Started {
                partition,
                generation,
                intake,
            } => {
                if let Some(Lane::Starting {
                    generation: current,
                    position,
                }) = self.lanes.get(&partition)
                    && *current == generation
                {
                    let running = Running {
                        generation,
                        intake,
                        position: *position,
                        poison_run: 0,
                    };
                    // Records may have arrived before anybody watched.
                    self.enqueue(partition, running);
                }
            }
            SourceEvent::Disturbed(partition) => self.on_disturbed(partition),
            SourceEvent::Statistics(statistics) => {
                self.statistics = statistics;
                self.wake_lagging();
            }
            SourceEvent::Fatal(error) => return Err(PipelineError::Kafka(error)),
        }
        Ok(())
    }

    fn on_tick(&mut self) -> Result<(), PipelineError> {
        self.answer_release();
        let now = Instant::now();
        let due: Vec<_> = self
            .lanes
            .iter()
            .filter(|(_, lane)| matches!(lane, Lane::Waiting { until } if *until <= now))
            .map(|(partition, _)| *partition)
            .collect();
        for partition in due {
            self.claim(partition);
        }
        self.commit_to_kafka()
    }

    /// Kafka's committed offsets follow the database's, for those that have moved.
    fn commit_to_kafka(&mut self) -> Result<(), PipelineError> {
        let moved: Vec<_> = self
            .positions()
            .filter(|(partition, next)| self.committed_to_kafka.get(partition) != Some(next))
            .collect();
        if !moved.is_empty() {
            self.committed_to_kafka.extend(moved.iter().copied());
            self.source.commit(moved)?;
        }
        Ok(())
    }

    fn positions(&self) -> impl Iterator<Item = (Partition, NextOffset)> {
        self.lanes
            .iter()
            .filter_map(|(partition, lane)| Some((*partition, lane.position()?.next_offset)))
    }

    async fn shut_down(mut self) -> Result<(), PipelineError> {
        let deadline = Instant::now() + self.config.shutdown_timeout;
        self.queue.clear();
        for lane in self.lanes.values() {
            if let Lane::Working { leaving, .. } = lane {
                leaving.cancel();
            }
        }
        while !self.jobs.is_empty() {
            tokio::select! {
                biased;
                event = self.events.recv() => self.on_event(event.ok_or(SourceGone)?)?,
                Some(finished) = self.jobs.join_next() => self.on_finished(finished?)?,
                () = tokio::time::sleep_until(deadline.into()) => {
                    return Err(PipelineError::ShutdownTimeout(self.config.shutdown_timeout));
                }
            }
        }
        let positions: Vec<_> = self.positions().collect();
        // The source ends only when nobody holds an intake, and must not wait for an answer to its last revocation.
        self.lanes.clear();
        drop(self.events);
        self.source.leave(positions).await?;
        tracing::info!("left the group");
        Ok(())
    }
}

fn numbers(partitions: &[Partition]) -> Vec<i32> {
    partitions.iter().map(|partition| partition.0).collect()
}

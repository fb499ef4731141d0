//! The one task that owns every partition's state. It reacts to what the group, the workers and the claims report, and
//! never waits for the database or Kafka itself: whatever takes time is a job whose end comes back as an event.
//!
//! Its only await is one biased `select!`. Rebalances come first, because the polling thread may be waiting for the answer;
//! then ends of batches and claims, which free what a rebalance waits for; then arrivals, and the clock last.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::ids::{NextOffset, Partition};
use tokio::sync::{Semaphore, mpsc::Receiver, watch};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::lane::{Lane, Running};
use crate::position::Epoch;
use crate::source::{EndOffsets, PartitionStats, ReadySet, Source, SourceEvent, SourceGone};
use crate::workers::{Finished, Recent, Worker};

mod ownership;
mod report;
mod work;

use ownership::{Claimed, PendingRelease};
pub use report::Report;

/// How often waiting claims and revocations are looked at, and the report is renewed.
const TICK: Duration = Duration::from_millis(250);
/// How often Kafka's committed offsets follow. Rarely: librdkafka starts no partition and ends no revocation while a commit
/// is under way.
const KAFKA_COMMIT_INTERVAL: Duration = Duration::from_secs(5);
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
    Kafka(String),
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
    /// As the database had them a second ago.
    epochs: watch::Receiver<BTreeMap<Partition, Epoch>>,
    /// As the broker told them last.
    ends: watch::Receiver<EndOffsets>,
    known_ends: EndOffsets,
    lanes: BTreeMap<Partition, Lane>,
    /// Partitions in [`Lane::Queued`], the longest waiting first.
    queue: VecDeque<Partition>,
    jobs: JoinSet<Finished>,
    claims: JoinSet<Claimed>,
    claim_permits: Arc<Semaphore>,
    release: Option<PendingRelease>,
    statistics: BTreeMap<Partition, PartitionStats>,
    commit_due: Instant,
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
        epochs: watch::Receiver<BTreeMap<Partition, Epoch>>,
        ends: watch::Receiver<EndOffsets>,
        report: watch::Sender<Report>,
    ) -> Self {
        Self {
            config,
            worker: Arc::new(worker),
            source,
            events,
            ready,
            epochs,
            ends,
            known_ends: EndOffsets::new(),
            lanes: BTreeMap::new(),
            queue: VecDeque::new(),
            jobs: JoinSet::new(),
            claims: JoinSet::new(),
            claim_permits: Arc::new(Semaphore::new(MAX_CLAIMS)),
            release: None,
            statistics: BTreeMap::new(),
            commit_due: Instant::now() + KAFKA_COMMIT_INTERVAL,
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
        let outcome = match self.consume(&stop).await {
            Ok(()) => self.finish().await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(deadline) => self.leave(deadline).await,
            Err(error) => {
                // No task may be the last to hold the client: it waits for the group when it is dropped.
                self.jobs.shutdown().await;
                Err(error)
            }
        }
    }

    async fn consume(&mut self, stop: &CancellationToken) -> Result<(), PipelineError> {
        let mut tick = tokio::time::interval(TICK);
        while !stop.is_cancelled() {
            tokio::select! {
                biased;
                event = self.events.recv() => self.on_event(event.ok_or(SourceGone)?)?,
                Some(finished) = self.jobs.join_next() => self.on_finished(finished?)?,
                Some(claimed) = self.claims.join_next() => self.on_claimed(claimed?)?,
                partitions = self.ready.take() => self.on_ready(&partitions),
                Ok(()) = self.epochs.changed() => self.on_epochs()?,
                Ok(()) = self.ends.changed() => self.on_ends(),
                _ = tick.tick() => self.on_tick()?,
                () = stop.cancelled() => {}
            }
            self.dispatch();
        }
        Ok(())
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
                // What was said of the fetch before.
                self.statistics.remove(&partition);
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
                        recent: Recent::default(),
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
        self.publish();
        self.commit_to_kafka()
    }

    /// Kafka's committed offsets follow the database's. All of them: one that Kafka did not take is not reported.
    fn commit_to_kafka(&mut self) -> Result<(), PipelineError> {
        if self.commit_due <= Instant::now() {
            self.commit_due = Instant::now() + KAFKA_COMMIT_INTERVAL;
            self.source.commit(self.positions().collect())?;
        }
        Ok(())
    }

    fn positions(&self) -> impl Iterator<Item = (Partition, NextOffset)> {
        self.lanes
            .iter()
            .filter_map(|(partition, lane)| Some((*partition, lane.position()?.next_offset)))
    }

    /// Waits for the batches in flight; returns when all has to be over.
    async fn finish(&mut self) -> Result<Instant, PipelineError> {
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
        Ok(deadline)
    }

    async fn leave(mut self, deadline: Instant) -> Result<(), PipelineError> {
        let positions: Vec<_> = self.positions().collect();
        // The source ends only when nobody holds an intake, and must not wait for an answer to its last revocation.
        self.lanes.clear();
        drop(self.events);
        self.source.leave(positions, deadline).await?;
        tracing::info!("left the group");
        Ok(())
    }
}

fn numbers(partitions: &[Partition]) -> Vec<i32> {
    partitions.iter().map(|partition| partition.0).collect()
}

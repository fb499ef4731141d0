//! The topic: group membership, and the records of each partition from a position on. Only this module knows rdkafka.
//!
//! One thread polls, and waits for nothing but a revocation's batches, within a bound: the member never leaves its group
//! because something else is slow. Records do not pass through that thread: each partition's queue is handed out as an
//! [`Intake`].

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::{Duration, Instant};

use common::ids::{NextOffset, Partition};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

mod client;
mod context;
mod ends;
mod intake;
mod poller;
mod publish;
mod ready;
mod record;
mod silence;
mod topic;

use context::Context;
pub use context::PartitionStats;
pub use ends::{EndOffset, EndOffsets, EndReader};
pub use intake::{Intake, IntakeError};
use poller::Poller;
pub use publish::{Delivery, Outgoing, PublishError, Publisher};
pub use ready::ReadySet;
pub use record::{Header, Record};
pub use topic::{TopicError, ensure_topic};

use crate::config::KafkaSettings;
use crate::position::Position;

/// Room for events to the pipeline, and for its commands: a few for each of a thousand partitions.
const CHANNEL_CAPACITY: usize = 4096;

/// One claim of one partition by this process. A message about an older one is out of date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(pub u64);

/// What the source tells the pipeline.
pub enum SourceEvent {
    /// The group gave these partitions to this member.
    Assigned(Vec<Partition>),
    /// The group takes these back, and waits for an answer.
    Revoked(Release),
    /// Records of this partition can be taken from now on.
    Started {
        partition: Partition,
        generation: Generation,
        intake: Intake,
    },
    /// Reading this partition is no longer in order: it has to be claimed and started again.
    Disturbed(Partition),
    Statistics(BTreeMap<Partition, PartitionStats>),
    /// The client cannot go on; the process has to end.
    Fatal(String),
}

/// A revocation that waits for its answer: the positions committed in the database.
pub struct Release {
    pub partitions: Vec<Partition>,
    /// The group has given them to somebody else already: nothing may be committed.
    pub lost: bool,
    pub timeout: Duration,
    pub reply: SyncSender<Vec<(Partition, NextOffset)>>,
}

/// What the pipeline asks of the source.
enum Command {
    Start {
        partition: Partition,
        generation: Generation,
        position: Position,
    },
    Stop(Partition),
    Commit(Vec<(Partition, NextOffset)>),
    Leave(Vec<(Partition, NextOffset)>),
}

/// The pipeline's end of the source.
pub struct Source {
    commands: Sender<Command>,
    /// Told when the thread has left the group and ended.
    left: oneshot::Receiver<()>,
}

/// The pipeline asked for more than the polling thread could take in, or that thread is gone.
#[derive(Debug, thiserror::Error)]
#[error("the kafka thread has ended, or did not leave the group in time")]
pub struct SourceGone;

impl Source {
    /// Joins the group and starts the polling thread.
    ///
    /// # Errors
    /// librdkafka refuses a setting, or the system a thread.
    pub fn start(
        settings: &KafkaSettings,
        ready: ReadySet,
    ) -> Result<(Self, Receiver<SourceEvent>), StartError> {
        let (events, received) = channel(CHANNEL_CAPACITY);
        let (commands, inbox) = channel(CHANNEL_CAPACITY);
        let context = Context::new(settings.topic.clone(), events, settings.release_timeout);
        let consumer = BaseConsumer::from_config_and_context(&client::config(settings), context)
            .map_err(|error| StartError::Kafka(client::said(&error)))?;
        consumer
            .subscribe(&[&settings.topic])
            .map_err(|error| StartError::Kafka(client::said(&error)))?;
        let poller = Poller::new(settings.topic.clone(), consumer, inbox, ready);
        let (leaving, left) = oneshot::channel();
        thread::Builder::new().name("kafka".into()).spawn(move || {
            poller.run();
            if leaving.send(()).is_err() {
                tracing::debug!("the pipeline had ended first");
            }
        })?;
        Ok((Self { commands, left }, received))
    }

    /// Starts (or starts again) to fetch a claimed partition; [`SourceEvent::Started`] follows.
    ///
    /// # Errors
    /// [`SourceGone`].
    pub fn fetch(
        &self,
        partition: Partition,
        generation: Generation,
        position: Position,
    ) -> Result<(), SourceGone> {
        self.send(Command::Start {
            partition,
            generation,
            position,
        })
    }

    /// Stops fetching a partition that the group still assigns.
    ///
    /// # Errors
    /// [`SourceGone`].
    pub fn stop(&self, partition: Partition) -> Result<(), SourceGone> {
        self.send(Command::Stop(partition))
    }

    /// Lets Kafka's committed offsets follow, without waiting.
    ///
    /// # Errors
    /// [`SourceGone`].
    pub fn commit(&self, positions: Vec<(Partition, NextOffset)>) -> Result<(), SourceGone> {
        self.send(Command::Commit(positions))
    }

    /// Commits, leaves the group and ends the thread; waits for that no longer than until `deadline`. Every intake must have
    /// been dropped.
    ///
    /// # Errors
    /// [`SourceGone`]: the thread had ended before, or could not leave in time.
    pub async fn leave(
        self,
        positions: Vec<(Partition, NextOffset)>,
        deadline: Instant,
    ) -> Result<(), SourceGone> {
        self.send(Command::Leave(positions))?;
        match tokio::time::timeout_at(deadline.into(), self.left).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(SourceGone),
        }
    }

    fn send(&self, command: Command) -> Result<(), SourceGone> {
        // Never waits: the polling thread may itself be waiting for the pipeline.
        self.commands.try_send(command).map_err(|_| SourceGone)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("kafka: {0}")]
    Kafka(String),
    #[error("kafka thread: {0}")]
    Thread(#[from] io::Error),
}

//! The thread that polls: the group's callbacks run here, and so does every change to what is fetched.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use common::ids::{NextOffset, Partition};
use rdkafka::Offset;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message, OwnedMessage};
use tokio::sync::mpsc::{Receiver, error::TryRecvError};

use super::context::{self, Context};
use super::intake::Intake;
use super::{Command, Generation, ReadySet, SourceEvent};
use crate::position::Position;

/// How long a poll of the main queue waits; a command waits no longer than this.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A partition whose queue is split off, until nothing of it can be left in the main queue.
struct Starting {
    generation: Generation,
    position: Position,
    queue: PartitionQueue<Context>,
    strays: VecDeque<OwnedMessage>,
}

/// The polling thread's state.
pub(super) struct Poller {
    topic: String,
    consumer: Arc<BaseConsumer<Context>>,
    inbox: Receiver<Command>,
    ready: ReadySet,
    starting: HashMap<Partition, Starting>,
}

impl Poller {
    pub(super) fn new(
        topic: String,
        consumer: BaseConsumer<Context>,
        inbox: Receiver<Command>,
        ready: ReadySet,
    ) -> Self {
        Self {
            topic,
            consumer: Arc::new(consumer),
            inbox,
            ready,
            starting: HashMap::new(),
        }
    }

    /// Until it is told to leave the group, or the pipeline is gone.
    pub(super) fn run(mut self) {
        let consumer = Arc::clone(&self.consumer);
        loop {
            match self.inbox.try_recv() {
                Ok(Command::Start {
                    partition,
                    generation,
                    position,
                }) => self.start(partition, generation, position),
                Ok(Command::Stop(partition)) => self.stop(partition),
                Ok(Command::Commit(positions)) => self.commit(positions, CommitMode::Async),
                Ok(Command::Leave(positions)) => return self.commit(positions, CommitMode::Sync),
                Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) => match consumer.poll(POLL_INTERVAL) {
                    None => self.main_queue_is_empty(),
                    Some(Ok(message)) => self.stray(&message),
                    Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                        self.send(SourceEvent::Fatal(KafkaError::MessageConsumptionFatal(
                            code,
                        )));
                    }
                    // Reported by the client's own log and error callbacks; it reconnects by itself.
                    Some(Err(error)) => tracing::debug!(%error, "kafka"),
                },
            }
        }
    }

    fn send(&self, event: SourceEvent) {
        self.consumer.context().send(event);
    }

    /// Fetching begins at the record before the position where there is one: it is compared, not applied again.
    fn start(&mut self, partition: Partition, generation: Generation, position: Position) {
        self.stop(partition);
        if !self
            .consumer
            .context()
            .membership()
            .assigned
            .contains(&partition)
        {
            // The group took it back while this command was on its way.
            return;
        }
        let offset = match position.last_record {
            Some(last_record) => Offset::Offset(last_record.offset.0),
            None if position.next_offset == NextOffset(0) => Offset::Beginning,
            None => Offset::Offset(position.next_offset.0),
        };
        match self.assign(partition, offset) {
            Ok(queue) => {
                let starting = Starting {
                    generation,
                    position,
                    queue,
                    strays: VecDeque::new(),
                };
                self.starting.insert(partition, starting);
            }
            Err(error) => {
                // Most likely the group takes the partition back this moment; if not, it is claimed again.
                tracing::warn!(%error, kafka.partition = partition.0, "the partition could not be started");
                self.send(SourceEvent::Disturbed(partition));
            }
        }
    }

    fn assign(&self, partition: Partition, offset: Offset) -> KafkaResult<PartitionQueue<Context>> {
        let context = self.consumer.context();
        self.consumer
            .incremental_assign(&context.list([(partition, offset)]))?;
        context.membership().fetching.insert(partition);
        let mut queue = self
            .consumer
            .split_partition_queue(&self.topic, partition.0)
            .expect("a topic's name has no NUL, and its partitions have queues");
        let ready = self.ready.clone();
        queue.set_nonempty_callback(move || ready.insert(partition));
        Ok(queue)
    }

    fn stop(&mut self, partition: Partition) {
        self.starting.remove(&partition);
        let context = self.consumer.context();
        let was_fetching = context.membership().fetching.remove(&partition);
        if was_fetching {
            let list = context.list([(partition, Offset::Invalid)]);
            if let Err(error) = self.consumer.incremental_unassign(&list) {
                tracing::warn!(%error, kafka.partition = partition.0, "the partition could not be stopped");
            }
        }
    }

    fn commit(&self, positions: Vec<(Partition, NextOffset)>, mode: CommitMode) {
        if positions.is_empty() {
            return;
        }
        let context = self.consumer.context();
        let current = positions
            .into_iter()
            .filter(|(partition, _)| context.fetches(*partition));
        let list =
            context.list(current.map(|(partition, next)| (partition, Offset::Offset(next.0))));
        if list.count() > 0 {
            context::commit(&self.consumer, &list, mode);
        }
    }

    /// Records that were fetched before a partition's queue was split off come first.
    fn stray(&mut self, message: &BorrowedMessage<'_>) {
        let partition = Partition(message.partition());
        if let Some(starting) = self.starting.get_mut(&partition) {
            starting.strays.push_back(message.detach());
        } else if self.consumer.context().fetches(partition) {
            self.send(SourceEvent::Disturbed(partition));
        }
    }

    /// Everything that had been fetched before the splits was polled: the intakes are whole.
    fn main_queue_is_empty(&mut self) {
        let context = self.consumer.context();
        for (partition, starting) in self.starting.drain() {
            // Revoked meanwhile.
            if !context.fetches(partition) {
                continue;
            }
            let Starting {
                generation,
                position,
                queue,
                strays,
            } = starting;
            let intake = Intake::new(partition, &position, strays, queue);
            context.send(SourceEvent::Started {
                partition,
                generation,
                intake,
            });
        }
    }
}

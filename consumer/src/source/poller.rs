//! The thread that polls: the group's callbacks run here, and so does every change to what is fetched.

use std::sync::Arc;
use std::time::Duration;

use common::ids::{NextOffset, Partition};
use rdkafka::Offset;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::Message;
use tokio::sync::mpsc::{Receiver, error::TryRecvError};

use super::context::{self, Context};
use super::intake::Intake;
use super::{Command, Generation, ReadySet, SourceEvent};
use crate::position::Position;

/// How long a poll of the main queue waits; a command waits no longer than this.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The polling thread's state.
pub(super) struct Poller {
    topic: String,
    consumer: Arc<BaseConsumer<Context>>,
    inbox: Receiver<Command>,
    ready: ReadySet,
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
                Ok(Command::Commit(positions)) => self.commit(positions),
                Ok(Command::Leave(positions)) => return self.commit(positions),
                Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) => match consumer.poll(POLL_INTERVAL) {
                    None => {}
                    // Every partition's queue is split off before it is fetched: no record can come here, and one that did
                    // might already have been passed.
                    Some(Ok(message)) => {
                        let (partition, offset) = (message.partition(), message.offset());
                        let reason = format!(
                            "record {offset} of partition {partition} came outside its queue"
                        );
                        return self.send(SourceEvent::Fatal(reason));
                    }
                    Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => {
                        return self.send(SourceEvent::Fatal(error.to_string()));
                    }
                    // Logged by the client's error callback; it reconnects by itself.
                    Some(Err(error)) => tracing::debug!(%error, "kafka"),
                },
            }
        }
    }

    fn send(&self, event: SourceEvent) {
        self.consumer.context().send(event);
    }

    /// Fetching begins at the record before the position where there is one: it is compared, not applied again.
    fn start(&self, partition: Partition, generation: Generation, position: Position) {
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
                let intake = Intake::new(&position, queue);
                self.send(SourceEvent::Started {
                    partition,
                    generation,
                    intake,
                });
            }
            Err(error) => {
                // Most likely the group takes the partition back this moment; if not, it is claimed again.
                tracing::warn!(%error, kafka.partition = partition.0, "the partition could not be started");
                self.send(SourceEvent::Disturbed(partition));
            }
        }
    }

    /// The queue is split off first: what is fetched for a split queue never goes to the main queue
    /// (`RD_KAFKA_Q_F_FWD_APP` in librdkafka's `rd_kafka_toppar_fetch_start`), so that none of it can be overtaken.
    fn assign(&self, partition: Partition, offset: Offset) -> KafkaResult<PartitionQueue<Context>> {
        let mut queue = self
            .consumer
            .split_partition_queue(&self.topic, partition.0)
            .expect("a topic's name has no NUL, and its partitions have queues");
        let ready = self.ready.clone();
        queue.set_nonempty_callback(move || ready.insert(partition));
        let context = self.consumer.context();
        self.consumer
            .incremental_assign(&context.list([(partition, offset)]))?;
        context.membership().fetching.insert(partition);
        Ok(queue)
    }

    /// librdkafka takes a change of the assignment for the answer to a rebalance that waits in the main queue; its
    /// callback then answers again, which does no harm. Epochs keep what is in flight safe either way.
    fn stop(&self, partition: Partition) {
        let context = self.consumer.context();
        let was_fetching = context.membership().fetching.remove(&partition);
        if was_fetching {
            let list = context.list([(partition, Offset::Invalid)]);
            if let Err(error) = self.consumer.incremental_unassign(&list) {
                tracing::warn!(%error, kafka.partition = partition.0, "the partition could not be stopped");
            }
        }
    }

    fn commit(&self, positions: Vec<(Partition, NextOffset)>) {
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
            context::commit(&self.consumer, &list);
        }
    }
}

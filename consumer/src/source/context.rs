//! What librdkafka calls back: rebalances, statistics, logs.
//!
//! Rebalance callbacks run on the polling thread, inside its poll. They answer the group at once and never touch the
//! database: an assignment is acknowledged empty, and each partition starts when its claim has succeeded (see
//! [`super::Command::Start`]). A revocation waits, within a bound, for the batches in flight.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::ids::{NextOffset, Partition};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc::Sender;

use super::{Release, SourceEvent};

/// What librdkafka says about one partition that is fetched, once a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionStats {
    /// Bytes fetched and not yet taken.
    pub buffered_bytes: u64,
    /// Bytes received for this partition since the process began.
    pub fetched_bytes: u64,
}

pub(super) struct Context {
    topic: String,
    events: Sender<SourceEvent>,
    /// How long a revocation waits for what is in flight. Until it is answered librdkafka pauses every partition of this
    /// member (`rd_kafka_assignment_pause` in `rd_kafka_rebalance_op_incr`).
    release_timeout: Duration,
    membership: Mutex<Membership>,
}

#[derive(Debug, Default)]
pub(super) struct Membership {
    /// What the group assigns to this member.
    pub(super) assigned: BTreeSet<Partition>,
    /// What librdkafka fetches: the assigned partitions whose claim has succeeded.
    pub(super) fetching: BTreeSet<Partition>,
}

impl Context {
    pub(super) fn new(
        topic: String,
        events: Sender<SourceEvent>,
        release_timeout: Duration,
    ) -> Self {
        Self {
            topic,
            events,
            release_timeout,
            membership: Mutex::default(),
        }
    }

    pub(super) fn membership(&self) -> MutexGuard<'_, Membership> {
        self.membership
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn fetches(&self, partition: Partition) -> bool {
        self.membership().fetching.contains(&partition)
    }

    /// False when the pipeline is gone: the process is ending.
    pub(super) fn send(&self, event: SourceEvent) -> bool {
        self.events.blocking_send(event).is_ok()
    }

    pub(super) fn list(
        &self,
        positions: impl IntoIterator<Item = (Partition, Offset)>,
    ) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in positions {
            list.add_partition_offset(&self.topic, partition.0, offset)
                .expect("offsets that were read from the broker or the database are valid");
        }
        list
    }

    fn assigned(&self, consumer: &BaseConsumer<Self>, partitions: Vec<Partition>) {
        self.membership().assigned.extend(&partitions);
        // Told first, so that a claim can begin while the group is being answered.
        self.send(SourceEvent::Assigned(partitions));
        if let Err(error) = consumer.incremental_assign(&TopicPartitionList::new()) {
            tracing::error!(%error, "the group's assignment could not be acknowledged");
        }
    }

    fn revoked(&self, consumer: &BaseConsumer<Self>, partitions: &[Partition]) {
        let lost = consumer.assignment_lost();
        let released = self.release(partitions, lost);
        if !lost && !released.is_empty() {
            // Completed before the group is answered: librdkafka ends an unassignment after its commits.
            commit(consumer, &self.list(released));
        }
        let mut membership = self.membership();
        membership
            .assigned
            .retain(|partition| !partitions.contains(partition));
        let unassign: Vec<_> = partitions
            .iter()
            .copied()
            .filter(|partition| membership.fetching.remove(partition))
            .collect();
        drop(membership);
        let list = self.list(
            unassign
                .into_iter()
                .map(|partition| (partition, Offset::Invalid)),
        );
        if let Err(error) = consumer.incremental_unassign(&list) {
            tracing::error!(%error, "the group's revocation could not be acknowledged");
        }
    }

    /// The positions up to which the revoked partitions are committed in the database.
    fn release(&self, partitions: &[Partition], lost: bool) -> Vec<(Partition, Offset)> {
        // The pipeline keeps the deadline; this wait is only longer so that its answer is not missed.
        const SLACK: Duration = Duration::from_millis(500);
        let (reply, answer) = sync_channel(1);
        let release = Release {
            partitions: partitions.to_vec(),
            lost,
            timeout: self.release_timeout,
            reply,
        };
        if !self.send(SourceEvent::Revoked(release)) {
            return Vec::new();
        }
        let positions = answer
            .recv_timeout(self.release_timeout + SLACK)
            .unwrap_or_default();
        positions
            .into_iter()
            .map(|(partition, next)| (partition, Offset::Offset(next.0)))
            .collect()
    }
}

/// Kafka's copy of the position, for lag tools: the truth is in the database, so a failure is worth no more than a line.
/// It does not wait: a coordinator that hangs would hold up the polling thread for as long.
pub(super) fn commit(consumer: &BaseConsumer<Context>, list: &TopicPartitionList) {
    if let Err(error) = consumer.commit(list, CommitMode::Async) {
        tracing::info!(%error, "kafka did not take the committed offsets; they follow with the next");
    }
}

thread_local! {
    /// Where the end lies that the poll under way on this thread has come to. The client library tells of it without its
    /// offset, which only the text has; it calls [`Context::error`] with that text just before.
    static REACHED_END: Cell<Option<NextOffset>> = const { Cell::new(None) };
}

/// Where the end lies that this thread's last poll has come to, if that was said.
pub(super) fn take_reached_end() -> Option<NextOffset> {
    REACHED_END.take()
}

/// From "Fetch from broker 1 reached end of partition at offset 14 (HighwaterMark 14)".
fn offset_of_end(reason: &str) -> Option<NextOffset> {
    let (_, rest) = reason.split_once(" end of partition at offset ")?;
    let (offset, _) = rest.split_once(' ')?;
    offset.parse().ok().map(NextOffset)
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let partitions: Vec<_> = list
            .elements()
            .iter()
            .map(|element| Partition(element.partition()))
            .collect();
        if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.assigned(consumer, partitions);
        } else {
            self.revoked(consumer, &partitions);
        }
    }
}

impl ClientContext for Context {
    fn stats(&self, statistics: Statistics) {
        let Some(topic) = statistics.topics.get(&self.topic) else {
            return;
        };
        let fetching = self.membership().fetching.clone();
        let partitions = topic.partitions.values().filter_map(|statistics| {
            let partition = Partition(statistics.partition);
            let stats = PartitionStats {
                buffered_bytes: statistics.fetchq_size,
                fetched_bytes: statistics.rxbytes,
            };
            fetching.contains(&partition).then_some((partition, stats))
        });
        // Also that nothing is fetched: what was said before is over.
        self.send(SourceEvent::Statistics(partitions.collect()));
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The end of a partition is reached with every record on a quiet topic; the intake is told, the log is not.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
            REACHED_END.set(offset_of_end(reason));
            return;
        }
        tracing::warn!(%error, reason, "kafka");
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error => {
                tracing::error!(facility, "librdkafka: {message}");
            }
            RDKafkaLogLevel::Warning => tracing::warn!(facility, "librdkafka: {message}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(facility, "librdkafka: {message}")
            }
            RDKafkaLogLevel::Debug => tracing::debug!(facility, "librdkafka: {message}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_cannot_be_read_is_none() {
        let end = |reason: &str| offset_of_end(reason);
        let said = "Fetch from broker 1 reached end of partition at offset 14 (HighwaterMark 14)";
        assert_eq!(end(said), Some(NextOffset(14)));
        for unclear in [
            "",
            "Fetch reached end of partition at offset",
            "end of partition at offset x (y)",
        ] {
            assert_eq!(end(unclear), None, "{unclear}");
        }
    }
}

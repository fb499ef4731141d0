//! Where partitions end, asked of the broker by a client of its own.
//!
//! What comes along with fetched records stands still when fetching does: while the database is locked and the buffers are
//! full, or while a partition is stopped. That is when an operator looks at the lag. So the broker is asked, and each answer
//! keeps its time: an end is as new as its time says, whatever else goes on or does not. The client is not the group's: an
//! answer waits behind no fetch, and nobody waits for it who leaves the group.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use common::ids::{NextOffset, Partition};
use common::time::Timestamp;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::StartError;
use super::client::{self, said};
use crate::config::KafkaSettings;

/// How long an answer is waited for. A process that stops meanwhile waits with it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Where a partition ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndOffset {
    /// The broker's high watermark: open transactions count.
    pub offset: NextOffset,
    /// When the broker was asked: what it said is at least as new.
    pub read_at: Timestamp,
}

pub type EndOffsets = BTreeMap<Partition, EndOffset>;

/// Asks where the topic's partitions end.
pub struct EndReader {
    client: Arc<BaseConsumer<Silent>>,
    topic: String,
}

impl EndReader {
    /// # Errors
    /// librdkafka refuses a setting.
    pub fn new(settings: &KafkaSettings) -> Result<Self, StartError> {
        let mut config = client::asking(settings);
        config
            .set("isolation.level", "read_uncommitted")
            // What it would log waits in a queue, for nobody.
            .set_log_level(RDKafkaLogLevel::Emerg);
        let client = BaseConsumer::from_config_and_context(&config, Silent)
            .map_err(|error| StartError::Kafka(said(&error)))?;
        Ok(Self {
            client: Arc::new(client),
            topic: settings.topic.clone(),
        })
    }

    /// Asks for all of them at once, one request to each broker; and where that fails, for each by itself. Partitions that
    /// have no answer are left out.
    ///
    /// # Errors
    /// None has an answer. It takes three times [`ANSWER_TIMEOUT`] at most.
    pub async fn read(&self, partitions: Vec<Partition>) -> Result<EndOffsets, KafkaError> {
        if partitions.is_empty() {
            return Ok(EndOffsets::new());
        }
        let (client, topic) = (Arc::clone(&self.client), self.topic.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let ends = read(&client, &topic, &partitions);
            // What a client tells is kept until somebody takes it.
            while client.poll(Duration::ZERO).is_some() {}
            ends
        });
        reading.await.expect("asking the broker does not panic")
    }
}

fn read(
    client: &BaseConsumer<Silent>,
    topic: &str,
    partitions: &[Partition],
) -> KafkaResult<EndOffsets> {
    let (mut ends, mut failed) = match ask(client, topic, partitions, ANSWER_TIMEOUT) {
        Ok(ends) if ends.len() == partitions.len() => return Ok(ends),
        Ok(ends) => (ends, None),
        Err(error) => (EndOffsets::new(), Some(error)),
    };
    // A client that fetches nothing keeps what it knows of leaders for a quarter of an hour, moved or not, unless it is told
    // to ask again (`rd_kafka_metadata_refresh_known_topics` leaves out what is still valid).
    if let Err(error) = client.fetch_metadata(Some(topic), ANSWER_TIMEOUT) {
        return if ends.is_empty() {
            Err(error)
        } else {
            Ok(ends)
        };
    }
    // One partition without an answer leaves all that were asked for with it without one.
    let each = ANSWER_TIMEOUT / u32::try_from(partitions.len()).unwrap_or(u32::MAX);
    for partition in partitions {
        if ends.contains_key(partition) {
            continue;
        }
        match ask(client, topic, std::slice::from_ref(partition), each) {
            Ok(answered) => ends.extend(answered),
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) if ends.is_empty() => Err(error),
        Some(_) | None => Ok(ends),
    }
}

fn ask(
    client: &BaseConsumer<Silent>,
    topic: &str,
    partitions: &[Partition],
    timeout: Duration,
) -> KafkaResult<EndOffsets> {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        // In the place of a time, this asks for the end.
        list.add_partition_offset(topic, partition.0, Offset::End)?;
    }
    let read_at = Timestamp::now();
    let answer = client.offsets_for_times(list, timeout)?;
    let end = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        // What had no answer still holds the question.
        let (Ok(()), Offset::Offset(offset)) = (element.error(), element.offset()) else {
            return None;
        };
        let offset = NextOffset(offset);
        Some((
            Partition(element.partition()),
            EndOffset { offset, read_at },
        ))
    };
    Ok(answer.elements().iter().filter_map(end).collect())
}

/// The group's client tells what is wrong with the brokers; twice would be no more.
struct Silent;

impl ClientContext for Silent {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, _: KafkaError, _: &str) {}
}

impl ConsumerContext for Silent {}

//! Records into a topic and out of it, as bytes.

use std::time::Duration;

use anyhow::{Context, bail};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::{BROKER_PATIENCE, TestTopic};
use crate::orders::TestOrder;

/// How evenly [`TestTopic::publish_at`] sends.
const TICKS_PER_SECOND: usize = 50;
const TICK: Duration = Duration::from_millis(20);

/// What [`TestTopic::publish`] sends: no part of it has to make sense to the services.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// `None`: where the key's hash puts it, as the producer would.
    pub partition: Option<i32>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Record {
    /// An order as a client's own producer would publish it: as it is sent, under its user.
    #[must_use]
    pub fn of(order: &TestOrder) -> Self {
        Self {
            key: Some(order.user_id.clone().into_bytes()),
            value: Some(order.body.to_string().into_bytes()),
            ..Self::default()
        }
    }

    #[must_use]
    pub fn to(self, partition: i32) -> Self {
        Self {
            partition: Some(partition),
            ..self
        }
    }
}

/// A record as it lies in the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp: Option<i64>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// Publishes to one topic over one connection.
pub struct RecordPublisher {
    topic: String,
    producer: FutureProducer,
}

impl TestTopic {
    /// # Errors
    /// The client could not be made.
    pub fn publisher(&self) -> anyhow::Result<RecordPublisher> {
        let producer = self
            .client()
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "0")
            .create()?;
        Ok(RecordPublisher {
            topic: self.name.clone(),
            producer,
        })
    }

    /// Publishes one record and returns its partition and offset.
    ///
    /// # Errors
    /// The broker did not acknowledge it.
    pub async fn publish(&self, record: &Record) -> anyhow::Result<(i32, i64)> {
        self.publisher()?.publish(record).await
    }

    /// Publishes records, each partition's in the order given, and returns their partitions and offsets.
    ///
    /// # Errors
    /// The broker did not acknowledge one of them.
    pub async fn publish_all(&self, records: &[Record]) -> anyhow::Result<Vec<(i32, i64)>> {
        self.publish_paced(records, usize::MAX).await
    }

    /// As [`TestTopic::publish_all`], `per_second` of them a second.
    ///
    /// # Errors
    /// The broker did not acknowledge one of them.
    pub async fn publish_at(
        &self,
        records: &[Record],
        per_second: usize,
    ) -> anyhow::Result<Vec<(i32, i64)>> {
        self.publish_paced(records, (per_second / TICKS_PER_SECOND).max(1))
            .await
    }

    async fn publish_paced(
        &self,
        records: &[Record],
        per_tick: usize,
    ) -> anyhow::Result<Vec<(i32, i64)>> {
        let publisher = self.publisher()?;
        let mut ticks = tokio::time::interval(TICK);
        let mut deliveries = Vec::with_capacity(records.len());
        for tick in records.chunks(per_tick) {
            ticks.tick().await;
            for record in tick {
                deliveries.push(publisher.enqueue(record).await?);
            }
        }
        let mut positions = Vec::with_capacity(records.len());
        for delivery in deliveries {
            positions.push(delivered(delivery).await?);
        }
        Ok(positions)
    }

    /// Every record that the topic holds, by partition and offset.
    ///
    /// # Errors
    /// The broker cannot be reached.
    pub async fn records(&self) -> anyhow::Result<Vec<StoredRecord>> {
        let topic = self.clone();
        tokio::task::spawn_blocking(move || topic.read_to_the_end()).await?
    }

    fn read_to_the_end(&self) -> anyhow::Result<Vec<StoredRecord>> {
        let reader = self.reader("lab-reader")?;
        let mut positions = TopicPartitionList::new();
        for partition in 0..self.partitions {
            positions.add_partition_offset(&self.name, partition, Offset::Beginning)?;
        }
        reader.assign(&positions)?;
        let mut unfinished = self.partitions;
        let mut records = Vec::new();
        while unfinished > 0 {
            match reader
                .poll(BROKER_PATIENCE)
                .context("the topic's end was not reached")?
            {
                Ok(message) => records.push(StoredRecord::from_message(&message)),
                Err(KafkaError::PartitionEOF(_)) => unfinished -= 1,
                Err(error) => bail!(error),
            }
        }
        records.sort_by_key(|record| (record.partition, record.offset));
        Ok(records)
    }
}

impl RecordPublisher {
    /// See [`TestTopic::publish`].
    ///
    /// # Errors
    /// The broker did not acknowledge it.
    pub async fn publish(&self, record: &Record) -> anyhow::Result<(i32, i64)> {
        delivered(self.enqueue(record).await?).await
    }

    async fn enqueue(&self, record: &Record) -> anyhow::Result<DeliveryFuture> {
        let headers = record
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header {
                    key,
                    value: Some(value),
                })
            });
        loop {
            let mut outgoing = FutureRecord::<[u8], [u8]>::to(&self.topic).headers(headers.clone());
            outgoing.partition = record.partition;
            outgoing.key = record.key.as_deref();
            outgoing.payload = record.value.as_deref();
            match self.producer.send_result(outgoing) {
                Ok(delivery) => return Ok(delivery),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err((error, _)) => bail!(error),
            }
        }
    }
}

async fn delivered(delivery: DeliveryFuture) -> anyhow::Result<(i32, i64)> {
    let delivered = delivery.await?.map_err(|(error, _)| error)?;
    Ok((delivered.partition, delivered.offset))
}

impl StoredRecord {
    fn from_message(message: &impl Message) -> Self {
        let headers = message.headers().into_iter().flat_map(Headers::iter);
        Self {
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers
                .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
                .collect(),
        }
    }
}

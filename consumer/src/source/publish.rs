//! Records into the topic again: what `consumer dead-letters replay` publishes.
//!
//! `acks=all` and idempotence, so that a delivery report is a promise and retries neither repeat nor reorder. To the
//! partition that the record came from, whatever its key: whoever put it there, by a hash or by hand, put that user's other
//! records there too, and it stays in its place among them and among other replays. Its timestamp is new: with the old one
//! the topic's retention might remove it before it is read.

use std::time::Duration;

use common::ids::{Offset, Partition};
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer};
use rdkafka::types::RDKafkaErrorCode;

use super::client::said;
use crate::config::BrokerSettings;

/// After that a record's outcome is unknown: it may have been stored.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);
const METADATA_TIMEOUT: Duration = Duration::from_secs(10);
/// No limit of ours: how large a record may be is the broker's to say.
const MAX_RECORD_BYTES: &str = "1000000000";

/// Why a record is not known to be in the topic.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error("KAFKA_CONFIG or KAFKA_BROKERS: {0}")]
    Settings(String),
    #[error("kafka: {0}")]
    Kafka(#[from] KafkaError),
    #[error("a header's name is no UTF-8")]
    HeaderName,
    #[error("the client ended before there was a delivery report")]
    NoReport,
}

/// A record to publish, its bytes borrowed.
pub struct Outgoing<'a> {
    pub topic: &'a str,
    pub partition: Partition,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: Vec<(&'a [u8], Option<&'a [u8]>)>,
}

/// A record under way.
pub struct Delivery(DeliveryFuture);

impl Delivery {
    /// Waits for the broker's report.
    ///
    /// # Errors
    /// [`PublishError`]: the record may or may not be in the topic.
    pub async fn report(self) -> Result<(Partition, Offset), PublishError> {
        let report = self.0.await.map_err(|_| PublishError::NoReport)?;
        let delivered = report.map_err(|(error, _)| error)?;
        Ok((Partition(delivered.partition), Offset(delivered.offset)))
    }
}

pub struct Publisher(FutureProducer);

impl Publisher {
    /// # Errors
    /// librdkafka refuses a setting.
    pub fn new(brokers: &BrokerSettings) -> Result<Self, PublishError> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &brokers.kafka_brokers)
            .set("client.id", "tally-operator")
            .set("message.max.bytes", MAX_RECORD_BYTES)
            .set(
                "message.timeout.ms",
                DELIVERY_TIMEOUT.as_millis().to_string(),
            );
        for (name, value) in brokers.kafka_config.iter() {
            config.set(name, value);
        }
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            // A topic that is not there is told of, never made.
            .set("allow.auto.create.topics", "false");
        let client = config.create();
        client
            .map(Self)
            .map_err(|error| PublishError::Settings(said(&error)))
    }

    /// Whether the broker has this topic.
    ///
    /// # Errors
    /// It does not answer in [`METADATA_TIMEOUT`], or may not tell.
    pub async fn knows(&self, topic: &str) -> Result<bool, PublishError> {
        let (client, name) = (self.0.clone(), topic.to_owned());
        let asking = tokio::task::spawn_blocking(move || {
            let client = client.client();
            let metadata = client.fetch_metadata(Some(&name), METADATA_TIMEOUT)?;
            // One that is not there is named in the answer as well.
            let Some(topic) = metadata.topics().first() else {
                return Ok(false);
            };
            match topic.error().map(RDKafkaErrorCode::from) {
                _ if !topic.partitions().is_empty() => Ok(true),
                None | Some(RDKafkaErrorCode::UnknownTopicOrPartition) => Ok(false),
                Some(error) => Err(KafkaError::MetadataFetch(error).into()),
            }
        });
        asking.await.expect("reading metadata does not panic")
    }

    /// Hands a record to the client. Those of one partition are delivered in the order of these calls.
    ///
    /// # Errors
    /// [`PublishError`]: this one was not taken.
    pub fn send(&self, record: &Outgoing<'_>) -> Result<Delivery, PublishError> {
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for (name, value) in &record.headers {
            let key = std::str::from_utf8(name).map_err(|_| PublishError::HeaderName)?;
            headers = headers.insert(Header { key, value: *value });
        }
        let mut outgoing = FutureRecord::<[u8], [u8]>::to(record.topic)
            .partition(record.partition.0)
            .headers(headers);
        outgoing.key = record.key;
        outgoing.payload = record.value;
        match self.0.send_result(outgoing) {
            Ok(delivery) => Ok(Delivery(delivery)),
            Err((error, _)) => Err(error.into()),
        }
    }
}

//! What librdkafka does with the same bytes and nothing else around it: the baseline of everything that publishes.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use lab::TestTopic;
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;

const FLUSH: Duration = Duration::from_secs(120);

#[derive(Debug, Clone)]
pub struct RawRecord {
    pub key: Vec<u8>,
    pub value: Vec<u8>,
}

/// Counts what the broker did not take.
#[derive(Default)]
struct Reports {
    failed: std::sync::atomic::AtomicU64,
}

impl rdkafka::ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.failed
                .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

/// Publishes with the settings the producer uses (idempotent, `acks=all`, the same partitioner) and returns how long it
/// took until all was acknowledged.
///
/// # Errors
/// The broker did not acknowledge everything.
pub async fn publish(
    topic: &TestTopic,
    records: Vec<RawRecord>,
    headers: &'static [(&'static str, &'static str)],
) -> anyhow::Result<Duration> {
    let topic = topic.clone();
    tokio::task::spawn_blocking(move || publish_blocking(&topic, &records, headers)).await?
}

fn publish_blocking(
    topic: &TestTopic,
    records: &[RawRecord],
    headers: &[(&str, &str)],
) -> anyhow::Result<Duration> {
    let producer: BaseProducer<Reports> = ClientConfig::new()
        .set("bootstrap.servers", topic.brokers())
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("partitioner", "murmur2_random")
        .create_with_context(Reports::default())?;
    let headers = headers
        .iter()
        .fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: Some(*value),
            })
        });
    // Connections and metadata are no part of what is measured.
    producer
        .client()
        .fetch_metadata(Some(topic.name()), FLUSH)
        .context("the topic's metadata")?;
    let began = Instant::now();
    for record in records {
        let mut outgoing = BaseRecord::to(topic.name())
            .key(&record.key)
            .payload(&record.value)
            .headers(headers.clone());
        while let Err((error, back)) = producer.send(outgoing) {
            let KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) = error else {
                bail!(error);
            };
            outgoing = back;
            producer.poll(Duration::from_millis(1));
        }
    }
    producer.flush(FLUSH)?;
    let took = began.elapsed();
    let failed = producer
        .context()
        .failed
        .load(std::sync::atomic::Ordering::Relaxed);
    anyhow::ensure!(failed == 0, "{failed} records were not acknowledged");
    Ok(took)
}

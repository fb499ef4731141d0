//! One librdkafka producer, for as long as it lives.

use std::sync::mpsc::SyncSender;
use std::time::Duration;

use common::event::Event;
use common::ids::{NextOffset, Offset, Partition};
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{DeliveryResult, Header, Message as _, OwnedHeaders};
use rdkafka::producer::{
    BaseProducer, BaseRecord, Producer as _, ProducerContext, ThreadedProducer,
};
use rdkafka::types::RDKafkaErrorCode;

use super::complaint::Complaint;
use super::config::PublisherConfig;
use super::delivery::{Delivered, Delivery, PublishError, Undelivered};
use super::keeper::Wake;
use super::topic::{Unusable, partition_count};
use super::wake;
use crate::request::Record;

/// After which a broker that has not said where a partition ends is asked again.
const END_TIMEOUT: Duration = Duration::from_secs(2);
/// As many as an order's record carries.
const HEADERS: usize = 7;

pub(super) struct Client {
    producer: ThreadedProducer<Context>,
    topic: String,
    source: &'static str,
    wake: SyncSender<Wake>,
    complaint: Complaint,
}

impl Client {
    /// `max_record_bytes` is the topic's own limit, where it is known: with it, records that are too large are found here,
    /// and no batch grows so large that the broker refuses records which would have fitted.
    pub(super) fn new(
        config: &PublisherConfig,
        max_record_bytes: Option<u32>,
        source: &'static str,
        wake: &SyncSender<Wake>,
    ) -> KafkaResult<Self> {
        let complaint = Complaint::default();
        let context = Context {
            wake: wake.clone(),
            complaint: complaint.clone(),
        };
        let producer = client_config(config, max_record_bytes)
            // Else a partition ends, for `end_offset`, where another program's open transaction begins. The client takes it
            // for a consumer's property and warns, which this context keeps to itself; the one of `check` would not.
            .set("isolation.level", "read_uncommitted")
            .create_with_context(context)?;
        Ok(Self {
            producer,
            topic: config.kafka_topic.clone(),
            source,
            wake: wake.clone(),
            complaint,
        })
    }

    pub(super) fn send(&self, record: &Record, delivery: Delivery) -> Result<(), PublishError> {
        let event = Event {
            order_id: &record.order_id,
            source: self.source,
            time: record.received_at,
            traceparent: record.traceparent.as_ref().map(|parent| parent.as_str()),
        };
        let mut headers = Some(OwnedHeaders::new_with_capacity(HEADERS));
        event.for_each_header(|key, value| {
            headers = headers.take().map(|headers| {
                headers.insert(Header {
                    key,
                    value: Some(value),
                })
            });
        });
        let message = BaseRecord::with_opaque_to(&self.topic, Box::new(delivery))
            .key(record.user_id.as_str().as_bytes())
            .payload(&record.value)
            .timestamp(record.received_at.as_micros() / 1000)
            .headers(headers.unwrap_or_default());
        self.enqueue(message)
    }

    pub(super) fn resend(
        &self,
        record: &Undelivered,
        delivery: Delivery,
    ) -> Result<(), PublishError> {
        let mut message = BaseRecord::with_opaque_to(&self.topic, Box::new(delivery))
            .key(record.key.as_slice())
            .payload(&record.value)
            .headers(record.headers.clone());
        message.timestamp = record.timestamp_ms;
        self.enqueue(message)
    }

    fn enqueue(
        &self,
        message: BaseRecord<'_, [u8], Vec<u8>, Box<Delivery>>,
    ) -> Result<(), PublishError> {
        self.producer.send(message).map_err(|(error, _)| {
            let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
            if code == RDKafkaErrorCode::Fatal {
                wake(&self.wake);
            }
            PublishError::refused(code)
        })
    }

    /// Whether everything was delivered in time.
    pub(super) fn flush(&self, timeout: Duration) -> bool {
        self.producer.flush(timeout).is_ok()
    }

    pub(super) fn in_flight(&self) -> usize {
        usize::try_from(self.producer.in_flight_count()).unwrap_or(0)
    }

    /// Why this client can never deliver again, if it cannot.
    pub(super) fn fatal_error(&self) -> Option<String> {
        self.producer
            .client()
            .fatal_error()
            .map(|(code, reason)| format!("{code}: {reason}"))
    }

    /// See [`super::Publisher::cluster_id`]: the client hears of it with the topic's metadata.
    pub(super) fn cluster_id(&self) -> Option<String> {
        self.producer.client().fetch_cluster_id(Duration::ZERO)
    }

    /// See [`super::Publisher::end_offset`].
    pub(super) fn end_offset(&self, partition: Partition) -> Option<NextOffset> {
        let client = self.producer.client();
        match client.fetch_watermarks(&self.topic, partition.0, END_TIMEOUT) {
            Ok((_, end)) => Some(NextOffset(end)),
            Err(error)
                if error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownPartition)
                    && self.lacks(partition) =>
            {
                Some(NextOffset(0))
            }
            Err(error) => {
                tracing::debug!(%error, kafka.partition = partition.0, "the end is not known");
                None
            }
        }
    }

    /// What the client calls an unknown partition may also have no leader, or be in a topic that may not be looked at.
    fn lacks(&self, partition: Partition) -> bool {
        partition_count(self.producer.client(), &self.topic, END_TIMEOUT).is_ok_and(|count| {
            usize::try_from(partition.0).is_ok_and(|partition| partition >= count)
        })
    }

    /// Asks the broker about the topic.
    pub(super) fn probe(&self, timeout: Duration) -> Result<(), Unusable> {
        match partition_count(self.producer.client(), &self.topic, timeout) {
            Ok(_) => {
                self.complaint.withdraw();
                Ok(())
            }
            Err(unusable) => Err(unusable.explained(|| self.complaint.last())),
        }
    }
}

/// Makes a client and drops it: what is wrong with its settings shows before anyone waits for a broker.
pub(super) fn check(config: &PublisherConfig) -> KafkaResult<()> {
    client_config(config, None)
        .create::<BaseProducer>()
        .map(drop)
}

/// Properties in three layers: what suits us, what the operator says instead, and what a guarantee rests on.
fn client_config(config: &PublisherConfig, max_record_bytes: Option<u32>) -> ClientConfig {
    let mut properties = our_properties(config);
    if let Some(limit) = max_record_bytes {
        // librdkafka takes no less than this; below it, the broker has the last word.
        const SMALLEST: u32 = 1_000;
        // Its own default: an order of the largest size fits, and batches gain nothing from more.
        const LARGEST: u32 = 1_000_000;
        let limit = limit.clamp(SMALLEST, LARGEST).to_string();
        properties
            .set("message.max.bytes", &limit)
            .set("batch.size", &limit);
    }
    properties
        .set(
            "queue.buffering.max.messages",
            config.queue_records.to_string(),
        )
        .set(
            "queue.buffering.max.kbytes",
            config.queue_kibibytes.to_string(),
        );
    set_operators_properties(&mut properties, config);
    properties
        .set(
            "message.timeout.ms",
            config.delivery_timeout.as_millis().to_string(),
        )
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("partitioner", "murmur2_random");
    properties
}

/// For a client that only asks about the topic.
pub(super) fn admin_config(config: &PublisherConfig) -> ClientConfig {
    let mut properties = our_properties(config);
    set_operators_properties(&mut properties, config);
    properties
}

fn our_properties(config: &PublisherConfig) -> ClientConfig {
    let mut properties = ClientConfig::new();
    properties
        .set("bootstrap.servers", &config.kafka_brokers)
        .set("client.id", "tally-producer")
        // A lone order must not wait for a batch; under load batches form by themselves.
        .set("linger.ms", "0")
        // One request is written while the next one gathers. With the default of five, each carries fewer orders, and the
        // broker's work for each is what bounds acknowledged POSTs; a lone order does not notice.
        .set("max.in.flight.requests.per.connection", "2")
        // The default grows to 10 s, and whoever waits for a broker that is back would wait that long.
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000")
        .set("socket.keepalive.enable", "true");
    properties
}

fn set_operators_properties(properties: &mut ClientConfig, config: &PublisherConfig) {
    for (name, value) in config.kafka_config.iter() {
        properties.set(name, value);
    }
}

/// What librdkafka calls back, on the client's own thread.
struct Context {
    wake: SyncSender<Wake>,
    complaint: Complaint,
}

impl ClientContext for Context {
    /// Its lines are many while a broker is away; the keeper logs one for each change.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.complaint.hear(facility, message);
        tracing::debug!(target: "librdkafka", ?level, facility, "{message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            wake(&self.wake);
        }
        tracing::debug!(target: "librdkafka", %error, reason, "client error");
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Delivery>;

    fn delivery(&self, result: &DeliveryResult<'_>, delivery: Box<Delivery>) {
        match result {
            Ok(message) => {
                let (partition, offset) =
                    (Partition(message.partition()), Offset(message.offset()));
                delivery.settle(Ok(Delivered { partition, offset }), message);
            }
            Err((error, message)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                if code == RDKafkaErrorCode::Fatal {
                    wake(&self.wake);
                }
                delivery.settle(Err(PublishError::undelivered(code)), message);
            }
        }
    }
}

/// What a client says of its settings, without any value: one may be a password, in a property that is misspelt.
pub(super) fn said(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, description, name, value) if value.is_empty() => {
            format!("{description} ({name})")
        }
        KafkaError::ClientConfig(_, description, name, value) => {
            format!("{} ({name})", description.replace(value.as_str(), "..."))
        }
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_setting_is_named_and_its_value_is_not_shown() {
        for name in [
            "sasl.pasword",
            "sasl.jaas.config",
            "security.protocol",
            "linger.ms",
        ] {
            let refused = ClientConfig::new()
                .set(name, "hunter2")
                .create::<BaseProducer>();
            let said = said(&refused.err().expect("it is refused"));
            assert!(said.contains(name) && !said.contains("hunter2"), "{said}");
        }
    }
}

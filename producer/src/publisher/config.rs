//! What producer and loader can be told about Kafka.

use std::time::Duration;

use common::event::KafkaProperties;
use common::setting::duration;

/// How to reach the topic.
#[derive(Debug, Clone, clap::Args)]
pub struct PublisherConfig {
    /// Kafka's bootstrap servers, host:port[,host:port…].
    #[arg(long, env = "KAFKA_BROKERS", default_value = "127.0.0.1:19092")]
    pub kafka_brokers: String,

    /// The topic that orders go to. Created if it is absent, never altered.
    #[arg(long, env = "KAFKA_TOPIC", default_value = "orders")]
    pub kafka_topic: String,

    /// How many partitions the topic gets if it has to be created.
    #[arg(long, env = "KAFKA_PARTITIONS", default_value_t = 6, value_parser = clap::value_parser!(i32).range(1..=10_000))]
    pub kafka_partitions: i32,

    /// Any other librdkafka property, k=v[,k=v…], a comma in a value as `\,`: TLS, SASL, compression.
    /// What a guarantee rests on is refused.
    #[arg(long, env = "KAFKA_CONFIG", default_value = "", hide_env_values = true)]
    pub kafka_config: KafkaProperties,

    /// How long an order may take to be confirmed by the broker; after that its outcome is unknown.
    #[arg(long, env = "DELIVERY_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub delivery_timeout: Duration,

    /// Orders that may wait for the broker at once.
    #[arg(long, env = "QUEUE_RECORDS", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub queue_records: u32,

    /// KiB of orders that may wait for the broker at once.
    #[arg(long, env = "QUEUE_KIBIBYTES", default_value_t = 65_536, value_parser = clap::value_parser!(u32).range(1_024..=2_097_151))]
    pub queue_kibibytes: u32,
}

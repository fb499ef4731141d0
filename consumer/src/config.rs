//! Every setting of the consumer, from flags and environment.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use clap::{Args, Parser, ValueEnum};
use common::event::KafkaProperties;
use common::http::ServerConfig;
use common::ids::Currency;
use common::pg::DatabaseSettings;
use common::setting::{duration, duration_within};
use common::telemetry::TelemetryConfig;

mod commands;

/// Less is no time for a heartbeat; more is beyond `max.poll.interval.ms`, which librdkafka wants to be longer.
const SESSION_TIMEOUTS: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(300);
/// As long nothing is polled and the group waits: far below `max.poll.interval.ms`, after which the member would be put out.
const RELEASE_TIMEOUTS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(30);

pub use commands::{
    Command, DeadLettersCommand, DiscardArgs, ExportArgs, Filter, ListArgs, OffsetsArgs,
    OffsetsCommand, PositionSettings, ReplayArgs, Selection, SetOffset, ShowArgs, VerifyArgs,
};

/// Applies orders from Kafka to PostgreSQL, each exactly once.
#[derive(Debug, Parser)]
#[command(name = "consumer", version, about)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,

    #[command(flatten)]
    pub config: Config,
}

#[derive(Debug, Clone, Args)]
pub struct Config {
    #[command(flatten)]
    pub telemetry: TelemetryConfig,

    #[command(flatten)]
    pub database: DatabaseSettings,

    #[command(flatten)]
    pub kafka: KafkaArgs,

    #[command(flatten)]
    pub pipeline: PipelineSettings,

    /// Where health and metrics are served.
    #[arg(long, env = "CONSUMER_ADDRESS", default_value = "127.0.0.1:8082")]
    pub address: SocketAddr,

    #[command(flatten)]
    pub server: ServerConfig,
}

/// How to reach Kafka.
#[derive(Debug, Clone, Args)]
pub struct BrokerSettings {
    /// Brokers to start from: host:port, comma-separated.
    #[arg(long, env = "KAFKA_BROKERS", default_value = "127.0.0.1:19092")]
    pub kafka_brokers: String,

    /// Further librdkafka properties, k=v,k=v; those a guarantee rests on are refused.
    #[arg(long, env = "KAFKA_CONFIG", default_value = "", hide_env_values = true)]
    pub kafka_config: KafkaProperties,
}

#[derive(Debug, Clone, Args)]
pub struct KafkaArgs {
    #[command(flatten)]
    pub brokers: BrokerSettings,

    /// The topic that orders are read from.
    #[arg(long, env = "KAFKA_TOPIC", default_value = "orders")]
    pub kafka_topic: String,

    /// How many partitions the topic gets if it has to be made.
    #[arg(long, env = "KAFKA_PARTITIONS", default_value_t = 6, value_parser = clap::value_parser!(i32).range(1..=1000))]
    pub kafka_partitions: i32,

    /// The consumer group, and the name under which positions are kept in the database.
    #[arg(long, env = "GROUP_ID", default_value = "tally")]
    pub group_id: String,

    /// This member's fixed name: a restart within the session then moves no partition.
    #[arg(long, env = "INSTANCE_ID")]
    pub instance_id: Option<String>,

    /// How the group agrees: `classic` (cooperative-sticky) or `consumer` (KIP-848).
    #[arg(long, env = "GROUP_PROTOCOL", value_enum, default_value = "classic")]
    pub group_protocol: GroupProtocol,

    /// Silence after which the group takes a member's partitions away (classic protocol; KIP-848 sets it on the broker).
    #[arg(long, env = "SESSION_TIMEOUT", default_value = "6s", value_parser = duration_within(SESSION_TIMEOUTS))]
    pub session_timeout: Duration,
}

#[derive(Debug, Clone, Args)]
pub struct PipelineSettings {
    /// Batches applied at the same time, over all partitions. [default: the number of cores]
    #[arg(long, env = "WORKERS", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub workers: Option<u16>,

    /// The most records one transaction holds.
    #[arg(long, env = "BATCH_RECORDS", default_value_t = 4000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub batch_records: u16,

    /// The most bytes of records one transaction holds (more by one record).
    #[arg(long, env = "BATCH_BYTES", default_value_t = 4 * 1024 * 1024, value_parser = clap::value_parser!(u32).range(1024..=67_108_864))]
    pub batch_bytes: u32,

    /// Bytes fetched ahead over all partitions.
    #[arg(long, env = "BUFFER_BYTES", default_value_t = 48 * 1024 * 1024, value_parser = clap::value_parser!(u32).range(1_048_576..=1_073_741_824))]
    pub buffer_bytes: u32,

    /// Undecodable or invalid records in a row after which a partition stops: it is more likely the wrong topic.
    #[arg(long, env = "MAX_CONSECUTIVE_POISON", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_consecutive_poison: u32,

    /// The currency of an order that names none.
    #[arg(long, env = "DEFAULT_CURRENCY", default_value = "USD")]
    pub default_currency: Currency,

    /// How far an order's created_at may lie after its record's timestamp.
    #[arg(long, env = "MAX_FUTURE_SKEW", default_value = "1h", value_parser = duration)]
    pub max_future_skew: Duration,

    /// How long a revoked partition's batch may take to finish before it is left to the next owner. As long, this member's
    /// other partitions fetch nothing. At most 30s.
    #[arg(long, env = "RELEASE_TIMEOUT", default_value = "1s", value_parser = duration_within(RELEASE_TIMEOUTS))]
    pub release_timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GroupProtocol {
    Classic,
    Consumer,
}

/// What the source needs to know, derived from the settings and the topic.
#[derive(Debug, Clone)]
pub struct KafkaSettings {
    pub brokers: String,
    pub topic: String,
    pub partitions: i32,
    pub properties: KafkaProperties,
    pub group_id: String,
    pub instance_id: Option<String>,
    pub client_id: String,
    pub group_protocol: GroupProtocol,
    pub session_timeout: Duration,
    pub release_timeout: Duration,
    /// One partition's share of what may be fetched ahead.
    pub partition_buffer_bytes: usize,
}

impl Config {
    /// `partition_count` shares the bytes that may be fetched ahead: any member may be given all partitions.
    #[must_use]
    pub fn kafka_settings(&self, partition_count: usize) -> KafkaSettings {
        let kafka = &self.kafka;
        let buffer_bytes = usize::try_from(self.pipeline.buffer_bytes).unwrap_or(usize::MAX);
        KafkaSettings {
            brokers: kafka.brokers.kafka_brokers.clone(),
            topic: kafka.kafka_topic.clone(),
            partitions: kafka.kafka_partitions,
            properties: kafka.brokers.kafka_config.clone(),
            group_id: kafka.group_id.clone(),
            instance_id: kafka.instance_id.clone(),
            client_id: kafka
                .instance_id
                .clone()
                .unwrap_or_else(|| "tally-consumer".to_owned()),
            group_protocol: kafka.group_protocol,
            session_timeout: kafka.session_timeout,
            release_timeout: self.pipeline.release_timeout,
            partition_buffer_bytes: buffer_bytes / partition_count.max(1),
        }
    }
}

impl PipelineSettings {
    #[must_use]
    pub fn worker_count(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.workers.map_or_else(cores, usize::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_or_a_session_that_would_outlast_the_group_is_refused() {
        for setting in [
            "--release-timeout=31s",
            "--session-timeout=6m",
            "--session-timeout=0s",
        ] {
            let refused = Cli::try_parse_from(["consumer", setting]).unwrap_err();
            assert!(refused.to_string().contains("must be "), "{refused}");
        }
        Cli::try_parse_from(["consumer", "--release-timeout=30s", "--session-timeout=45s"])
            .unwrap();
    }
}

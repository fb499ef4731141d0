//! The topic: created if it is absent, never altered.

use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::{Client, DefaultClientContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use super::client::admin_config;
use super::config::PublisherConfig;

/// The topic as it is.
#[derive(Debug)]
pub(super) struct Topic {
    /// `max.message.bytes`, where the broker tells.
    pub(super) max_record_bytes: Option<u32>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum TopicError {
    #[error("{0}")]
    Client(#[from] KafkaError),
    #[error("{0}")]
    Runtime(#[from] std::io::Error),
    #[error("{0}")]
    Unusable(String),
    #[error("topic {topic} is not there and cannot be created: {reason}")]
    Refused {
        topic: String,
        reason: RDKafkaErrorCode,
    },
}

/// Finds the topic or creates it. Blocks for up to a few `timeout`s.
pub(super) fn ensure(config: &PublisherConfig, timeout: Duration) -> Result<Topic, TopicError> {
    let admin: AdminClient<DefaultClientContext> = admin_config(config).create()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let options = AdminOptions::new().request_timeout(Some(timeout));
    // Creating comes first: a producer that asks about an absent topic makes some brokers create it their own way.
    let created = runtime.block_on(create(&admin, config, &options))?;
    let partitions = partition_count(admin.inner(), &config.kafka_topic, timeout);
    let partitions = match (partitions, created) {
        (Ok(partitions), _) => partitions,
        // Where there is nothing, the reason why nothing could be made says more.
        (Err(_), Creation::Refused(reason)) => {
            return Err(TopicError::Refused {
                topic: config.kafka_topic.clone(),
                reason,
            });
        }
        (Err(reason), _) => return Err(TopicError::Unusable(reason)),
    };
    log_found(config, created, partitions);
    let max_record_bytes =
        runtime.block_on(max_record_bytes(&admin, &config.kafka_topic, &options));
    Ok(Topic { max_record_bytes })
}

#[derive(Debug, Clone, Copy)]
enum Creation {
    Created,
    Existed,
    /// Not allowed, say; the topic may be there nevertheless.
    Refused(RDKafkaErrorCode),
}

async fn create(
    admin: &AdminClient<DefaultClientContext>,
    config: &PublisherConfig,
    options: &AdminOptions,
) -> Result<Creation, KafkaError> {
    const BROKERS_DEFAULT: TopicReplication<'_> = TopicReplication::Fixed(-1);
    let topic = NewTopic::new(
        &config.kafka_topic,
        config.kafka_partitions,
        BROKERS_DEFAULT,
    );
    let results = match admin.create_topics(&[topic], options).await {
        // Some brokers speak the protocol but for this.
        Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnsupportedFeature) => {
            return Ok(Creation::Refused(RDKafkaErrorCode::UnsupportedFeature));
        }
        results => results?,
    };
    Ok(match results.into_iter().next() {
        Some(Ok(_)) => Creation::Created,
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Creation::Existed,
        Some(Err((_, reason))) => Creation::Refused(reason),
        None => Creation::Refused(RDKafkaErrorCode::Unknown),
    })
}

/// How many partitions the topic has; `Err` says why it cannot be written to now.
pub(super) fn partition_count<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    timeout: Duration,
) -> Result<usize, String> {
    let metadata = client
        .fetch_metadata(Some(topic), timeout)
        .map_err(|error| {
            let code = error.rdkafka_error_code();
            format!(
                "the broker does not answer: {}",
                code.map_or_else(|| error.to_string(), |code| code.to_string())
            )
        })?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let Some(found) = found else {
        return Err(format!("the broker does not know topic {topic}"));
    };
    if let Some(error) = found.error() {
        return Err(format!("topic {topic}: {}", RDKafkaErrorCode::from(error)));
    }
    let leaderless = found
        .partitions()
        .iter()
        .filter(|partition| partition.leader() < 0)
        .count();
    match found.partitions().len() {
        0 => Err(format!("topic {topic} has no partitions yet")),
        count if leaderless > 0 => Err(format!(
            "{leaderless} of {count} partitions of topic {topic} have no leader"
        )),
        count => Ok(count),
    }
}

/// `None` where we may not ask: then the broker has the last word on every record.
async fn max_record_bytes(
    admin: &AdminClient<DefaultClientContext>,
    topic: &str,
    options: &AdminOptions,
) -> Option<u32> {
    let described = admin
        .describe_configs([&ResourceSpecifier::Topic(topic)], options)
        .await;
    let resource = match described.map(|results| results.into_iter().next()) {
        Ok(Some(Ok(resource))) => resource,
        refused => {
            tracing::debug!(?refused, "the topic's limits cannot be read");
            return None;
        }
    };
    resource
        .get("max.message.bytes")?
        .value
        .as_ref()?
        .parse()
        .ok()
}

fn log_found(config: &PublisherConfig, created: Creation, partitions: usize) {
    let topic = &config.kafka_topic;
    match created {
        Creation::Created => {
            tracing::info!(
                kafka.topic = topic,
                kafka.partitions = partitions,
                "created the topic"
            );
        }
        Creation::Existed | Creation::Refused(_) => {
            tracing::info!(
                kafka.topic = topic,
                kafka.partitions = partitions,
                "found the topic"
            );
        }
    }
}

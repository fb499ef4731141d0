//! The topic: created if it is absent, never altered.

use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::{Client, DefaultClientContext};
use rdkafka::error::KafkaResult;
use rdkafka::metadata::Metadata;
use rdkafka::types::RDKafkaErrorCode;

use super::client::{admin_config, said};
use super::complaint::reason_of_silence;
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
    Client(String),
    #[error(transparent)]
    Runtime(#[from] std::io::Error),
    #[error(transparent)]
    Unusable(#[from] Unusable),
    #[error("topic {topic} is not there and cannot be created: {reason}")]
    Refused {
        topic: String,
        reason: RDKafkaErrorCode,
    },
}

/// Why the topic cannot be written to now.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("the broker does not answer: {0}")]
    Silent(String),
    #[error("the broker does not know topic {0}")]
    Absent(String),
    #[error("topic {topic}: {error}")]
    Error {
        topic: String,
        error: RDKafkaErrorCode,
    },
    #[error("{without_leader} of {partitions} partitions of topic {topic} have no leader")]
    NoLeader {
        topic: String,
        without_leader: usize,
        partitions: usize,
    },
}

impl Unusable {
    /// Says why there is no answer, where `reason` knows.
    pub(super) fn explained(self, reason: impl FnOnce() -> Option<String>) -> Self {
        match self {
            Self::Silent(error) => Self::Silent(reason().unwrap_or(error)),
            other => other,
        }
    }
}

/// Finds the topic or creates it. Blocks for up to a few `timeout`s.
pub(super) fn ensure(config: &PublisherConfig, timeout: Duration) -> Result<Topic, TopicError> {
    find_or_create(config, timeout).map_err(|error| match error {
        TopicError::Unusable(unusable) => {
            TopicError::Unusable(unusable.explained(|| reason_of_silence(config)))
        }
        other => other,
    })
}

fn find_or_create(config: &PublisherConfig, timeout: Duration) -> Result<Topic, TopicError> {
    let admin: AdminClient<DefaultClientContext> = admin_config(config)
        .create()
        .map_err(|error| TopicError::Client(said(&error)))?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let options = AdminOptions::new().request_timeout(Some(timeout));
    let created = runtime.block_on(create(&admin, config, &options));
    let partitions = match created {
        Creation::Created | Creation::Existed => {
            partition_count(admin.inner(), &config.kafka_topic, timeout)?
        }
        // It may be there nevertheless. If it is not, the reason why it could not be made says more.
        Creation::Refused(reason) => {
            existing_partition_count(admin.inner(), &config.kafka_topic, timeout).map_err(
                |why| match why {
                    Unusable::Absent(topic) => TopicError::Refused { topic, reason },
                    other => TopicError::Unusable(other),
                },
            )?
        }
    };
    let found = if matches!(created, Creation::Created) {
        "created the topic"
    } else {
        "found the topic"
    };
    tracing::info!(
        kafka.topic = config.kafka_topic,
        kafka.partitions = partitions,
        "{found}"
    );
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
) -> Creation {
    const BROKERS_DEFAULT: TopicReplication<'_> = TopicReplication::Fixed(-1);
    let topic = NewTopic::new(
        &config.kafka_topic,
        config.kafka_partitions,
        BROKERS_DEFAULT,
    );
    match admin
        .create_topics(&[topic], options)
        .await
        .map(|results| results.into_iter().next())
    {
        Ok(Some(Ok(_))) => Creation::Created,
        Ok(Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists)))) => Creation::Existed,
        Ok(Some(Err((_, reason)))) => Creation::Refused(reason),
        Ok(None) => Creation::Refused(RDKafkaErrorCode::Unknown),
        Err(error) => {
            Creation::Refused(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail))
        }
    }
}

/// How many partitions a topic has that is known to exist: a producer that asks about one which does not makes some
/// brokers create it, their own way.
pub(super) fn partition_count<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    timeout: Duration,
) -> Result<usize, Unusable> {
    count_partitions(client.fetch_metadata(Some(topic), timeout), topic)
}

/// The same for a topic that may not exist; it costs a list of all topics.
fn existing_partition_count<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    timeout: Duration,
) -> Result<usize, Unusable> {
    count_partitions(client.fetch_metadata(None, timeout), topic)
}

fn count_partitions(answer: KafkaResult<Metadata>, topic: &str) -> Result<usize, Unusable> {
    let metadata = answer.map_err(|error| Unusable::Silent(error.to_string()))?;
    let absent = || Unusable::Absent(topic.to_owned());
    let found = metadata
        .topics()
        .iter()
        .find(|found| found.name() == topic)
        .ok_or_else(absent)?;
    if let Some(error) = found.error() {
        return Err(Unusable::Error {
            topic: topic.to_owned(),
            error: error.into(),
        });
    }
    let partitions = found.partitions();
    let without_leader = partitions
        .iter()
        .filter(|partition| partition.leader() < 0)
        .count();
    if without_leader > 0 {
        return Err(Unusable::NoLeader {
            topic: topic.to_owned(),
            without_leader,
            partitions: partitions.len(),
        });
    }
    if partitions.is_empty() {
        Err(absent())
    } else {
        Ok(partitions.len())
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

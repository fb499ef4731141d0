//! The topic itself: made by whichever service comes first, never altered.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use super::client::{self, said};
use super::silence;
use crate::config::KafkaSettings;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The broker's own default replication factor.
const DEFAULT_REPLICATION: i32 = -1;

#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// Nothing that waiting would mend.
    #[error("KAFKA_CONFIG or KAFKA_BROKERS: {0}")]
    Settings(String),
    #[error("kafka at {brokers}: {reason}")]
    Unreachable { brokers: String, reason: String },
    #[error("kafka refused to make the topic `{topic}`: {code}")]
    Refused {
        topic: String,
        code: RDKafkaErrorCode,
    },
}

/// Makes the topic if it is not there and returns how many partitions it has.
///
/// # Errors
/// [`TopicError`]: a setting is wrong, the broker cannot be reached in a few seconds, or it refuses.
pub async fn ensure_topic(settings: &KafkaSettings) -> Result<usize, TopicError> {
    let mut config = client::asking(settings);
    // Else a broker may make a topic that is only asked for, with its own number of partitions.
    config.set("allow.auto.create.topics", "false");
    let ensured = ask(settings, &config).await;
    let Err(TopicError::Unreachable { brokers, reason }) = ensured else {
        return ensured;
    };
    let why = tokio::task::spawn_blocking(move || silence::reason(&config)).await;
    let why = why.expect("listening to a client does not panic");
    Err(TopicError::Unreachable {
        brokers,
        reason: why.unwrap_or(reason),
    })
}

async fn ask(settings: &KafkaSettings, config: &ClientConfig) -> Result<usize, TopicError> {
    let admin: AdminClient<DefaultClientContext> = config
        .create()
        .map_err(|error| TopicError::Settings(said(&error)))?;
    let admin = Arc::new(admin);
    match partition_count(settings, &admin).await? {
        0 => make(settings, &admin).await?,
        count => return Ok(count),
    }
    partition_count(settings, &admin).await
}

/// None where the topic is not there, or not known yet. Asked first: a member may be allowed to read and not to create.
async fn partition_count(
    settings: &KafkaSettings,
    admin: &Arc<AdminClient<DefaultClientContext>>,
) -> Result<usize, TopicError> {
    let (admin, topic) = (Arc::clone(admin), settings.topic.clone());
    let count = tokio::task::spawn_blocking(move || {
        let metadata = admin
            .inner()
            .fetch_metadata(Some(&topic), REQUEST_TIMEOUT)?;
        let topics = metadata.topics().iter();
        Ok(topics.map(|topic| topic.partitions().len()).sum())
    });
    let count = count.await.expect("reading metadata does not panic");
    count.map_err(|error| unreachable(settings, error))
}

async fn make(
    settings: &KafkaSettings,
    admin: &AdminClient<DefaultClientContext>,
) -> Result<(), TopicError> {
    let replication = TopicReplication::Fixed(DEFAULT_REPLICATION);
    let topic = NewTopic::new(&settings.topic, settings.partitions, replication);
    let options = AdminOptions::new()
        .request_timeout(Some(REQUEST_TIMEOUT))
        .operation_timeout(Some(REQUEST_TIMEOUT));
    let results = admin.create_topics([&topic], &options).await;
    for result in results.map_err(|error| unreachable(settings, error))? {
        match result {
            Ok(topic) => {
                tracing::info!(
                    kafka.topic = topic,
                    kafka.partitions = settings.partitions,
                    "topic made"
                );
            }
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(TopicError::Refused { topic, code }),
        }
    }
    Ok(())
}

fn unreachable(settings: &KafkaSettings, error: KafkaError) -> TopicError {
    TopicError::Unreachable {
        brokers: settings.brokers.clone(),
        reason: error.to_string(),
    }
}

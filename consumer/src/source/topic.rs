//! The topic itself: made by whichever service comes first, never altered.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use crate::config::KafkaSettings;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The broker's own default replication factor.
const DEFAULT_REPLICATION: i32 = -1;

#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    #[error("kafka at {brokers}: {source}")]
    Unreachable { brokers: String, source: KafkaError },
    #[error("kafka refused to make the topic `{topic}`: {code}")]
    Refused {
        topic: String,
        code: RDKafkaErrorCode,
    },
}

/// Makes the topic if it is not there and returns how many partitions it has.
///
/// # Errors
/// [`TopicError`]: the broker cannot be reached in a few seconds, or refuses.
pub async fn ensure_topic(settings: &KafkaSettings) -> Result<usize, TopicError> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &settings.brokers)
        .set("client.id", &settings.client_id);
    for (name, value) in settings.properties.iter() {
        config.set(name, value);
    }
    let unreachable = |source| TopicError::Unreachable {
        brokers: settings.brokers.clone(),
        source,
    };
    let admin: AdminClient<DefaultClientContext> = config.create().map_err(unreachable)?;
    let topic = NewTopic::new(
        &settings.topic,
        settings.partitions,
        TopicReplication::Fixed(DEFAULT_REPLICATION),
    );
    let options = AdminOptions::new()
        .request_timeout(Some(REQUEST_TIMEOUT))
        .operation_timeout(Some(REQUEST_TIMEOUT));
    let results = admin
        .create_topics([&topic], &options)
        .await
        .map_err(unreachable)?;
    for result in results {
        match result {
            Ok(name) => tracing::info!(
                kafka.topic = name,
                kafka.partitions = settings.partitions,
                "topic made"
            ),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => return Err(TopicError::Refused { topic: name, code }),
        }
    }
    let name = settings.topic.clone();
    let metadata = tokio::task::spawn_blocking(move || {
        let metadata = admin.inner().fetch_metadata(Some(&name), REQUEST_TIMEOUT)?;
        Ok(metadata
            .topics()
            .iter()
            .map(|topic| topic.partitions().len())
            .sum())
    });
    metadata
        .await
        .expect("reading metadata does not panic")
        .map_err(unreachable)
}

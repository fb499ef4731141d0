//! A topic for one test, and what a test does to it from outside: foreign records in, every record out.

use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::util::Timeout;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::patience::eventually;
use crate::settings;

mod records;

pub use records::{Record, RecordPublisher, StoredRecord};

/// For one answer of the broker.
const BROKER_PATIENCE: Duration = Duration::from_secs(30);

/// A new topic on the shared broker.
///
/// # Panics
/// The broker cannot be reached: no test can go on without.
pub async fn topic(partitions: i32) -> TestTopic {
    TestTopic::create(settings::kafka(), partitions).await
}

/// A topic that no other test knows. It stays until its broker is thrown away, or until [`TestTopic::delete`].
#[derive(Debug, Clone)]
pub struct TestTopic {
    brokers: String,
    name: String,
    partitions: i32,
}

impl TestTopic {
    /// # Panics
    /// See [`topic`].
    pub async fn create(brokers: &str, partitions: i32) -> Self {
        let topic = Self::unborn(brokers, partitions);
        topic
            .make()
            .await
            .unwrap_or_else(|error| panic!("no test topic on {brokers}: {error:#}"));
        topic
    }

    /// A name that no other test has, for a topic which is not created: the services do that.
    #[must_use]
    pub fn unborn(brokers: &str, partitions: i32) -> Self {
        let name = format!("lab-{}", uuid::Uuid::new_v4().simple());
        Self {
            brokers: brokers.to_owned(),
            name,
            partitions,
        }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    #[must_use]
    pub fn partitions(&self) -> i32 {
        self.partitions
    }

    /// Creates the topic, also again after [`TestTopic::delete`].
    ///
    /// # Errors
    /// The broker cannot be reached, or a topic of that name is there.
    pub async fn make(&self) -> anyhow::Result<()> {
        let topic = NewTopic::new(&self.name, self.partitions, TopicReplication::Fixed(1));
        let results = self
            .admin()?
            .create_topics([&topic], &self.admin_options())
            .await?;
        for result in results {
            result.map_err(|(name, code)| anyhow!("topic {name}: {code}"))?;
        }
        let leads = async || self.end_offsets().await.map(drop);
        eventually(BROKER_PATIENCE, leads).await;
        Ok(())
    }

    /// # Errors
    /// The broker cannot be reached, or there is no such topic.
    pub async fn delete(&self) -> anyhow::Result<()> {
        for result in self
            .admin()?
            .delete_topics(&[&self.name], &self.admin_options())
            .await?
        {
            result.map_err(|(name, code)| anyhow!("topic {name}: {code}"))?;
        }
        Ok(())
    }

    /// Drops every record of a partition before `offset`, as retention does.
    ///
    /// # Errors
    /// The broker cannot be reached, or holds no such offset.
    pub async fn delete_records(&self, partition: i32, offset: i64) -> anyhow::Result<()> {
        let mut positions = TopicPartitionList::new();
        positions.add_partition_offset(&self.name, partition, Offset::Offset(offset))?;
        let deleted = self
            .admin()?
            .delete_records(&positions, &self.admin_options())
            .await?;
        deleted
            .elements()
            .iter()
            .try_for_each(|element| element.error())
            .context("deleting records")
    }

    /// The offset that the next record of each partition will have.
    ///
    /// # Errors
    /// The broker cannot be reached, or a partition has no leader.
    pub async fn end_offsets(&self) -> anyhow::Result<Vec<i64>> {
        let topic = self.clone();
        let read = move || {
            // A transaction's records count, too, before its marker lies there: its commit is answered earlier than that.
            let mut config = topic.reading("lab-reader");
            config.set("isolation.level", "read_uncommitted");
            let reader: BaseConsumer = config.create()?;
            let end = |partition| {
                let (_, end) = reader.fetch_watermarks(&topic.name, partition, BROKER_PATIENCE)?;
                Ok(end)
            };
            (0..topic.partitions).map(end).collect()
        };
        tokio::task::spawn_blocking(read).await?
    }

    /// Commits offsets for a group that has no members, `None` leaves a partition as it is.
    ///
    /// # Errors
    /// The broker refuses.
    pub async fn commit(&self, group: &str, offsets: &[Option<i64>]) -> anyhow::Result<()> {
        let mut partitions = TopicPartitionList::new();
        for (offset, partition) in offsets.iter().zip(0..) {
            if let Some(offset) = offset {
                partitions.add_partition_offset(&self.name, partition, Offset::Offset(*offset))?;
            }
        }
        let (topic, group) = (self.clone(), group.to_owned());
        let commit = move || -> anyhow::Result<()> {
            Ok(topic
                .reader(&group)?
                .commit(&partitions, CommitMode::Sync)?)
        };
        tokio::task::spawn_blocking(commit).await?
    }

    /// What `group` has committed to Kafka for each partition; `None` where it has not.
    ///
    /// # Errors
    /// The broker cannot be reached.
    pub async fn committed(&self, group: &str) -> anyhow::Result<Vec<Option<i64>>> {
        let (topic, group) = (self.clone(), group.to_owned());
        let read = move || {
            let mut partitions = TopicPartitionList::new();
            partitions.add_partition_range(&topic.name, 0, topic.partitions - 1);
            let committed = topic
                .reader(&group)?
                .committed_offsets(partitions, BROKER_PATIENCE)?;
            let elements = committed.elements_for_topic(&topic.name);
            ensure!(
                elements.len() == usize::try_from(topic.partitions)?,
                "an offset for each partition"
            );
            let offset =
                |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match element
                    .offset()
                {
                    Offset::Offset(offset) => Some(offset),
                    _ => None,
                };
            Ok(elements.iter().map(offset).collect())
        };
        tokio::task::spawn_blocking(read).await?
    }

    /// A client of `group` that never joins it.
    fn reader(&self, group: &str) -> anyhow::Result<BaseConsumer> {
        Ok(self.reading(group).create()?)
    }

    fn reading(&self, group: &str) -> ClientConfig {
        let mut config = self.client();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            // How long the broker may wait for a record where there is none: each partition's end costs that once.
            .set("fetch.wait.max.ms", "10");
        config
    }

    fn admin(&self) -> anyhow::Result<AdminClient<DefaultClientContext>> {
        Ok(self.client().create()?)
    }

    fn admin_options(&self) -> AdminOptions {
        AdminOptions::new().operation_timeout(Some(Timeout::After(BROKER_PATIENCE)))
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config
    }
}

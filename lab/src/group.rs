//! A consumer group alone: members as processes, on a database and a topic of their own. Orders are put straight into the
//! topic, as other producers would.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use tokio_postgres::NoTls;

use crate::check::{Expected, Scene};
use crate::orders::TestOrder;
use crate::patience::eventually;
use crate::{Program, Record, Service, TestDatabase, TestTopic, database, topic};

/// One consumer group's work on one topic into one database, whose positions are watched.
#[derive(Debug)]
pub struct Group {
    pub database: TestDatabase,
    pub topic: TestTopic,
    pub name: String,
}

/// A partition's row, as the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub next_offset: i64,
    pub epoch: i64,
    pub batch_no: i64,
    pub owner: String,
}

impl Held {
    /// Whether this process has claimed it.
    #[must_use]
    pub fn is_of(&self, member: &Service) -> bool {
        member.is_owner(&self.owner)
    }
}

impl Group {
    /// On the shared servers.
    pub async fn new(partitions: i32) -> Self {
        Self::on(database().await, topic(partitions).await).await
    }

    pub async fn on(database: TestDatabase, topic: TestTopic) -> Self {
        database.watch_positions().await;
        let name = format!("group-{}", topic.name());
        Self {
            database,
            topic,
            name,
        }
    }

    /// The consumer with this group's settings.
    #[must_use]
    pub fn program(&self) -> Program {
        Program::named("consumer")
            .set("DATABASE_URL", self.database.url())
            .set("KAFKA_BROKERS", self.topic.brokers())
            .set("KAFKA_TOPIC", self.topic.name())
            .set("KAFKA_PARTITIONS", self.topic.partitions())
            .set("GROUP_ID", &self.name)
    }

    /// Starts a member; `settings` by their environment variables.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn member(&self, name: &str, settings: &[(&str, &str)]) -> anyhow::Result<Service> {
        let program = settings
            .iter()
            .fold(self.program(), |program, (name, value)| {
                program.set(name, value)
            });
        program.serve_anywhere(name, "CONSUMER_ADDRESS")
    }

    /// Publishes orders under their users' keys, all at once.
    ///
    /// # Errors
    /// The broker did not acknowledge one of them.
    pub async fn publish<'a>(
        &self,
        orders: impl IntoIterator<Item = &'a TestOrder>,
    ) -> anyhow::Result<()> {
        let records: Vec<Record> = orders.into_iter().map(Record::of).collect();
        self.topic.publish_all(&records).await.map(drop)
    }

    /// What every partition that was ever claimed has come to.
    ///
    /// # Errors
    /// The database cannot be asked.
    pub async fn positions(&self) -> anyhow::Result<BTreeMap<i32, Held>> {
        const SQL: &str = "SELECT partition, next_offset, epoch, batch_no, owner FROM consumer_offsets WHERE group_id = $1";
        let (client, connection) = self.database.config().connect(NoTls).await?;
        let connection = tokio::spawn(connection);
        let rows = client.query(SQL, &[&self.name]).await?;
        drop(client);
        connection.await??;
        let held = |row: &tokio_postgres::Row| Held {
            next_offset: row.get(1),
            epoch: row.get(2),
            batch_no: row.get(3),
            owner: row.get(4),
        };
        Ok(rows.iter().map(|row| (row.get(0), held(row))).collect())
    }

    /// The partitions that this member has claimed last.
    ///
    /// # Errors
    /// The database cannot be asked.
    pub async fn held_by(&self, member: &Service) -> anyhow::Result<Vec<i32>> {
        let positions = self.positions().await?.into_iter();
        Ok(positions
            .filter(|(_, held)| held.is_of(member))
            .map(|(partition, _)| partition)
            .collect())
    }

    /// Waits until all members have claimed as many partitions as the others, or one more, and nobody else holds any.
    ///
    /// # Panics
    /// That was not so within `patience`.
    pub async fn shared_by(&self, members: &[&Service], patience: Duration) {
        let partitions = usize::try_from(self.topic.partitions()).expect("a topic has partitions");
        let fair = partitions / members.len();
        eventually(patience, async || {
            let positions = self.positions().await?;
            let mut claimed = 0;
            for member in members {
                let count = positions.values().filter(|held| held.is_of(member)).count();
                ensure!(
                    (fair..=fair + 1).contains(&count),
                    "not shared yet: {positions:?}"
                );
                claimed += count;
            }
            ensure!(claimed == partitions, "not claimed yet: {positions:?}");
            Ok(())
        })
        .await;
    }

    /// How many records have been applied.
    ///
    /// # Errors
    /// The database cannot be asked.
    pub async fn applied(&self) -> anyhow::Result<i64> {
        let positions = self.positions().await?;
        Ok(positions.values().map(|held| held.next_offset).sum())
    }

    /// Waits until at least `records` have been applied.
    ///
    /// # Panics
    /// That was not so within `patience`.
    pub async fn applied_at_least(&self, records: i64, patience: Duration) {
        eventually(patience, async || {
            let applied = self.applied().await?;
            ensure!(
                applied >= records,
                "{applied} of {records} records are applied"
            );
            Ok(())
        })
        .await;
    }

    /// Waits until every record that the topic holds now has been applied.
    ///
    /// # Errors
    /// The broker could not be asked.
    ///
    /// # Panics
    /// That was not so within `patience`.
    pub async fn quiet(&self, patience: Duration) -> anyhow::Result<()> {
        let ends = self.topic.end_offsets().await?;
        eventually(patience, async || {
            let positions = self.positions().await?;
            for (end, partition) in ends.iter().zip(0..) {
                let next = positions.get(&partition).map_or(0, |held| held.next_offset);
                ensure!(
                    next >= *end,
                    "partition {partition} is at {next} of {end}: {positions:?}"
                );
            }
            Ok(())
        })
        .await;
        Ok(())
    }

    /// Where the orders went, for the checks.
    #[must_use]
    pub fn scene(&self) -> Scene<'_> {
        Scene {
            database: &self.database,
            topic: &self.topic,
            group: &self.name,
        }
    }

    /// Everything in the topic is applied, each of these orders once and nothing else, and all sums are right.
    ///
    /// # Errors
    /// A server could not be asked.
    ///
    /// # Panics
    /// It is not so; what is wrong is named.
    pub async fn assert_exact(
        &self,
        orders: impl IntoIterator<Item = TestOrder>,
        patience: Duration,
    ) -> anyhow::Result<()> {
        self.quiet(patience).await?;
        self.scene()
            .assert_clean(&Expected::acknowledged(orders))
            .await
    }
}

impl Service {
    /// Whether `consumer_offsets.owner` names this process.
    #[must_use]
    pub fn is_owner(&self, owner: &str) -> bool {
        self.process()
            .is_ok_and(|process| owner.ends_with(&format!(" pid {}", process.number())))
    }
}

//! The three services as processes, on a database, a topic and a group of their own.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio_postgres::NoTls;

use crate::check::Scene;
use crate::patience::eventually;
use crate::{Answer, Http, Program, Service, TestDatabase, TestTopic, database, settings};

const PARTITIONS: i32 = 6;

/// What a [`Trio`] is to be made of; whatever is not said is made anew on the shared servers.
#[derive(Debug)]
pub struct Plan {
    database: Option<TestDatabase>,
    consumers_database_url: Option<String>,
    brokers: String,
    partitions: i32,
    consumers: usize,
    settings: BTreeMap<String, String>,
}

/// A producer, one or more consumers of one group, and a query API. They end before their database does.
#[derive(Debug)]
pub struct Trio {
    pub producer: Service,
    pub consumers: Vec<Service>,
    pub query_api: Service,
    pub http: Http,
    pub topic: TestTopic,
    pub group: String,
    pub database: TestDatabase,
    settings: BTreeMap<String, String>,
    consumer_settings: BTreeMap<String, String>,
}

impl Plan {
    #[must_use]
    pub fn consumers(self, consumers: usize) -> Self {
        Self { consumers, ..self }
    }

    #[must_use]
    pub fn partitions(self, partitions: i32) -> Self {
        Self { partitions, ..self }
    }

    #[must_use]
    pub fn brokers(self, brokers: String) -> Self {
        Self { brokers, ..self }
    }

    #[must_use]
    pub fn database(self, database: TestDatabase) -> Self {
        Self {
            database: Some(database),
            ..self
        }
    }

    /// How the consumers reach the database, where that is not its own URL: through a [`crate::Proxy`].
    #[must_use]
    pub fn consumers_database_url(self, url: String) -> Self {
        Self {
            consumers_database_url: Some(url),
            ..self
        }
    }

    /// A setting of all services, by its environment variable.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.insert(name.to_owned(), value.to_string());
        self
    }

    /// Starts the services together and waits until all are ready.
    ///
    /// # Errors
    /// One cannot be started.
    ///
    /// # Panics
    /// One does not become ready.
    pub async fn start(self) -> anyhow::Result<Trio> {
        let database = match self.database {
            Some(database) => database,
            None => database().await,
        };
        database.watch_positions().await;
        let topic = TestTopic::unborn(&self.brokers, self.partitions);
        let group = format!("group-{}", topic.name());
        let mut settings = self.settings;
        for (name, value) in [
            ("DATABASE_URL", database.url()),
            ("KAFKA_BROKERS", topic.brokers()),
            ("KAFKA_TOPIC", topic.name()),
            ("KAFKA_PARTITIONS", &topic.partitions().to_string()),
            ("GROUP_ID", &group),
        ] {
            settings.insert(name.to_owned(), value.to_owned());
        }
        let mut consumer_settings = settings.clone();
        if let Some(url) = self.consumers_database_url {
            consumer_settings.insert("DATABASE_URL".to_owned(), url);
        }
        let producer = serve("producer", "producer", "PRODUCER_ADDRESS", &settings)?;
        let consumers = (1..=self.consumers)
            .map(|number| {
                serve(
                    "consumer",
                    &format!("consumer-{number}"),
                    "CONSUMER_ADDRESS",
                    &consumer_settings,
                )
            })
            .collect::<anyhow::Result<_>>()?;
        let query_api = serve("query-api", "query-api", "QUERY_API_ADDRESS", &settings)?;
        let http = Http::default();
        let mut trio = Trio {
            producer,
            consumers,
            query_api,
            http,
            topic,
            group,
            database,
            settings,
            consumer_settings,
        };
        trio.ready().await;
        Ok(trio)
    }
}

fn serve(
    binary: &str,
    name: &str,
    address_setting: &str,
    settings: &BTreeMap<String, String>,
) -> anyhow::Result<Service> {
    Program::named(binary)
        .set_all(settings)
        .serve_anywhere(name, address_setting)
}

impl Trio {
    /// One consumer, six partitions, everything new on the shared servers.
    #[must_use]
    pub fn plan() -> Plan {
        Plan {
            database: None,
            consumers_database_url: None,
            brokers: settings::kafka().to_owned(),
            partitions: PARTITIONS,
            consumers: 1,
            settings: BTreeMap::new(),
        }
    }

    /// # Errors
    /// See [`Plan::start`].
    pub async fn start() -> anyhow::Result<Self> {
        Self::plan().start().await
    }

    /// Waits until every service is ready.
    ///
    /// # Panics
    /// One ended, or was not ready in time.
    pub async fn ready(&mut self) {
        self.producer.ready().await;
        for consumer in &mut self.consumers {
            consumer.ready().await;
        }
        self.query_api.ready().await;
    }

    /// One more consumer of the same group.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn add_consumer(&mut self) -> anyhow::Result<&mut Service> {
        let name = format!("consumer-{}", self.consumers.len() + 1);
        let consumer = serve(
            "consumer",
            &name,
            "CONSUMER_ADDRESS",
            &self.consumer_settings,
        )?;
        self.consumers.push(consumer);
        let consumer = self.consumers.last_mut().context("one was pushed")?;
        consumer.ready().await;
        Ok(consumer)
    }

    /// Posts one order.
    ///
    /// # Errors
    /// There was no answer: the outcome is unknown.
    pub async fn post(&self, order: &Value) -> anyhow::Result<Answer> {
        self.http
            .post_json(&self.producer.url("/orders"), order)
            .await
    }

    /// An answer of the query API that has to be a 200.
    ///
    /// # Errors
    /// It was something else.
    pub async fn ask(&self, path: &str) -> anyhow::Result<Value> {
        self.http.json(&self.query_api.url(path)).await
    }

    /// Any binary with the services' settings: the loader, `consumer verify`.
    #[must_use]
    pub fn program(&self, binary: &str) -> Program {
        Program::named(binary).set_all(&self.settings)
    }

    /// Where the orders went, for the checks.
    #[must_use]
    pub fn scene(&self) -> Scene<'_> {
        Scene {
            database: &self.database,
            topic: &self.topic,
            group: &self.group,
        }
    }

    /// How many records have been applied, as the database says.
    ///
    /// # Errors
    /// The database cannot be asked.
    pub async fn applied(&self) -> anyhow::Result<i64> {
        let (client, connection) = self.database.config().connect(NoTls).await?;
        let connection = tokio::spawn(connection);
        let sum = "SELECT coalesce(sum(next_offset), 0)::bigint FROM consumer_offsets WHERE group_id = $1";
        let applied = client.query_one(sum, &[&self.group]).await?.get(0);
        drop(client);
        connection.await??;
        Ok(applied)
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
            Ok::<_, anyhow::Error>(())
        })
        .await;
    }

    /// Waits until everything that the topic holds now is applied, and is in every answer of the query API.
    ///
    /// # Errors
    /// The broker could not be asked for the topic's ends.
    ///
    /// # Panics
    /// That was not so within `patience`; what was missing is told.
    pub async fn quiet(&self, patience: Duration) -> anyhow::Result<()> {
        let ends = self.topic.end_offsets().await?;
        eventually(patience, async || {
            let health = self.ask("/health").await?;
            for (partition, end) in ends.iter().enumerate().filter(|(_, end)| **end > 0) {
                let position = format!("{}/{partition}", self.topic.name());
                let next = health["positions"][&position]["next_offset"]
                    .as_i64()
                    .unwrap_or(0);
                ensure!(next >= *end, "{position} is at {next} of {end}");
            }
            Ok::<_, anyhow::Error>(())
        })
        .await;
        Ok(())
    }
}

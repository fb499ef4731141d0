//! A consumer inside the test's own process, on a database and a topic of its own.

use std::time::Duration;

use clap::Parser;
use consumer::config::Cli;
use consumer::service;
use lab::{Record, TestDatabase, TestTopic};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

/// Far longer than anything here should take, on a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What a test consumes from and into.
pub(crate) struct Setup {
    pub(crate) database: TestDatabase,
    pub(crate) topic: TestTopic,
    pub(crate) client: Client,
}

/// A member of the group; dropping it is no clean stop.
pub(crate) struct Member {
    stop: CancellationToken,
    service: JoinHandle<anyhow::Result<()>>,
}

impl Setup {
    pub(crate) async fn new(partitions: i32) -> Self {
        let database = lab::database().await;
        let client = database.client().await;
        Self {
            database,
            topic: lab::topic(partitions).await,
            client,
        }
    }

    pub(crate) fn member(&self, settings: &[&str]) -> Member {
        self.member_at(self.database.url(), settings)
    }

    /// A member that reaches the database at another address, a proxy's for example.
    pub(crate) fn member_at(&self, database_url: &str, settings: &[&str]) -> Member {
        let arguments = [
            "consumer",
            "--database-url",
            database_url,
            "--kafka-brokers",
            self.topic.brokers(),
            "--kafka-topic",
            self.topic.name(),
            "--group-id",
            self.topic.name(),
            "--address",
            "127.0.0.1:0",
        ];
        let config = Cli::parse_from(arguments.iter().chain(settings)).config;
        let stop = CancellationToken::new();
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let service = tokio::spawn(service::run(config, metrics, stop.clone()));
        Member { stop, service }
    }

    /// Puts values into partitions, in this order.
    pub(crate) async fn publish_all(&self, values: impl IntoIterator<Item = (i32, Value)>) {
        let record = |(partition, value): (i32, Value)| Record {
            partition: Some(partition),
            value: Some(value.to_string().into_bytes()),
            ..Record::default()
        };
        let records: Vec<_> = values.into_iter().map(record).collect();
        self.topic
            .publish_all(&records)
            .await
            .expect("the broker takes the records");
    }

    /// Puts a value into a partition; returns its offset.
    pub(crate) async fn publish(&self, partition: i32, value: &Value) -> i64 {
        self.publish_bytes(partition, value.to_string().as_bytes())
            .await
    }

    pub(crate) async fn publish_bytes(&self, partition: i32, value: &[u8]) -> i64 {
        let record = Record {
            partition: Some(partition),
            value: Some(value.to_vec()),
            ..Record::default()
        };
        self.topic
            .publish(&record)
            .await
            .expect("the broker takes a record")
            .1
    }

    /// Waits until every record that is in the topic now was applied.
    pub(crate) async fn applied(&self) {
        let ends = self
            .topic
            .end_offsets()
            .await
            .expect("the broker tells its end offsets");
        lab::eventually(PATIENCE, async || {
            let positions = self.positions().await;
            let behind: Vec<_> = ends
                .iter()
                .zip(0..)
                .filter(|(end, partition)| **end > positions.get(partition).copied().unwrap_or(0))
                .collect();
            if behind.is_empty() {
                Ok(())
            } else {
                Err(format!("not applied: {behind:?}; at {positions:?}"))
            }
        })
        .await;
    }

    /// Next offsets by partition, as the database has them.
    pub(crate) async fn positions(&self) -> std::collections::BTreeMap<i32, i64> {
        self.rows("SELECT partition, next_offset FROM consumer_offsets")
            .await
            .iter()
            .map(|row| (row.get(0), row.get(1)))
            .collect()
    }

    pub(crate) async fn rows(&self, sql: &str) -> Vec<tokio_postgres::Row> {
        self.client
            .query(sql, &[])
            .await
            .expect("the test's own connection works")
    }

    pub(crate) async fn count(&self, sql: &str) -> i64 {
        self.rows(sql).await[0].get(0)
    }
}

impl Member {
    /// Asks it to stop and waits until it has.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        let outcome = tokio::time::timeout(PATIENCE, self.service).await;
        outcome
            .expect("it stops in time")
            .expect("it does not panic")
            .expect("it stops without an error");
    }
}

/// An order of one item that is worth `amount`.
pub(crate) fn order(id: &str, user: &str, amount: &str) -> Value {
    json!({
        "order_id": id,
        "user_id": user,
        "created_at": "2026-01-02T03:04:05Z",
        "currency": "EUR",
        "amount": amount,
        "items": [{"sku": "s1", "quantity": 2, "unit_price": "1.50"}],
    })
}

//! A consumer inside the test's own process, on a database and a topic of its own.

use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use consumer::config::{Cli, Config};
use consumer::service;
use consumer::store::Store;
use lab::{Group, Http, Record, Service, TestDatabase, TestTopic};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

/// Far longer than anything here should take, on a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What a test consumes from and into.
pub(crate) struct Setup {
    pub(crate) group: Group,
    pub(crate) client: Client,
}

/// A member of the group; dropping it is no clean stop.
pub(crate) struct Member {
    stop: CancellationToken,
    service: JoinHandle<anyhow::Result<()>>,
}

impl Setup {
    pub(crate) async fn new(partitions: i32) -> Self {
        Self::on(lab::database().await, lab::topic(partitions).await).await
    }

    pub(crate) async fn on(database: TestDatabase, topic: TestTopic) -> Self {
        let group = Group::on(database, topic).await;
        Self {
            client: group.database.client().await,
            group,
        }
    }

    /// The group's.
    pub(crate) fn name(&self) -> &str {
        &self.group.name
    }

    pub(crate) fn member(&self, settings: &[&str]) -> Member {
        self.member_at(self.group.database.url(), settings)
    }

    /// A member that reaches the database at another address, a proxy's for example.
    pub(crate) fn member_at(&self, database_url: &str, settings: &[&str]) -> Member {
        let config = self.config(database_url, settings);
        let stop = CancellationToken::new();
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let service = tokio::spawn(service::run(config, metrics, stop.clone()));
        Member { stop, service }
    }

    /// The database as a member of the group uses it.
    pub(crate) fn store(&self) -> Store {
        let config = self.config(self.group.database.url(), &[]);
        service::connect(&config).expect("the database's URL is one")
    }

    fn config(&self, database_url: &str, settings: &[&str]) -> Config {
        let arguments = [
            "consumer",
            "--database-url",
            database_url,
            "--kafka-brokers",
            self.group.topic.brokers(),
            "--kafka-topic",
            self.group.topic.name(),
            "--group-id",
            self.name(),
            "--address",
            "127.0.0.1:0",
        ];
        Cli::parse_from(arguments.iter().chain(settings)).config
    }

    /// Puts values into partitions, in this order.
    pub(crate) async fn publish_all(&self, values: impl IntoIterator<Item = (i32, Value)>) {
        let record = |(partition, value): (i32, Value)| Record {
            partition: Some(partition),
            value: Some(value.to_string().into_bytes()),
            ..Record::default()
        };
        let records: Vec<_> = values.into_iter().map(record).collect();
        self.group
            .topic
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
        self.group
            .topic
            .publish(&record)
            .await
            .expect("the broker takes a record")
            .1
    }

    /// Publishes orders of 1.00 each, for a few users, over all partitions in turn.
    pub(crate) async fn publish_orders(&self, ids: std::ops::Range<u32>) {
        let orders = ids.map(|id| {
            let partition = i32::try_from(id).expect("few orders") % self.group.topic.partitions();
            (
                partition,
                order(&format!("o{id}"), &format!("u{}", id % 7), "1.00"),
            )
        });
        self.publish_all(orders).await;
    }

    /// Waits until every record that is in the topic now was applied.
    pub(crate) async fn applied(&self) {
        self.group
            .quiet(PATIENCE)
            .await
            .expect("the broker tells its end offsets");
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

/// Waits until the member says that it has stopped a partition, and returns its reason.
pub(crate) async fn stopped(member: &Service, partition: i32) -> String {
    let url = member.url("/health");
    lab::eventually(PATIENCE, async || {
        // While a partition is stopped the member is not ready.
        let health = Http::default().get(&url).await?.json()?;
        let lanes = health["partitions"].as_array().context("partitions")?;
        let lane = lanes
            .iter()
            .find(|lane| lane["partition"] == partition && lane["state"] == "stopped");
        let reason = lane.and_then(|lane| lane["reason"].as_str());
        reason
            .map(str::to_owned)
            .with_context(|| format!("partition {partition} is not stopped: {health}"))
    })
    .await
}

/// So many orders, each once, every sum what they say, and every record accounted for.
pub(crate) async fn assert_exact(setup: &Setup, orders: i64) {
    assert_sums(setup, orders).await;
    setup
        .group
        .scene()
        .assert_consistent()
        .await
        .expect("the servers can be asked");
}

/// So many orders, each once, and every sum what they say, whatever became of the topic.
pub(crate) async fn assert_sums(setup: &Setup, orders: i64) {
    assert_eq!(setup.count("SELECT count(*) FROM orders").await, orders);
    assert_eq!(
        setup.count("SELECT count(*) FROM order_items").await,
        orders
    );
    assert_eq!(
        setup
            .count("SELECT sum(order_count)::bigint FROM sales_hourly")
            .await,
        orders
    );
    let wrong = setup
        .count(
            "SELECT count(*) FROM user_stats s FULL JOIN
                    (SELECT user_id, currency, count(*) AS n, sum(amount) AS total FROM orders GROUP BY 1, 2) o
                    USING (user_id, currency)
              WHERE s.order_count IS DISTINCT FROM o.n OR s.total_amount IS DISTINCT FROM o.total",
        )
        .await;
    assert_eq!(wrong, 0, "user_stats differ from the orders");
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

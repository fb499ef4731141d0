//! A check that cannot fail proves nothing: each violation is staged here by hand, in tables and a topic that no service
//! has seen, and has to be found.

use anyhow::Context;
use lab::check::{Expected, Scene};
use lab::orders::{Orders, TestOrder};
use lab::{Record, TestDatabase, TestTopic};
use tokio_postgres::Client;

const GROUP: &str = "lab-check";

/// Copies of the tables as they were set.
const SAVE: &str = "
    CREATE SCHEMA saved;
    CREATE TABLE saved.orders AS TABLE orders;
    CREATE TABLE saved.order_items AS TABLE order_items;
    CREATE TABLE saved.user_stats AS TABLE user_stats;
    CREATE TABLE saved.sales_hourly AS TABLE sales_hourly;
    CREATE TABLE saved.consumer_offsets AS TABLE consumer_offsets;
    CREATE TABLE saved.dead_letters AS TABLE dead_letters;";

const RESTORE: &str = "
    TRUNCATE orders, order_items, payments, purged_orders, user_stats, sales_hourly, consumer_offsets, dead_letters,
             dead_letter_discards, lab.violations;
    INSERT INTO orders TABLE saved.orders;
    INSERT INTO order_items TABLE saved.order_items;
    INSERT INTO user_stats TABLE saved.user_stats;
    INSERT INTO sales_hourly TABLE saved.sales_hourly;
    INSERT INTO consumer_offsets TABLE saved.consumer_offsets;
    INSERT INTO dead_letters OVERRIDING SYSTEM VALUE TABLE saved.dead_letters;";

struct Stage {
    database: TestDatabase,
    topic: TestTopic,
    client: Client,
    orders: Vec<TestOrder>,
}

impl Stage {
    /// Three orders as a consumer would have stored them, and a dead letter behind them.
    async fn set() -> anyhow::Result<Self> {
        let database = lab::database().await;
        database.watch_positions().await;
        let topic = lab::topic(1).await;
        let client = database.client().await;
        let orders: Vec<TestOrder> = Orders::seeded(11).take(3).collect();
        for (number, order) in (1_i64..).zip(&orders) {
            topic
                .publish(&Record {
                    value: Some(order.body.to_string().into_bytes()),
                    ..Record::default()
                })
                .await?;
            store(&client, number, order).await?;
        }
        topic
            .publish(&Record {
                value: Some(b"no json".to_vec()),
                ..Record::default()
            })
            .await?;
        let stage = Self {
            database,
            topic,
            client,
            orders,
        };
        stage.run(&format!(
            "INSERT INTO consumer_offsets (group_id, topic, partition, next_offset, batch_no, epoch, owner)
             VALUES ('{GROUP}', '{topic}', 0, 4, 1, 1, 'lab');
             INSERT INTO applied_batches (group_id, topic, partition, batch_no, next_offset, user_ids, buckets, dead_letter_count)
             VALUES ('{GROUP}', '{topic}', 0, 1, 4, '{{}}', '{{}}', 1);
             INSERT INTO dead_letters (group_id, topic, partition, \"offset\", reason, detail, value, headers)
             VALUES ('{GROUP}', '{topic}', 0, 3, 'undecodable', 'no json', 'no json', '{{}}');",
            topic = stage.topic.name()
        )).await?;
        stage.run(SAVE).await?;
        Ok(stage)
    }

    fn expected(&self) -> Expected {
        Expected::acknowledged(self.orders.clone()).dead_letter((0, 3), "undecodable")
    }

    async fn run(&self, sql: &str) -> anyhow::Result<()> {
        self.client
            .batch_execute(sql)
            .await
            .with_context(|| sql.to_owned())
    }

    async fn violations(&self, expected: &Expected) -> anyhow::Result<Vec<String>> {
        Scene {
            database: &self.database,
            topic: &self.topic,
            group: GROUP,
        }
        .violations(expected)
        .await
    }

    /// Runs `sql`, asserts that a violation tells of `words`, and puts everything back.
    async fn finds(&self, sql: &str, words: &str) -> anyhow::Result<()> {
        self.run(sql).await?;
        let violations = self.violations(&self.expected()).await?;
        self.run(RESTORE).await?;
        assert!(
            violations.iter().any(|violation| violation.contains(words)),
            "{sql}\nfound {violations:#?}"
        );
        Ok(())
    }
}

async fn store(client: &Client, number: i64, order: &TestOrder) -> anyhow::Result<()> {
    let (amount, time) = (
        lab::units::print(order.amount),
        lab::orders::canonical_time(order.created_at),
    );
    let (id, user, currency) = (&order.order_id, &order.user_id, &order.currency);
    let mut sql = format!(
        "INSERT INTO orders (order_no, order_id, user_id, currency, amount, created_at, received_at, content_hash)
         VALUES ({number}, '{id}', '{user}', '{currency}', {amount}, '{time}', now(), '0123456789abcdef');
         INSERT INTO user_stats VALUES ('{user}', '{currency}', 1, {amount}, '{time}', '{time}')
         ON CONFLICT (user_id, currency) DO UPDATE SET order_count = user_stats.order_count + 1,
             total_amount = user_stats.total_amount + excluded.total_amount,
             first_order_at = least(user_stats.first_order_at, excluded.first_order_at),
             last_order_at = greatest(user_stats.last_order_at, excluded.last_order_at);
         INSERT INTO sales_hourly VALUES (date_trunc('hour', '{time}'::timestamptz, 'UTC'), '{currency}', 0, 1, {items}, {amount})
         ON CONFLICT (bucket, currency, partition) DO UPDATE SET order_count = sales_hourly.order_count + 1,
             item_count = sales_hourly.item_count + excluded.item_count,
             amount = sales_hourly.amount + excluded.amount;",
        items = order.item_count
    );
    for (line, item) in order.canonical["items"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let total = item["total_price"].as_str().context("a total")?;
        sql += &format!(
            "INSERT INTO order_items (order_no, line, sku, quantity, total_price)
             VALUES ({number}, {line}, 'x', {}, {total});",
            item["quantity"]
        );
    }
    client.batch_execute(&sql).await.with_context(|| sql)
}

#[tokio::test]
async fn a_clean_stage_has_no_violation() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    assert_eq!(
        stage.violations(&stage.expected()).await?,
        Vec::<String>::new()
    );
    Ok(())
}

#[tokio::test]
async fn sums_that_differ_from_their_recomputation_are_found() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    stage
        .finds(
            "UPDATE user_stats SET total_amount = total_amount + 0.0001",
            "user_stats of",
        )
        .await?;
    stage
        .finds(
            "UPDATE user_stats SET last_order_at = last_order_at + interval '1 microsecond'",
            "user_stats of",
        )
        .await?;
    stage
        .finds(
            "UPDATE sales_hourly SET item_count = item_count + 1",
            "sales of",
        )
        .await?;
    stage
        .finds(
            "UPDATE sales_hourly SET amount = amount + 1",
            "the totals in",
        )
        .await?;
    stage
        .finds(
            "UPDATE user_stats SET order_count = order_count + 1",
            "user (",
        )
        .await
}

#[tokio::test]
async fn an_order_that_is_missing_or_altered_or_nobodys_is_found() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    stage
        .finds("DELETE FROM orders WHERE order_no = 1", "is not stored")
        .await?;
    stage
        .finds("DELETE FROM orders WHERE order_no = 1", "was passed over")
        .await?;
    stage
        .finds(
            "UPDATE orders SET created_at = created_at + interval '1 hour'",
            "is stored as",
        )
        .await?;
    stage
        .finds(
            "UPDATE order_items SET total_price = total_price + 1",
            "is stored as",
        )
        .await?;
    stage
        .finds(
            "UPDATE orders SET order_id = 'stranger' WHERE order_no = 2",
            "never accepted",
        )
        .await?;
    stage
        .finds(
            "INSERT INTO payments (order_no) VALUES (99)",
            "payment of an order 99",
        )
        .await?;
    stage.finds(
        "INSERT INTO order_items (order_no, line, sku, quantity, total_price) VALUES (1, 77, 'x', 1, 1)",
        "items of order 1",
    )
    .await
}

#[tokio::test]
async fn an_order_that_is_counted_twice_is_found() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    // Rows and sums agree with each other, and not with what was sent.
    let twice = |order_id: &str| {
        format!(
            "INSERT INTO orders (order_no, order_id, user_id, currency, amount, created_at, received_at, content_hash)
             SELECT 77, {order_id}, user_id, currency, amount, created_at, received_at, content_hash
               FROM orders WHERE order_no = 1;
             INSERT INTO order_items (order_no, line, sku, quantity, total_price)
             SELECT 77, line, sku, quantity, total_price FROM order_items WHERE order_no = 1;
             UPDATE user_stats s SET order_count = order_count + 1, total_amount = total_amount + o.amount
               FROM orders o WHERE o.order_no = 77 AND (s.user_id, s.currency) = (o.user_id, o.currency);
             UPDATE sales_hourly s SET order_count = order_count + 1, amount = s.amount + o.amount, item_count = item_count
                    + (SELECT count(*) FROM order_items WHERE order_no = 77)
               FROM orders o
              WHERE o.order_no = 77 AND (s.bucket, s.currency) = (date_trunc('hour', o.created_at, 'UTC'), o.currency)"
        )
    };
    stage.finds(&twice("'again'"), "never accepted").await?;
    stage
        .finds(&twice("'again'"), "the topic's records make 3")
        .await?;
    stage
        .run("ALTER TABLE orders DROP CONSTRAINT orders_order_id_key")
        .await?;
    stage.finds(&twice("order_id"), "is stored 2 times").await?;
    stage.finds(&twice("order_id"), "user (").await?;
    stage.finds(&twice("order_id"), "hour (").await
}

#[tokio::test]
async fn an_order_that_is_stored_and_purged_is_found() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    stage
        .finds(
            "INSERT INTO purged_orders (order_id, content_hash, user_id, currency, amount, item_count, created_at)
             SELECT order_id, content_hash, user_id, currency, amount, 1, created_at FROM orders WHERE order_no = 1",
            "is stored and purged",
        )
        .await
}

#[tokio::test]
async fn a_record_with_other_content_that_was_dropped_is_found_and_a_repeated_one_is_none()
-> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let publish = async |body: &serde_json::Value| {
        let record = Record {
            value: Some(body.to_string().into_bytes()),
            ..Record::default()
        };
        stage.topic.publish(&record).await
    };
    let mut body = stage.orders[0].body.clone();
    publish(&body).await?;
    let passed = |next_offset: i64| {
        format!("UPDATE consumer_offsets SET next_offset = {next_offset}, batch_no = batch_no + 1;")
    };
    // The feed's row stays behind; nothing else is to be said of a duplicate.
    stage.run(&passed(5)).await?;
    let violations = stage.violations(&stage.expected()).await?;
    assert!(
        violations.len() == 1 && violations[0].contains("the position is at batch 2"),
        "{violations:#?}"
    );
    stage.run(RESTORE).await?;
    body["edition"] = serde_json::json!(1);
    let (_, offset) = publish(&body).await?;
    stage
        .finds(&passed(offset + 1), "record 0/5 was dropped")
        .await?;
    // As a dead letter it is in order.
    let conflict = format!(
        "{} INSERT INTO dead_letters (group_id, topic, partition, \"offset\", reason, detail, value, headers)
            VALUES ('{GROUP}', '{}', 0, {offset}, 'conflict', 'it differs', convert_to('{body}', 'UTF8'), '{{}}')",
        passed(offset + 1),
        stage.topic.name(),
        body = body.to_string().replace('\'', "''"),
    );
    stage.run(&conflict).await?;
    let expected = stage.expected().dead_letter((0, offset), "conflict");
    let violations = stage.violations(&expected).await?;
    assert!(
        violations
            .iter()
            .all(|violation| violation.contains("the position is at batch")),
        "{violations:#?}"
    );
    Ok(())
}

#[tokio::test]
async fn what_kafka_has_committed_beyond_the_position_is_found() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    stage.topic.commit(GROUP, &[Some(4)]).await?;
    stage
        .finds(
            "UPDATE consumer_offsets SET next_offset = 3, batch_no = 2",
            "Kafka has Some(4) committed, the database 3",
        )
        .await
}

#[tokio::test]
async fn a_session_that_stays_idle_in_transaction_is_found() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let idle = stage.database.client().await;
    idle.batch_execute("BEGIN; SELECT 1").await?;
    lab::eventually(std::time::Duration::from_secs(20), async || {
        let violations = stage.violations(&stage.expected()).await?;
        anyhow::ensure!(
            violations
                .iter()
                .any(|violation| violation.contains("is idle in transaction")),
            "{violations:?}"
        );
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn a_dead_letter_that_is_missing_or_altered_or_unexpected_is_found() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    stage
        .finds("DELETE FROM dead_letters", "a dead letter is missing")
        .await?;
    stage
        .finds(
            "UPDATE dead_letters SET reason = 'invalid'",
            "an unexpected dead letter",
        )
        .await?;
    stage
        .finds("UPDATE dead_letters SET value = 'no json!'", "other bytes")
        .await?;
    stage
        .finds(
            "UPDATE dead_letters SET \"offset\" = 7",
            "beyond the position",
        )
        .await
}

#[tokio::test]
async fn a_dead_letter_that_was_deleted_is_found_unless_that_is_recorded() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let delete = "DELETE FROM dead_letters;";
    stage.finds(delete, "the topic's records make 4").await?;
    let discard = |offset: i64| {
        format!(
            "{delete} INSERT INTO dead_letter_discards (group_id, topic, partition, offsets, selection)
                      VALUES ('{GROUP}', '{}', 0, '{{{offset}}}', 'all')",
            stage.topic.name()
        )
    };
    stage.finds(&discard(4), "discarded dead letter").await?;
    stage.run(&discard(3)).await?;
    let expected = Expected::acknowledged(stage.orders.clone());
    assert_eq!(stage.violations(&expected).await?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_position_that_went_back_is_found_although_it_came_forward_again() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    stage
        .finds(
            "UPDATE consumer_offsets SET next_offset = 2, batch_no = 2;
         UPDATE consumer_offsets SET next_offset = 4, batch_no = 3",
            "a position went from",
        )
        .await?;
    stage
        .finds(
            "UPDATE consumer_offsets SET epoch = 0",
            "a position went from",
        )
        .await?;
    stage
        .finds(
            "UPDATE consumer_offsets SET next_offset = 9, batch_no = 2",
            "beyond the end",
        )
        .await?;
    stage
        .finds(
            "UPDATE consumer_offsets SET batch_no = 2",
            "the position is at batch 2",
        )
        .await
}

#[tokio::test]
async fn an_order_that_may_have_landed_is_no_violation_either_way() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let mut expected = stage.expected();
    expected
        .unknown
        .push(expected.acknowledged.pop().context("an order")?);
    expected
        .unknown
        .push(Orders::seeded(12).next().context("an order")?);
    assert_eq!(stage.violations(&expected).await?, Vec::<String>::new());
    Ok(())
}

//! What is consumed once more: while somebody replays, records are told by their bytes, and most are never decoded.

use std::time::Duration;

use anyhow::ensure;
use common::order::Order;
use common::time::Timestamp;
use consumer::source::Record;
use lab::eventually;
use rdkafka::message::OwnedMessage;
use serde_json::Value;

use crate::support::{PATIENCE, Setup, assert_exact, order};

/// As many records as a batch has here: the next batch after one of repeats is looked up before it is decoded.
const BATCH: u32 = 10;
/// How far ahead of its record an order may be by default.
const SKEW: Duration = Duration::from_secs(3600);
const IN_BATCHES: [&str; 2] = ["--batch-records", "10"];

/// As producer and loader publish it.
fn printed(order: &Value) -> Vec<u8> {
    let order = order.to_string();
    Order::parse(order.as_bytes(), Timestamp::now().saturating_add(SKEW))
        .expect("an order")
        .to_json()
}

fn numbered(number: u32) -> Vec<u8> {
    printed(&order(&format!("o{number}"), "u", "1.00"))
}

async fn publish(setup: &Setup, values: impl IntoIterator<Item = Vec<u8>>) {
    for value in values {
        setup.publish_bytes(0, &value).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_among_repeats_is_told_from_them() {
    let setup = Setup::new(1).await;
    publish(&setup, (0..BATCH).map(numbered)).await;
    publish(&setup, (0..BATCH).map(numbered)).await;
    let otherwise_written = [b" ".to_vec(), numbered(4)].concat();
    let new = order("new", "u", "1.00");
    let mut next_batch: Vec<_> = (0..4).map(numbered).collect();
    next_batch.extend([
        otherwise_written,
        printed(&order("o5", "u", "2.00")),
        printed(&new),
        printed(&new),
        [numbered(6), b"}".to_vec()].concat(),
        numbered(7)[..40].to_vec(),
    ]);
    let (conflict, invalid) = (BATCH * 2 + 5, [BATCH * 2 + 8, BATCH * 2 + 9]);
    publish(&setup, next_batch).await;

    let member = setup.member(&IN_BATCHES);
    setup.applied().await;
    member.stop().await;

    assert_exact(&setup, i64::from(BATCH) + 1).await;
    let letters = setup
        .rows(r#"SELECT "offset", reason FROM dead_letters ORDER BY "offset""#)
        .await;
    let letters: Vec<(i64, String)> = letters.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(
        letters,
        [
            (i64::from(conflict), "conflict".to_owned()),
            (i64::from(invalid[0]), "undecodable".into()),
            (i64::from(invalid[1]), "undecodable".into()),
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn among_repeats_what_is_stored_is_not_decoded_again() {
    let setup = Setup::new(1).await;
    // Read again under a rule that it breaks, it would become a dead letter.
    let mut early = order("early", "u", "1.00");
    let in_half_an_hour = Timestamp::now().saturating_add(SKEW / 2);
    early["created_at"] = Value::from(in_half_an_hour.to_string());
    let all = || (0..BATCH).map(numbered).chain([printed(&early)]);
    publish(&setup, all()).await;
    let member = setup.member(&IN_BATCHES);
    setup.applied().await;
    member.stop().await;

    publish(&setup, all()).await;
    let settings = [&IN_BATCHES[..], &["--max-future-skew", "1s"]].concat();
    let member = setup.member(&settings);
    setup.applied().await;
    member.stop().await;
    assert_exact(&setup, i64::from(BATCH) + 1).await;
    assert_eq!(setup.count("SELECT count(*) FROM dead_letters").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_known_by_its_bytes_stored_or_purged() {
    let setup = Setup::new(1).await;
    publish(&setup, (0..2).map(numbered)).await;
    let member = setup.member(&[]);
    setup.applied().await;
    member.stop().await;
    let purge = "
        INSERT INTO purged_orders SELECT order_id, content_hash, user_id, currency, amount, 1, created_at FROM orders
         WHERE order_id = 'o0';
        DELETE FROM orders WHERE order_id = 'o0'";
    setup.client.batch_execute(purge).await.expect("purged");

    let otherwise_spelled = String::from_utf8(numbered(1))
        .expect("text")
        .replace("order_id", "order_uid");
    let values = [
        (numbered(0), true),
        (numbered(1), true),
        (numbered(2), false),
        (printed(&order("o1", "u", "2.00")), false),
        (otherwise_spelled.into_bytes(), false),
        (br#"{"order_id":"o1"#.to_vec(), false),
        (br#"{"order_id":"o'1","#.to_vec(), false),
        (b"{\"order_id\":\"o\0\",".to_vec(), false),
        (Vec::new(), false),
    ];
    let record = |value: &Vec<u8>| {
        let time = rdkafka::Timestamp::NotAvailable;
        Record::from(OwnedMessage::new(
            Some(value.clone()),
            None,
            "t".into(),
            time,
            0,
            0,
            None,
        ))
    };
    let records: Vec<Record<'_>> = values.iter().map(|(value, _)| record(value)).collect();
    let informed = setup.store().inform(&records).await;
    let known = informed.expect("the database answers").known;
    for (record, (value, expected)) in records.iter().zip(&values) {
        assert_eq!(
            known.repeated_by(record),
            *expected,
            "{}",
            String::from_utf8_lossy(value)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_trouble_what_was_known_is_asked_again() {
    let setup = Setup::new(1).await;
    publish(&setup, (0..BATCH).chain(0..BATCH).map(numbered)).await;
    let member = setup.member(&IN_BATCHES);
    setup.applied().await;

    let mut other = setup.group.database.client().await;
    let holding = other.transaction().await.expect("a transaction");
    let position = "SELECT next_offset FROM consumer_offsets FOR UPDATE";
    holding.query_one(position, &[]).await.expect("a position");
    publish(&setup, [numbered(0)]).await;
    // It is known, and waits for its position.
    let waiting = "
        SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%UPDATE consumer_offsets%'";
    eventually(PATIENCE, async || {
        ensure!(setup.count(waiting).await == 1, "nothing waits");
        anyhow::Ok(())
    })
    .await;
    // As if another database answered next, which was restored and has the same positions.
    let another = "
        DELETE FROM orders WHERE order_id = 'o0';
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'";
    setup.client.batch_execute(another).await.expect("deleted");
    holding.rollback().await.expect("released");

    setup.applied().await;
    member.stop().await;
    let stored = "SELECT count(*) FROM orders WHERE order_id = 'o0'";
    assert_eq!(setup.count(stored).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_database_refuses_a_record_what_was_known_beside_it_is_asked_again() {
    const GATE: i64 = 7;
    let setup = Setup::new(1).await;
    publish(&setup, (0..BATCH).map(numbered)).await;
    let member = setup.member(&IN_BATCHES);
    setup.applied().await;
    member.stop().await;

    // A batch of repeats, and one that is looked up before it is decoded and then waits at its first statement.
    publish(&setup, (0..BATCH).map(numbered)).await;
    publish(
        &setup,
        [numbered(0), printed(&order("bad", "nobody", "1.00"))],
    )
    .await;
    let rules = format!(
        "ALTER TABLE orders ADD CONSTRAINT somebody CHECK (user_id <> 'nobody');
         CREATE FUNCTION lab.pass() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             PERFORM pg_advisory_xact_lock({GATE});
             RETURN NEW;
         END $$;
         CREATE TRIGGER pass BEFORE UPDATE ON consumer_offsets FOR EACH ROW
            WHEN (NEW.next_offset = {}) EXECUTE FUNCTION lab.pass();
         SELECT pg_advisory_lock({GATE});",
        2 * BATCH + 2
    );
    setup.client.batch_execute(&rules).await.expect("a gate");
    let member = setup.member(&IN_BATCHES);
    let waiting = "
        SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'";
    eventually(PATIENCE, async || {
        ensure!(setup.count(waiting).await == 1, "nothing waits");
        anyhow::Ok(())
    })
    .await;
    let open =
        format!("DELETE FROM orders WHERE order_id = 'o0'; SELECT pg_advisory_unlock({GATE})");
    setup.client.batch_execute(&open).await.expect("opened");

    setup.applied().await;
    member.stop().await;
    let stored = "SELECT count(*) FROM orders WHERE order_id = 'o0'";
    assert_eq!(setup.count(stored).await, 1);
    let refused = "SELECT count(*) FROM dead_letters WHERE reason = 'refused' AND order_id = 'bad'";
    assert_eq!(setup.count(refused).await, 1);
}

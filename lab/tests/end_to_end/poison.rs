//! Records that are no orders, between records that are.

use anyhow::Context;
use lab::check::Expected;
use lab::orders::{Orders, TestOrder};
use lab::{Record, Trio};
use serde_json::json;

use crate::PATIENCE;

fn record(value: impl Into<Vec<u8>>) -> Record {
    Record {
        partition: Some(0),
        key: Some(b"key".to_vec()),
        value: Some(value.into()),
        headers: vec![
            ("ce_id".to_owned(), b"x".to_vec()),
            ("binary".to_owned(), vec![0, 255]),
        ],
    }
}

fn order_record(order: &TestOrder) -> Record {
    record(order.body.to_string())
}

#[tokio::test]
async fn poison_between_good_records_becomes_dead_letters_and_its_neighbours_land()
-> anyhow::Result<()> {
    let trio = Trio::plan().partitions(1).start().await?;
    let good: Vec<TestOrder> = Orders::seeded(4).take(6).collect();
    let invalid = json!({"order_id": "bad", "user_id": "", "amount": "-1"});
    let mut conflicting = good[0].body.clone();
    let fields = conflicting.as_object_mut().context("an object")?;
    fields.insert("note".to_owned(), json!("other content"));
    let records = [
        record(*b"\xff\xfe no json \0"),
        order_record(&good[0]),
        record(invalid.to_string()),
        order_record(&good[1]),
        record("{\"user_id\":"),
        Record {
            value: None,
            ..record("")
        },
        order_record(&good[2]),
        record(conflicting.to_string()),
        order_record(&good[3]),
        // Again, and the same: no dead letter.
        order_record(&good[0]),
        order_record(&good[4]),
        record(json!({"user_id": "u", "amount": 1, "note": "a\u{0}b"}).to_string()),
        record("[]"),
        order_record(&good[5]),
        record(*b""),
    ];
    trio.topic.publish_all(&records).await?;
    trio.quiet(PATIENCE).await?;

    let summary = trio.ask("/summary").await?;
    assert_eq!(
        (&summary["order_count"], &summary["dead_letter_count"]),
        (&json!(6), &json!(8)),
        "{summary}"
    );
    let expected = Expected::acknowledged(good)
        .dead_letter((0, 0), "undecodable")
        .dead_letter((0, 2), "invalid")
        .dead_letter((0, 4), "undecodable")
        .dead_letter((0, 5), "undecodable")
        .dead_letter((0, 7), "conflict")
        .dead_letter((0, 11), "invalid")
        .dead_letter((0, 12), "invalid")
        .dead_letter((0, 14), "undecodable");
    // Also compares every dead letter's bytes, key and headers with its record's.
    trio.scene().assert_clean(&expected).await
}

#[tokio::test]
async fn a_batch_of_nothing_but_poison_does_not_stop_what_follows() -> anyhow::Result<()> {
    let trio = Trio::plan().partitions(1).start().await?;
    let good: Vec<TestOrder> = Orders::seeded(5).take(1).collect();
    let poison = (0..500).map(|number| record(format!("poison {number}")));
    let records: Vec<Record> = poison.chain([order_record(&good[0])]).collect();
    trio.topic.publish_all(&records).await?;
    trio.quiet(PATIENCE).await?;
    let expected = (0..500).fold(Expected::acknowledged(good), |expected, offset| {
        expected.dead_letter((0, offset), "undecodable")
    });
    trio.scene().assert_clean(&expected).await
}

//! What one consumer makes of the records it is given.

use consumer::verify::verify;

use crate::support::{PATIENCE, Setup, order};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poison_record_becomes_a_dead_letter_and_its_neighbours_land() {
    let setup = Setup::new(1).await;
    setup.publish(0, &order("a", "u1", "10.25")).await;
    let no_json = setup.publish_bytes(0, b"\xff{").await;
    let negative = json!({"user_id": "u1", "amount": "-1"});
    let invalid = setup.publish(0, &negative).await;
    setup.publish(0, &order("b", "u1", "0.0001")).await;
    let conflict = setup.publish(0, &order("a", "u1", "99")).await;
    setup.publish(0, &order("a", "u1", "10.2500")).await;
    setup.publish(0, &order("c", "u2", "7")).await;

    let member = setup.member(&[]);
    setup.applied().await;
    member.stop().await;

    let letters = setup
        .rows(r#"SELECT "offset", reason, value FROM dead_letters ORDER BY "offset""#)
        .await;
    let letters: Vec<(i64, String, Vec<u8>)> = letters
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect();
    assert_eq!(
        letters,
        [
            (no_json, "undecodable".into(), b"\xff{".to_vec()),
            (invalid, "invalid".into(), negative.to_string().into_bytes()),
            (
                conflict,
                "conflict".into(),
                order("a", "u1", "99").to_string().into_bytes()
            ),
        ]
    );
    let users = setup
        .rows("SELECT user_id, order_count, total_amount::text FROM user_stats ORDER BY user_id")
        .await;
    let users: Vec<(String, i64, String)> = users
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect();
    assert_eq!(
        users,
        [
            ("u1".into(), 2, "10.2501".into()),
            ("u2".into(), 1, "7.0000".into())
        ]
    );
    assert_eq!(setup.count("SELECT count(*) FROM order_items").await, 3);
    assert_eq!(
        setup
            .count("SELECT sum(item_count)::bigint FROM sales_hourly")
            .await,
        3
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_finds_nothing_wrong_and_names_what_was_made_wrong() {
    let setup = Setup::new(2).await;
    setup.publish(0, &order("a", "u1", "10.25")).await;
    setup.publish(1, &order("b", "u1", "0.7504")).await;
    let member = setup.member(&[]);
    setup.applied().await;
    member.stop().await;
    let settings = common::pg::PoolSettings {
        application_name: "verify".into(),
        max_connections: 1,
        acquire_timeout: PATIENCE,
        session_setup: String::new(),
    };
    let pool = common::pg::pool(setup.group.database.config(), &settings).expect("a pool");

    let findings = verify(&pool).await.expect("the database answers");
    assert_eq!(findings.differences, []);
    let totals: Vec<_> = findings
        .totals
        .iter()
        .map(|total| {
            (
                total.currency.as_str(),
                total.order_count,
                total.amount.to_string(),
            )
        })
        .collect();
    assert_eq!(totals, [("EUR", 2, "11.0004".to_owned())]);

    setup
        .client
        .batch_execute(
            "UPDATE user_stats SET total_amount = total_amount + 0.0001;
             UPDATE sales_hourly SET item_count = item_count + 1 WHERE partition = 1;
             INSERT INTO deliveries (order_no, name) VALUES (-1, 'nobody')",
        )
        .await
        .expect("the tables take it");
    let found: Vec<String> = verify(&pool)
        .await
        .expect("the database answers")
        .differences
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        found,
        [
            "user u1 in EUR: 2 orders, 11.0005 stored; the orders say 2, 11.0004",
            "hour 2026-01-02T03:00:00Z in EUR: stored 2 orders, 3 items, 11.0004; the orders say 2 orders, 2 items, 11.0004",
            "deliveries: 1 rows belong to no order",
        ]
    );
}

//! What one consumer makes of the records it is given.

mod support;

use serde_json::json;
use support::{Setup, order};

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

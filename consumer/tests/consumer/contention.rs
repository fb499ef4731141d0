//! Partitions that meet in the same rows.

use serde_json::Value;

use crate::support::{Setup, assert_exact, order};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_order_on_two_partitions_at_once_counts_once() {
    let setup = Setup::new(2).await;
    let same = |id: u32| order(&format!("o{id}"), "u", "1.00");
    setup
        .publish_all((0..500).flat_map(|id| [(0, same(id)), (1, same(id))]))
        .await;
    let member = setup.member(&["--batch-records", "50", "--workers", "2"]);
    setup.applied().await;
    member.stop().await;
    assert_exact(&setup, 500).await;
    assert_eq!(setup.count("SELECT count(*) FROM dead_letters").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_partitions_that_hit_the_same_users_and_hours_never_deadlock() {
    const ORDERS: u32 = 2_000;
    let setup = Setup::new(2).await;
    // The same users in every batch of both partitions, in opposite directions.
    let on = |partition: i32| {
        (0..ORDERS / 2).map(move |number| {
            let user = if partition == 0 {
                number % 11
            } else {
                10 - number % 11
            };
            let mut order = order(
                &format!("p{partition}-{number}"),
                &format!("u{user}"),
                "1.25",
            );
            order["created_at"] = Value::from(format!("2026-01-02T0{}:04:05Z", number % 3));
            (partition, order)
        })
    };
    setup
        .publish_all(on(0).zip(on(1)).flat_map(|(a, b)| [a, b]))
        .await;
    // Two workers in each of two members.
    let settings = &["--batch-records", "20", "--workers", "2"];
    let (first, second) = (setup.member(settings), setup.member(settings));
    setup.applied().await;
    first.stop().await;
    second.stop().await;
    assert_exact(&setup, i64::from(ORDERS)).await;
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(setup.count(deadlocks).await, 0);
}

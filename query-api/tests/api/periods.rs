use std::time::{Duration, Instant};

use lab::eventually;
use serde_json::{Value, json};

use crate::app::{App, PATIENCE, waits_for_a_lock, with_orders};

fn order(user_id: &str, created_at: &str, amount: &str) -> Value {
    json!({"user_id": user_id, "amount": amount, "created_at": created_at})
}

#[tokio::test]
async fn a_users_series_has_his_orders_alone_and_follows_them() {
    let (_database, mut writer, app) = with_orders(&[
        order("u", "2026-01-31T23:59:59.999999Z", "0.1"),
        order("u", "2026-01-31T00:00:00Z", "0.2"),
        order("u", "2026-02-02T12:00:00Z", "1000000000000.0001"),
        order("other", "2026-02-01T12:00:00Z", "7"),
        json!({"user_id": "u", "amount": 5, "currency": "EUR", "created_at": "2020-01-01T00:00:00Z"}),
    ])
    .await;
    let bucket = |bucket: &str, orders: u64, amount: &str| json!({"bucket": bucket, "order_count": orders, "amount": amount});
    let expected = json!({"user_id": "u", "currency": "USD", "grain": "day",
        "from": "2026-01-31T00:00:00Z", "to": "2026-02-03T00:00:00Z", "buckets": [
        bucket("2026-01-31T00:00:00Z", 2, "0.30"), bucket("2026-02-01T00:00:00Z", 0, "0.00"),
        bucket("2026-02-02T00:00:00Z", 1, "1000000000000.0001")]});
    let path = "/users/u/sales";
    assert_eq!(app.json(path).await, expected);
    let again = app.get(path).await;
    assert_eq!(
        (again.header("x-data-source"), again.json().unwrap()),
        ("cache", expected)
    );
    let year = app.json("/users/u/sales?grain=year&currency=EUR").await;
    assert_eq!(
        year["buckets"],
        json!([bucket("2020-01-01T00:00:00Z", 1, "5.00")])
    );
    let part = app
        .json("/users/u/sales?grain=hour&from=2026-01-31T23:30:00Z&to=2026-02-01")
        .await;
    assert_eq!(
        part["buckets"],
        json!([bucket("2026-01-31T23:00:00Z", 1, "0.10")])
    );

    // Another's order leaves it in memory, an order of his own does not.
    writer
        .commit(&[order("third", "2026-02-02T00:00:00Z", "1")])
        .await;
    app.has_seen(&writer).await;
    assert_eq!(app.get(path).await.header("x-data-source"), "cache");
    writer
        .commit(&[order("u", "2026-02-02T13:00:00Z", "0.5")])
        .await;
    app.has_seen(&writer).await;
    let after = app.json(path).await;
    assert_eq!(
        after["buckets"][2],
        bucket("2026-02-02T00:00:00Z", 2, "1000000000000.5001")
    );
}

#[tokio::test]
async fn a_user_is_counted_once_in_each_period_and_currency() {
    let (_database, mut writer, app) = with_orders(&[
        order("u", "2026-01-01T00:00:00Z", "1"),
        order("u", "2026-01-01T23:00:00Z", "1"),
        order("v", "2026-01-01T12:00:00Z", "1"),
        order("u", "2026-01-03T12:00:00Z", "1"),
        json!({"user_id": "w", "amount": 5, "currency": "EUR", "created_at": "2026-01-01T00:00:00Z"}),
    ])
    .await;
    let bucket = |bucket: &str, users: u64| json!({"bucket": bucket, "user_count": users});
    assert_eq!(
        app.json("/users/active").await,
        json!({"currency": "USD", "grain": "day", "from": "2026-01-01T00:00:00Z", "to": "2026-01-04T00:00:00Z", "buckets": [
            bucket("2026-01-01T00:00:00Z", 2), bucket("2026-01-02T00:00:00Z", 0), bucket("2026-01-03T00:00:00Z", 1)]})
    );
    let month = "/users/active?grain=month&to=2026-01-02";
    assert_eq!(
        app.json(month).await["buckets"],
        json!([bucket("2026-01-01T00:00:00Z", 2)])
    );
    assert_eq!(
        app.json("/users/active?grain=year&currency=EUR").await["buckets"],
        json!([bucket("2026-01-01T00:00:00Z", 1)])
    );
    assert_eq!(
        app.json("/users/active?currency=SEK").await["buckets"],
        json!([])
    );

    // What is ordered outside of the range leaves it in memory.
    writer
        .commit(&[order("x", "2026-01-05T00:00:00Z", "1")])
        .await;
    app.has_seen(&writer).await;
    assert_eq!(app.get(month).await.header("x-data-source"), "cache");
    writer
        .commit(&[order("x", "2026-01-01T05:00:00Z", "1")])
        .await;
    app.has_seen(&writer).await;
    assert_eq!(
        app.json(month).await["buckets"],
        json!([bucket("2026-01-01T00:00:00Z", 3)])
    );
}

/// What retention does: the orders go, what remains of them counts.
#[tokio::test]
async fn purged_orders_count_in_series_and_are_gone_from_memory() {
    let (_database, writer, app) = with_orders(&[
        json!({"order_id": "old", "user_id": "u", "amount": 3, "created_at": "2026-01-01T00:00:00Z"}),
        json!({"order_id": "new", "user_id": "u", "amount": 4, "created_at": "2026-01-02T00:00:00Z"}),
    ])
    .await;
    let paths = ["/users/u/sales", "/users/active"];
    let before = [app.json(paths[0]).await, app.json(paths[1]).await];
    assert_eq!(app.get("/orders/old").await.status, 200);
    writer
        .client()
        .batch_execute(
            "BEGIN;
             INSERT INTO purged_orders (order_id, content_hash, user_id, currency, amount, item_count, created_at)
                    SELECT order_id, content_hash, user_id, currency, amount, 0, created_at FROM orders WHERE order_id = 'old';
             DELETE FROM orders WHERE order_id = 'old';
             UPDATE consumer_offsets SET batch_no = batch_no + 1;
             INSERT INTO applied_batches (group_id, topic, partition, batch_no, next_offset, user_ids, buckets, dead_letter_count)
                    VALUES ('tally', 'orders', 0, 2, 2, '{u}', '{}', 0);
             COMMIT",
        )
        .await
        .unwrap();
    eventually(PATIENCE, async || {
        match app.get("/orders/old").await.status {
            404 => Ok(()),
            status => Err(status),
        }
    })
    .await;
    assert_eq!(
        app.json("/orders?user_id=u").await["orders"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!([app.json(paths[0]).await, app.json(paths[1]).await], before);
}

#[tokio::test]
async fn strangers_are_404_and_bad_parameters_are_named() {
    let (_database, _writer, app) = with_orders(&[order("u", "2026-01-01T00:00:00Z", "1")]).await;
    assert_eq!(app.get("/users/nobody/sales").await.status, 404);
    assert_eq!(
        app.json("/users/u/sales?currency=EUR").await["buckets"],
        json!([])
    );
    for path in ["/users/u/sales", "/users/active"] {
        assert_eq!(
            app.refused(&format!("{path}?grain=week&currency=x&to=never"))
                .await,
            ["/query/currency", "/query/grain", "/query/to"]
        );
        assert_eq!(
            app.refused(&format!("{path}?grain=hour&from=1970-01-01"))
                .await,
            ["/query/from"]
        );
    }
}

#[tokio::test]
async fn a_scan_takes_no_connection_from_look_ups_and_is_followed_by_as_long_a_rest() {
    const SCAN: Duration = Duration::from_millis(1_500);
    let orders = [order("u", "2026-01-01T00:00:00Z", "1")];
    let (database, _writer, _other) = with_orders(&orders).await;
    let app = App::start_with(database.url(), &["--pool-size", "1"]).await;
    let mut blocker = database.client().await;
    let blocking = blocker.transaction().await.unwrap();
    // Look-ups of orders do not read it.
    let lock = "LOCK TABLE purged_orders IN ACCESS EXCLUSIVE MODE";
    blocking.batch_execute(lock).await.unwrap();
    let started = Instant::now();
    let status_and_time = async |path: &str| (app.get(path).await.status, started.elapsed());
    let unlock = async {
        waits_for_a_lock(&database).await;
        // While the scan is held up: it could not be answered if it had to wait for it.
        let looked_up = app.get("/orders?user_id=u&limit=7").await;
        assert_eq!(looked_up.status, 200);
        let is_long = async || match started.elapsed() {
            elapsed if elapsed >= SCAN => Ok(()),
            elapsed => Err(format!("the scan has taken {elapsed:?}")),
        };
        eventually(PATIENCE, is_long).await;
        blocking.commit().await.unwrap();
    };
    let (scanned, ()) = tokio::join!(status_and_time("/users/active"), unlock);
    assert_eq!(scanned.0, 200);
    assert!(scanned.1 >= SCAN, "{scanned:?}: nothing held it up");
    // Another question: what is in memory needs no scan.
    let next = status_and_time("/users/active?grain=year").await;
    assert_eq!(next.0, 200);
    let rested = next.1 - scanned.1;
    assert!(rested >= SCAN / 2, "{rested:?} after {scanned:?}");
}

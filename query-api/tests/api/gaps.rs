//! What was known cannot be advanced to what is: everything is loaded again.

use lab::{Proxy, eventually};
use serde_json::{Value, json};

use crate::app::{App, PATIENCE, with_orders};
use crate::feed::order_counts;
use crate::writer::Writer;

fn order(user_id: &str) -> Value {
    json!({"user_id": user_id, "amount": 1, "created_at": "2026-05-01T00:00:00Z"})
}

/// While the feed cannot look, batches come and their records go.
#[tokio::test]
async fn a_gap_in_the_batches_loads_everything_again() {
    let database = lab::database().await;
    let proxy = Proxy::start(database.server_address()).await;
    let mut writer = Writer::new(&database).await;
    writer.commit(&[order("u"), json!({"order_id": "kept", "user_id": "u", "amount": 1, "created_at": "2026-05-01T00:00:00Z"})]).await;
    let app = App::start(&database.url_through(proxy.address())).await;
    assert_eq!(
        app.get("/orders/kept").await.header("x-data-source"),
        "cache"
    );
    proxy.refuse();
    writer.commit(&[order("u")]).await;
    writer.commit(&[order("u")]).await;
    writer
        .client()
        .execute("DELETE FROM applied_batches WHERE batch_no = 2", &[])
        .await
        .unwrap();
    proxy.pass();
    app.has_seen(&writer).await;
    assert_eq!(order_counts(&app, "u").await, [4; 6]);
    assert_eq!(
        app.get("/orders/kept").await.header("x-data-source"),
        "database"
    );
}

/// The tables are as an earlier backup had them, positions included.
#[tokio::test]
async fn positions_that_go_back_load_everything_again() {
    let (_database, mut writer, app) =
        with_orders(&[json!({"order_id": "lost", "user_id": "u", "amount": 1})]).await;
    writer.commit(&[order("u")]).await;
    app.has_seen(&writer).await;
    assert_eq!(app.get("/orders/lost").await.status, 200);
    writer
        .client()
        .batch_execute(
            "BEGIN;
             TRUNCATE orders, order_items, deliveries, payments, user_stats, sales_hourly, applied_batches, consumer_offsets;
             COMMIT",
        )
        .await
        .unwrap();
    eventually(PATIENCE, async || {
        let answer = app.get("/summary").await;
        match answer.json().unwrap()["order_count"].as_u64() {
            Some(0) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(app.get("/orders/lost").await.status, 404);
    assert_eq!(app.get("/users/u").await.status, 404);
}

/// Positions alone would not tell: they are the same.
#[tokio::test]
async fn tables_that_were_replaced_load_everything_again() {
    let database = lab::database().await;
    let proxy = Proxy::start(database.server_address()).await;
    let mut writer = Writer::new(&database).await;
    writer.commit(&[order("u")]).await;
    let app = App::start(&database.url_through(proxy.address())).await;
    proxy.refuse();
    writer
        .client()
        .batch_execute(
            "ALTER TABLE user_stats RENAME TO before;
             CREATE TABLE user_stats (LIKE before INCLUDING ALL);
             INSERT INTO user_stats SELECT 'other', currency, order_count, total_amount, first_order_at, last_order_at FROM before",
        )
        .await
        .unwrap();
    proxy.pass();
    eventually(PATIENCE, async || {
        match app.get("/users/other").await.status {
            200 => Ok(()),
            status => Err(status),
        }
    })
    .await;
    assert_eq!(app.get("/users/u").await.status, 404);
}

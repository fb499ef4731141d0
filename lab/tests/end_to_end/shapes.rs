//! The five kinds of orders that the README promises to take, each posted as it stands there, and coming back whole.

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use lab::{Trio, eventually};
use serde_json::{Value, json};

use crate::PATIENCE;

/// Posts an order, waits for it, and returns it.
async fn round_trip(trio: &Trio, sent: Value) -> anyhow::Result<Value> {
    let answer = trio.post(&sent).await?;
    ensure!(
        answer.status == 202,
        "{sent}: {} {}",
        answer.status,
        answer.text()
    );
    let receipt = answer.json()?;
    let order_id = receipt["order_id"].as_str().context("an order id")?;
    let path = format!("/orders/{order_id}?wait=10");
    Ok(eventually(PATIENCE, async || trio.ask(&path).await).await)
}

/// Takes out what the service filled in: an id of its own making and the time of receipt.
fn without_what_was_filled_in(
    mut order: Value,
    sent_after: DateTime<Utc>,
) -> anyhow::Result<Value> {
    let fields = order.as_object_mut().context("an object")?;
    let order_id = fields.remove("order_id").context("an order id")?;
    ensure!(
        order_id.as_str().is_some_and(|id| id.len() == 36),
        "{order_id} is no UUID"
    );
    let created_at = fields.remove("created_at").context("a time")?;
    let created_at: DateTime<Utc> = created_at.as_str().context("a text")?.parse()?;
    ensure!(
        (sent_after..=Utc::now()).contains(&created_at),
        "received at {created_at}"
    );
    Ok(order)
}

fn marketplace_order() -> Value {
    json!({
        "order_uid": "b563feb7b2b84b6test",
        "track_number": "WBILMTESTTRACK",
        "entry": "WBIL",
        "delivery": {
            "name": "Test Testov", "phone": "+9720000000", "zip": "2639809", "city": "Kiryat Mozkin",
            "address": "Ploshad Mira 15", "region": "Kraiot", "email": "test@gmail.com"
        },
        "payment": {
            "transaction": "b563feb7b2b84b6test", "request_id": "", "currency": "USD", "provider": "wbpay",
            "amount": 1817, "payment_dt": 1_637_907_727, "bank": "alpha", "delivery_cost": 1500,
            "goods_total": 317, "custom_fee": 0
        },
        "items": [{
            "chrt_id": 9_934_930, "track_number": "WBILMTESTTRACK", "price": 453,
            "rid": "ab4219087a764ae0btest", "name": "Mascaras", "sale": 30, "size": "0", "total_price": 317,
            "nm_id": 2_389_212, "brand": "Vivienne Sabo", "status": 202
        }],
        "locale": "en",
        "internal_signature": "",
        "customer_id": "test",
        "delivery_service": "meest",
        "shardkey": "9",
        "sm_id": 99,
        "date_created": "2021-11-26T06:22:19Z",
        "oof_shard": "1"
    })
}

#[tokio::test]
async fn an_order_in_each_of_the_four_short_shapes_comes_back_whole() -> anyhow::Result<()> {
    let trio = Trio::start().await?;
    let start = Utc::now();

    let bare = round_trip(&trio, json!({"user_id": "u1", "amount": 12.5})).await?;
    let bare = without_what_was_filled_in(bare, start)?;
    assert_eq!(
        bare,
        json!({"user_id": "u1", "currency": "USD", "amount": "12.50"})
    );

    let one_item_with_an_id = round_trip(
        &trio,
        json!({
            "order_id": "o1", "user_id": "u1", "product_id": "p1", "quantity": 2, "price": 6.25,
            "timestamp": "2026-01-01T00:00:00Z"
        }),
    );
    assert_eq!(
        one_item_with_an_id.await?,
        json!({
            "order_id": "o1", "user_id": "u1", "created_at": "2026-01-01T00:00:00Z", "currency": "USD", "amount": "12.50",
            "items": [{"sku": "p1", "quantity": 2, "unit_price": "6.25", "total_price": "12.50"}]
        })
    );

    let laptop = json!({"user_id": "u1", "product_name": "Laptop", "quantity": 1, "price": 999.99});
    let one_item_with_a_name = without_what_was_filled_in(round_trip(&trio, laptop).await?, start)?;
    assert_eq!(
        one_item_with_a_name,
        json!({
            "user_id": "u1", "currency": "USD", "amount": "999.99",
            "items": [{"name": "Laptop", "quantity": 1, "unit_price": "999.99", "total_price": "999.99"}]
        })
    );

    let event = round_trip(
        &trio,
        json!({
            "event_id": "e1", "user_id": "u1", "amount": 12.5, "created_at": "2026-01-01T03:00:00+03:00"
        }),
    );
    assert_eq!(
        event.await?,
        json!({
            "order_id": "e1", "user_id": "u1", "created_at": "2026-01-01T00:00:00Z", "currency": "USD", "amount": "12.50"
        })
    );

    let summary = trio.ask("/summary").await?;
    assert_eq!(
        summary["currencies"][0]["total_amount"],
        json!("1037.49"),
        "{summary}"
    );
    trio.scene().assert_consistent().await
}

#[tokio::test]
async fn a_marketplace_order_comes_back_with_every_field() -> anyhow::Result<()> {
    let trio = Trio::start().await?;
    assert_eq!(
        round_trip(&trio, marketplace_order()).await?,
        json!({
            "order_id": "b563feb7b2b84b6test",
            "user_id": "test",
            "created_at": "2021-11-26T06:22:19Z",
            "currency": "USD",
            "amount": "1817.00",
            "items": [{
                "sku": "2389212", "name": "Mascaras", "quantity": 1, "unit_price": "453.00", "total_price": "317.00",
                "attributes": {
                    "chrt_id": 9_934_930, "track_number": "WBILMTESTTRACK", "rid": "ab4219087a764ae0btest", "sale": 30,
                    "size": "0", "brand": "Vivienne Sabo", "status": 202
                }
            }],
            "delivery": {
                "name": "Test Testov", "phone": "+9720000000", "zip": "2639809", "city": "Kiryat Mozkin",
                "address": "Ploshad Mira 15", "region": "Kraiot", "email": "test@gmail.com"
            },
            "payment": {
                "transaction": "b563feb7b2b84b6test", "request_id": "", "currency": "USD", "provider": "wbpay",
                "amount": "1817.00", "payment_dt": 1_637_907_727, "bank": "alpha", "delivery_cost": "1500.00",
                "goods_total": "317.00", "custom_fee": "0.00"
            },
            "track_number": "WBILMTESTTRACK",
            "attributes": {
                "entry": "WBIL", "locale": "en", "internal_signature": "", "delivery_service": "meest", "shardkey": "9",
                "sm_id": 99, "oof_shard": "1"
            }
        })
    );
    trio.scene().assert_consistent().await
}

#[tokio::test]
async fn a_retry_of_a_body_without_an_id_counts_once_under_one_idempotency_key()
-> anyhow::Result<()> {
    let trio = Trio::start().await?;
    let client = reqwest::Client::new();
    let mut order_ids = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let request = client
            .post(trio.producer.url("/orders"))
            .header("Idempotency-Key", "retry-me")
            .json(&json!({"user_id": "u1", "amount": "7"}));
        let answer: Value = request.send().await?.error_for_status()?.json().await?;
        order_ids.insert(answer["order_id"].to_string());
    }
    assert_eq!(order_ids.len(), 1, "{order_ids:?}");
    trio.quiet(PATIENCE).await?;
    let summary = trio.ask("/summary").await?;
    assert_eq!(
        (&summary["order_count"], &summary["dead_letter_count"]),
        (&json!(1), &json!(0))
    );
    trio.scene().assert_consistent().await
}

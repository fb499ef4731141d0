use serde_json::{Value, json};

use crate::app::{App, with_orders};
use crate::writer::{Batch, Writer};

fn order(created_at: &str, amount: &str, currency: &str) -> Value {
    json!({"user_id": "u1", "amount": amount, "currency": currency, "created_at": created_at})
}

#[tokio::test]
async fn nothing_at_all_is_a_summary_of_zeros() {
    let (_database, _writer, app) = with_orders(&[]).await;
    let expected = json!({"order_count": 0, "user_count": 0, "dead_letter_count": 0, "last_order_at": null, "currencies": []});
    assert_eq!(app.json("/summary").await, expected);
    assert_eq!(app.json("/sales").await["buckets"], json!([]));
    assert_eq!(app.json("/users/top").await["currency"], "USD");
}

#[tokio::test]
async fn the_summary_counts_users_once_and_money_by_currency() {
    let (_database, mut writer, app) = with_orders(&[
        order("2026-01-01T00:00:00Z", "0.1", "USD"),
        order("2026-03-01T00:00:00Z", "0.2", "USD"),
        order("2026-02-01T00:00:00Z", "999999999999999.9999", "EUR"),
        json!({"user_id": "u2", "amount": "0.0001", "currency": "EUR"}),
    ])
    .await;
    writer
        .commit_batch(Batch {
            partition: 3,
            dead_letters: 2,
            ..Batch::default()
        })
        .await;
    app.has_seen(&writer).await;
    let expected = json!({"order_count": 4, "user_count": 2, "dead_letter_count": 2, "last_order_at": "2026-03-01T00:00:00Z",
        "currencies": [{"currency": "EUR", "order_count": 2, "user_count": 2, "total_amount": "1000000000000000.00"},
                       {"currency": "USD", "order_count": 2, "user_count": 1, "total_amount": "0.30"}]});
    assert_eq!(app.json("/summary").await, expected);
}

#[tokio::test]
async fn dead_letters_that_were_there_before_are_counted_too() {
    let database = lab::database().await;
    let mut writer = Writer::new(&database).await;
    writer
        .commit_batch(Batch {
            dead_letters: 3,
            ..Batch::default()
        })
        .await;
    let app = App::start(database.url()).await;
    writer
        .commit_batch(Batch {
            dead_letters: 1,
            ..Batch::default()
        })
        .await;
    app.has_seen(&writer).await;
    assert_eq!(app.json("/summary").await["dead_letter_count"], 4);
}

#[tokio::test]
async fn sales_are_summed_over_partitions_and_gaps_are_zero() {
    let (_database, mut writer, app) = with_orders(&[
        json!({"user_id": "u1", "created_at": "2026-01-31T23:59:59.999999Z", "items": [
            {"name": "a", "price": "1.5"}, {"name": "b", "price": "2.25", "quantity": 2}]}),
    ])
    .await;
    let orders = vec![
        order("2026-01-31T23:00:00Z", "4", "USD"),
        order("2026-03-01T00:00:00+01:00", "1", "USD"),
    ];
    writer
        .commit_batch(Batch {
            partition: 1,
            orders,
            ..Batch::default()
        })
        .await;
    app.has_seen(&writer).await;
    let bucket = |bucket: &str, orders: u64, items: u64, amount: &str| json!({"bucket": bucket, "order_count": orders, "item_count": items, "amount": amount});
    assert_eq!(
        app.json("/sales?grain=month").await,
        json!({"currency": "USD", "grain": "month",
        "from": "2026-01-01T00:00:00Z", "to": "2026-03-01T00:00:00Z", "buckets": [
        bucket("2026-01-01T00:00:00Z", 2, 2, "10.00"), bucket("2026-02-01T00:00:00Z", 1, 0, "1.00")]})
    );
    let day = app
        .json("/sales?grain=day&from=2026-01-31&to=2026-02-02")
        .await;
    assert_eq!(
        day["buckets"],
        json!([
            bucket("2026-01-31T00:00:00Z", 2, 2, "10.00"),
            bucket("2026-02-01T00:00:00Z", 0, 0, "0.00")
        ])
    );
    let hour = app
        .json("/sales?grain=hour&from=2026-01-31T22:30:00Z&to=2026-01-31T23:00:00.5Z")
        .await;
    assert_eq!(
        hour["buckets"],
        json!([
            bucket("2026-01-31T22:00:00Z", 0, 0, "0.00"),
            bucket("2026-01-31T23:00:00Z", 2, 2, "10.00")
        ])
    );
    let year = app.json("/sales?grain=year").await;
    assert_eq!(
        year["buckets"],
        json!([bucket("2026-01-01T00:00:00Z", 3, 2, "11.00")])
    );
}

#[tokio::test]
async fn a_series_is_about_the_currency_asked_for_or_the_one_that_matters() {
    let (_database, mut writer, app) = with_orders(&[
        order("2026-01-01T00:00:00Z", "1", "GBP"),
        order("2026-01-01T00:00:00Z", "1", "GBP"),
        order("2026-01-01T00:00:00Z", "1", "EUR"),
    ])
    .await;
    assert_eq!(app.json("/sales").await["currency"], "GBP");
    assert_eq!(
        app.json("/sales?currency=EUR").await["buckets"][0]["order_count"],
        1
    );
    assert_eq!(app.json("/sales?currency=SEK").await["buckets"], json!([]));
    writer
        .commit(&[order("2026-01-01T00:00:00Z", "1", "USD")])
        .await;
    app.has_seen(&writer).await;
    assert_eq!(app.json("/sales").await["currency"], "USD");
}

#[tokio::test]
async fn a_series_is_bounded() {
    let (_database, _writer, app) = with_orders(&[order("2026-01-01T00:00:00Z", "1", "USD")]).await;
    let hours = |from: &str, to: &str| format!("/sales?grain=hour&from={from}&to={to}");
    // 416 days and 16 hours are 10,000 hours.
    let longest = app.json(&hours("2024-01-01", "2025-02-20T16:00:00Z")).await;
    assert_eq!(longest["buckets"].as_array().unwrap().len(), 10_000);
    assert_eq!(
        app.refused(&hours("2024-01-01", "2025-02-20T17:00:00Z"))
            .await,
        ["/query/from"]
    );
    assert_eq!(
        app.refused("/sales?grain=hour&from=1970-01-01").await,
        ["/query/from"]
    );
    assert_eq!(
        app.json("/sales?grain=year&from=1970-01-01&to=9999-12-31")
            .await["buckets"]
            .as_array()
            .unwrap()
            .len(),
        8030
    );
}

/// Each ends with the last sale in its currency, whatever else was sold later.
#[tokio::test]
async fn the_latest_buckets_are_those_of_the_currency() {
    let (_database, _writer, app) = with_orders(&[
        order("2026-01-01T00:00:00Z", "1", "USD"),
        order("2026-01-03T00:00:00Z", "2", "USD"),
        order("2026-06-01T00:00:00Z", "3", "EUR"),
    ])
    .await;
    let series = app.json("/sales?grain=day&currency=USD&limit=2").await;
    let of = |bucket: &Value| (bucket["bucket"].clone(), bucket["order_count"].clone());
    let sold: Vec<_> = series["buckets"]
        .as_array()
        .unwrap()
        .iter()
        .map(of)
        .collect();
    assert_eq!(
        sold,
        [
            (json!("2026-01-02T00:00:00Z"), json!(0)),
            (json!("2026-01-03T00:00:00Z"), json!(1))
        ]
    );
    let chart = app
        .get("/charts/sales.svg?grain=day&currency=USD&limit=2")
        .await;
    assert!(
        chart.text().contains("2.00 USD, 1 order"),
        "{}",
        chart.text()
    );
    for path in ["/sales", "/charts/sales.svg", "/users/active"] {
        for bad in ["from=2026-01-01&limit=2", "limit=0", "limit=10001"] {
            assert_eq!(
                app.refused(&format!("{path}?{bad}")).await,
                ["/query/limit"]
            );
        }
    }
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let (_database, _writer, app) = with_orders(&[]).await;
    assert_eq!(
        app.refused("/sales?grain=week&from=yesterday&to=1969-12-31&currency=")
            .await,
        [
            "/query/currency",
            "/query/grain",
            "/query/from",
            "/query/to"
        ]
    );
}

#[tokio::test]
async fn answers_made_of_totals_have_tags_that_change_with_them() {
    let (_database, mut writer, app) =
        with_orders(&[order("2026-01-01T00:00:00Z", "1", "USD")]).await;
    for path in ["/summary", "/sales", "/users/top", "/users/anomalies"] {
        let before = app.get(path).await;
        assert_eq!(app.get(path).await.header("etag"), before.header("etag"));
        writer
            .commit(&[
                order("2026-01-01T00:00:00Z", "1", "USD"),
                json!({"user_id": format!("u-{}", path.len()), "amount": 500}),
            ])
            .await;
        app.has_seen(&writer).await;
        let after = app.get(path).await;
        assert!(
            path == "/users/anomalies" || before.header("etag") != after.header("etag"),
            "{path}"
        );
        assert!(before.header("x-as-of") < after.header("x-as-of"), "{path}");
    }
}

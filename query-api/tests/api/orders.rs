use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::app::{App, with_orders};

fn marketplace_order() -> Value {
    json!({
        "order_uid": "b563feb7b2b84b6test", "track_number": "WBILMTESTTRACK", "entry": "WBIL",
        "delivery": {"name": "Test Testov", "phone": "+9720000000", "zip": "2639809", "city": "Kiryat Mozkin",
                     "address": "Ploshad Mira 15", "region": "Kraiot", "email": "test@gmail.com", "floor": 3},
        "payment": {"transaction": "b563feb7b2b84b6test", "request_id": "", "currency": "USD", "provider": "wbpay",
                    "amount": 1817, "payment_dt": 1_637_907_727, "bank": "alpha", "delivery_cost": 1500,
                    "goods_total": 317, "custom_fee": 0, "note": null},
        "items": [{"chrt_id": 9_934_930, "track_number": "WBILMTESTTRACK", "price": 453.125, "rid": "ab4219087a764ae0btest",
                   "name": "Mascaras", "sale": 30, "size": "0", "total_price": 317, "nm_id": 2_389_212,
                   "brand": "Vivienne Sabo", "status": 202},
                  {"name": "<img src=x onerror=alert(1)>", "quantity": 3, "price": "0.1"}],
        "locale": "en", "internal_signature": "", "customer_id": "test", "delivery_service": "meest",
        "shardkey": "9", "sm_id": 99, "date_created": "2021-11-26T06:22:19Z", "oof_shard": "1"
    })
}

#[tokio::test]
async fn an_order_comes_back_whole_in_canonical_form() {
    let (_database, _writer, app) = with_orders(&[marketplace_order()]).await;
    let expected = json!({
        "order_id": "b563feb7b2b84b6test", "user_id": "test", "created_at": "2021-11-26T06:22:19Z", "currency": "USD",
        "amount": "1817.00", "track_number": "WBILMTESTTRACK",
        "items": [{"sku": "2389212", "name": "Mascaras", "quantity": 1, "unit_price": "453.125", "total_price": "317.00",
                   "attributes": {"brand": "Vivienne Sabo", "chrt_id": 9_934_930, "rid": "ab4219087a764ae0btest",
                                  "sale": 30, "size": "0", "status": 202, "track_number": "WBILMTESTTRACK"}},
                  {"name": "<img src=x onerror=alert(1)>", "quantity": 3, "unit_price": "0.10", "total_price": "0.30"}],
        "delivery": {"name": "Test Testov", "phone": "+9720000000", "zip": "2639809", "city": "Kiryat Mozkin",
                     "address": "Ploshad Mira 15", "region": "Kraiot", "email": "test@gmail.com",
                     "attributes": {"floor": 3}},
        "payment": {"transaction": "b563feb7b2b84b6test", "request_id": "", "currency": "USD", "provider": "wbpay",
                    "amount": "1817.00", "payment_dt": 1_637_907_727, "bank": "alpha", "delivery_cost": "1500.00",
                    "goods_total": "317.00", "custom_fee": "0.00", "attributes": {"note": null}},
        "attributes": {"delivery_service": "meest", "entry": "WBIL", "internal_signature": "", "locale": "en",
                       "oof_shard": "1", "shardkey": "9", "sm_id": 99}
    });
    for path in ["/orders/b563feb7b2b84b6test", "/order/b563feb7b2b84b6test"] {
        assert_eq!(app.json(path).await, expected);
    }
    assert_eq!(
        app.json("/orders?user_id=test").await,
        json!({"orders": [expected], "next_cursor": null})
    );
}

#[tokio::test]
async fn an_order_without_any_part_has_none() {
    let (_database, _writer, app) =
        with_orders(&[json!({"order_id": "o1", "user_id": "u1", "amount": 12.5})]).await;
    let expected = json!({"order_id": "o1", "user_id": "u1", "created_at": "2026-01-01T00:00:00Z", "currency": "USD",
                          "amount": "12.50"});
    assert_eq!(app.json("/orders/o1").await, expected);
}

#[tokio::test]
async fn an_order_has_a_tag_and_says_where_it_came_from() {
    let (_database, mut writer, app) =
        with_orders(&[json!({"order_id": "warm", "user_id": "u1", "amount": 1})]).await;
    writer
        .commit(&[json!({"order_id": "cold", "user_id": "u2", "amount": 1})])
        .await;
    app.has_seen(&writer).await;
    assert_eq!(
        app.get("/orders/warm").await.header("x-data-source"),
        "cache"
    );
    let first = app.get("/orders/cold").await;
    assert_eq!(first.header("x-data-source"), "database");
    let second = app.get("/orders/cold").await;
    assert_eq!(second.header("x-data-source"), "cache");
    assert_eq!(
        (first.header("etag"), &first.body),
        (second.header("etag"), &second.body)
    );
    assert!(first.header("x-as-of").ends_with('Z'));

    let unchanged = app
        .request(
            Method::GET,
            "/orders/cold",
            &[("if-none-match", first.header("etag"))],
        )
        .await;
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
    assert_eq!(unchanged.header("etag"), first.header("etag"));
    let head = app.request(Method::HEAD, "/orders/cold", &[]).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), first.body.len().to_string());
}

#[tokio::test]
async fn what_is_not_there_is_404_and_another_method_405() {
    let (_database, _writer, app) = with_orders(&[]).await;
    for path in [
        "/orders/unknown",
        "/orders/-no-id",
        "/orders/a%2Fb",
        &format!("/orders/{}", "x".repeat(65)),
        "/nothing",
    ] {
        let answer = app.get(path).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (404, "application/problem+json"),
            "{path}"
        );
        assert!(!answer.header("x-as-of").is_empty(), "{path}");
    }
    let answer = app.request(Method::DELETE, "/orders/o1", &[]).await;
    assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD"));
}

fn order_at(number: u32, user_id: &str) -> Value {
    // Two orders share each instant: only their numbers tell which is newer.
    let created_at = format!("2026-01-{:02}T00:00:00Z", number / 2 + 1);
    json!({"order_id": format!("{user_id}-{number}"), "user_id": user_id, "amount": number, "created_at": created_at})
}

fn ids(page: &Value) -> Vec<String> {
    let orders = page["orders"].as_array().unwrap();
    orders
        .iter()
        .map(|order| order["order_id"].as_str().unwrap().to_owned())
        .collect()
}

async fn all_pages(app: &App, path: &str, mut between: impl AsyncFnMut()) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut page = app.json(path).await;
    loop {
        pages.push(ids(&page));
        let Some(cursor) = page["next_cursor"].as_str() else {
            return pages;
        };
        between().await;
        page = app.json(&format!("{path}&cursor={cursor}")).await;
    }
}

#[tokio::test]
async fn a_users_pages_are_newest_first_and_stable_under_inserts() {
    let orders: Vec<Value> = (0..25).map(|number| order_at(number, "u1")).collect();
    let (_database, mut writer, app) = with_orders(&orders).await;
    let mut next = 100;
    let pages = all_pages(&app, "/orders?user_id=u1&limit=10", async || {
        // Newer than everything, and one that is older than what has been read.
        writer
            .commit(&[
                json!({"order_id": format!("new-{next}"), "user_id": "u1", "amount": 1,
                               "created_at": "2026-06-01T00:00:00Z"}),
            ])
            .await;
        next += 1;
    })
    .await;
    let expected: Vec<String> = (0..25).rev().map(|number| format!("u1-{number}")).collect();
    assert_eq!(pages.concat(), expected);
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5]);
}

#[tokio::test]
async fn the_newest_orders_of_all_are_those_that_were_stored_last() {
    let (_database, mut writer, app) = with_orders(&[order_at(9, "a"), order_at(8, "b")]).await;
    writer.commit(&[order_at(1, "c")]).await;
    app.has_seen(&writer).await;
    assert_eq!(ids(&app.json("/orders").await), ["c-1", "b-8", "a-9"]);
    assert_eq!(ids(&app.json("/api/orders?limit=1").await), ["c-1"]);
    assert_eq!(
        all_pages(&app, "/orders?limit=2", async || ()).await,
        [vec!["c-1", "b-8"], vec!["a-9"]]
    );
}

#[tokio::test]
async fn who_has_no_orders_has_an_empty_page() {
    let (_database, mut writer, app) = with_orders(&[]).await;
    let empty = json!({"orders": [], "next_cursor": null});
    assert_eq!(app.json("/orders?user_id=nobody").await, empty);
    assert_eq!(app.json("/orders").await, empty);
    writer.commit(&[order_at(1, "nobody")]).await;
    app.has_seen(&writer).await;
    assert_eq!(ids(&app.json("/orders?user_id=nobody").await), ["nobody-1"]);
    assert_eq!(ids(&app.json("/orders").await), ["nobody-1"]);
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let (_database, _writer, app) = with_orders(&[order_at(1, "u1"), order_at(2, "u1")]).await;
    let of_user = app.json("/orders?user_id=u1&limit=1").await["next_cursor"]
        .as_str()
        .unwrap()
        .to_owned();
    let newest = app.json("/orders?limit=1").await["next_cursor"]
        .as_str()
        .unwrap()
        .to_owned();
    for (query, pointers) in [
        ("limit=0".to_owned(), vec!["/query/limit"]),
        ("limit=501".to_owned(), vec!["/query/limit"]),
        (
            "limit=x&cursor=y&user_id=".to_owned(),
            vec!["/query/user_id", "/query/cursor", "/query/limit"],
        ),
        ("user_id=a%00b".to_owned(), vec!["/query/user_id"]),
        (format!("cursor={of_user}"), vec!["/query/cursor"]),
        (format!("user_id=u1&cursor={newest}"), vec!["/query/cursor"]),
    ] {
        assert_eq!(
            app.refused(&format!("/orders?{query}")).await,
            pointers,
            "{query}"
        );
    }
    for wait in ["31", "-1", "1.5", "x"] {
        assert_eq!(
            app.refused(&format!("/orders/o1?wait={wait}")).await,
            ["/query/wait"]
        );
    }
}

#[tokio::test]
async fn waiting_for_an_order_wakes_when_it_is_stored() {
    let (_database, mut writer, app) = with_orders(&[]).await;
    let app = Arc::new(app);
    let waiting: Vec<_> = (0..20)
        .map(|number| {
            let app = Arc::clone(&app);
            tokio::spawn(async move {
                let answer = app
                    .get(&format!("/orders/late-{}?wait=20", number % 2))
                    .await;
                (answer.status, Instant::now())
            })
        })
        .collect();
    let unknown = app.get("/orders/late-0").await;
    assert_eq!(unknown.status, 404);
    writer
        .commit(&[json!({"order_id": "late-0", "user_id": "u", "amount": 1})])
        .await;
    writer
        .commit(&[json!({"order_id": "late-1", "user_id": "u", "amount": 1})])
        .await;
    let committed = Instant::now();
    for waiter in waiting {
        let (status, answered) = waiter.await.unwrap();
        assert_eq!(status, 200);
        // The bound is 250 ms; a test machine that is busy may take longer, but never the 20 s that were allowed.
        assert!(answered.saturating_duration_since(committed) < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn waiting_for_an_order_that_never_comes_ends_in_404() {
    let (_database, _writer, app) = with_orders(&[]).await;
    let started = Instant::now();
    assert_eq!(app.get("/orders/never?wait=1").await.status, 404);
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn no_more_wait_than_may_and_a_stop_ends_all_of_them() {
    let database = lab::database().await;
    let app = Arc::new(App::start_with(database.url(), &["--max-waiting", "3"]).await);
    let mut waiting = JoinSet::new();
    for number in 0..4 {
        let app = Arc::clone(&app);
        waiting.spawn(async move { app.get(&format!("/orders/never-{number}?wait=30")).await });
    }
    let one_too_many = waiting.join_next().await.unwrap().unwrap();
    assert_eq!(
        (one_too_many.status, one_too_many.header("retry-after")),
        (503, "1")
    );
    assert!(
        one_too_many.text().contains("too many"),
        "{}",
        one_too_many.text()
    );
    app.cancel();
    while let Some(answer) = waiting.join_next().await {
        let answer = answer.unwrap();
        assert_eq!(answer.status, 503);
        assert!(answer.text().contains("stopping"), "{}", answer.text());
    }
}

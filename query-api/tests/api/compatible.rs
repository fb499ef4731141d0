use serde_json::json;

use crate::app::with_orders;

#[tokio::test]
async fn known_clients_get_the_shapes_they_know() {
    let order = |user: &str, amount: &str| json!({"user_id": user, "amount": amount});
    let mut orders: Vec<_> = (0..20)
        .map(|number| order(&format!("u{number:02}"), "1"))
        .collect();
    orders.extend([
        order("big", "8911407.904"),
        json!({"user_id": "big", "amount": 5, "currency": "EUR"}),
    ]);
    let (_database, _writer, app) = with_orders(&orders).await;
    // As text: a reader's float must not hide a digit.
    for (path, expected) in [
        (
            "/total_orders?user_id=big",
            r#"{"user_id":"big","total_orders":2,"message":"user big has 2 orders"}"#,
        ),
        (
            "/total_orders?user_id=big&currency=EUR",
            r#"{"user_id":"big","total_orders":1,"message":"user big has 1 order in EUR"}"#,
        ),
        (
            "/total_spendings?user_id=big",
            r#"{"user_id":"big","total_spent":8911407.904,"message":"user big has spent 8911407.904 USD"}"#,
        ),
        (
            "/total_spendings?user_id=big&currency=EUR",
            r#"{"user_id":"big","total_spent":5.00,"message":"user big has spent 5.00 EUR"}"#,
        ),
        (
            "/top_users?limit=1",
            r#"[{"user_id":"big","total_orders":1,"total_spent":8911407.904}]"#,
        ),
        (
            "/anomalies",
            r#"[{"user_id":"big","total_orders":1,"total_spent":8911407.904,"order_anomaly":false,"spending_anomaly":true}]"#,
        ),
        ("/top_users?currency=SEK", "[]"),
    ] {
        assert_eq!(app.get(path).await.text(), expected, "{path}");
    }
}

#[tokio::test]
async fn an_unknown_user_has_zero() {
    let (_database, _writer, app) = with_orders(&[]).await;
    assert_eq!(
        app.get("/total_orders?user_id=x").await.text(),
        r#"{"user_id":"x","total_orders":0,"message":"user x has 0 orders"}"#
    );
    assert_eq!(
        app.get("/total_spendings?user_id=x").await.text(),
        r#"{"user_id":"x","total_spent":0.00,"message":"user x has spent 0.00 USD"}"#
    );
    assert_eq!(app.refused("/total_orders").await, ["/query/user_id"]);
    assert_eq!(
        app.refused("/total_spendings?currency=x").await,
        ["/query/currency", "/query/user_id"]
    );
    assert_eq!(app.refused("/top_users?limit=0").await, ["/query/limit"]);
}

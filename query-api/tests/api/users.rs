use serde_json::json;

use crate::app::with_orders;

#[tokio::test]
async fn a_user_is_shown_in_every_currency() {
    let (_database, _writer, app) = with_orders(&[
        json!({"user_id": "u/1 é", "amount": "10.0001", "created_at": "2026-01-02T00:00:00Z"}),
        json!({"user_id": "u/1 é", "amount": "0.0002", "created_at": "2026-01-01T00:00:00.5Z"}),
        json!({"user_id": "u/1 é", "amount": 7, "currency": "EUR"}),
        json!({"user_id": "other", "amount": 7}),
    ])
    .await;
    let expected = json!({"user_id": "u/1 é", "currencies": [
        {"currency": "EUR", "order_count": 1, "total_amount": "7.00", "average_amount": "7.00",
         "first_order_at": "2026-01-01T00:00:00Z", "last_order_at": "2026-01-01T00:00:00Z"},
        // 5.00015 lies exactly between two numbers of four decimals: half to even.
        {"currency": "USD", "order_count": 2, "total_amount": "10.0003", "average_amount": "5.0002",
         "first_order_at": "2026-01-01T00:00:00.500Z", "last_order_at": "2026-01-02T00:00:00Z"}]});
    assert_eq!(app.json("/users?user_id=u/1%20%C3%A9").await, expected);
    assert_eq!(app.json("/users/u%2F1%20%C3%A9").await, expected);
}

#[tokio::test]
async fn an_unknown_user_is_404_and_none_at_all_422() {
    let (_database, _writer, app) = with_orders(&[]).await;
    for path in ["/users/nobody", "/users?user_id=nobody", "/users/a%00b"] {
        assert_eq!(app.get(path).await.status, 404, "{path}");
    }
    assert_eq!(app.refused("/users").await, ["/query/user_id"]);
    assert_eq!(app.refused("/users?user_id=").await, ["/query/user_id"]);
}

#[tokio::test]
async fn the_top_is_by_amount_or_orders_and_equal_users_by_id() {
    let order = |user: &str, amount: &str| json!({"user_id": user, "amount": amount});
    let (_database, _writer, app) = with_orders(&[
        order("c", "5"),
        order("a", "5"),
        order("b", "2.5"),
        order("b", "2.5"),
        order("Z", "0.01"),
        order("top", "9.99"),
        json!({"user_id": "euro", "amount": 1000, "currency": "EUR"}),
    ])
    .await;
    assert_eq!(
        app.json("/users/top?limit=4").await,
        json!({"currency": "USD", "by": "amount", "users": [
        {"user_id": "top", "order_count": 1, "total_amount": "9.99"},
        {"user_id": "a", "order_count": 1, "total_amount": "5.00"},
        {"user_id": "b", "order_count": 2, "total_amount": "5.00"},
        {"user_id": "c", "order_count": 1, "total_amount": "5.00"}]})
    );
    assert_eq!(
        app.json("/users/top?by=orders&limit=2").await,
        json!({"currency": "USD", "by": "orders", "users": [
        {"user_id": "b", "order_count": 2, "total_amount": "5.00"},
        {"user_id": "Z", "order_count": 1, "total_amount": "0.01"}]})
    );
    assert_eq!(
        app.json("/users/top?currency=EUR").await["users"][0]["user_id"],
        "euro"
    );
    assert_eq!(
        app.json("/users/top?currency=XXX").await,
        json!({"currency": "XXX", "by": "amount", "users": []})
    );
    assert_eq!(app.json("/users?user_id=top").await["user_id"], "top");
}

#[tokio::test]
async fn anomalies_are_users_far_above_the_others_by_orders_or_by_amount() {
    let mut orders: Vec<_> = (0..20)
        .map(|number| json!({"user_id": format!("u{number:02}"), "amount": 10}))
        .collect();
    orders.extend((0..8).map(|_| json!({"user_id": "often", "amount": 1})));
    orders.push(json!({"user_id": "rich", "amount": "1000.5"}));
    let (_database, _writer, app) = with_orders(&orders).await;
    let often = json!({"user_id": "often", "order_count": 8, "total_amount": "8.00", "order_anomaly": true, "spending_anomaly": false});
    let rich = json!({"user_id": "rich", "order_count": 1, "total_amount": "1000.50", "order_anomaly": false, "spending_anomaly": true});
    assert_eq!(
        app.json("/users/anomalies").await,
        json!({"currency": "USD", "sigma": 2, "count": 2, "users": [often, rich]})
    );
    assert_eq!(
        app.json("/users/anomalies?sigma=2.50&limit=1").await,
        json!({"currency": "USD", "sigma": 2.5, "count": 2, "users": [often]})
    );
    assert_eq!(
        app.json("/users/anomalies?sigma=10").await,
        json!({"currency": "USD", "sigma": 10, "count": 0, "users": []})
    );
    assert_eq!(app.json("/users/anomalies?currency=EUR").await["count"], 0);
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let (_database, _writer, app) = with_orders(&[]).await;
    assert_eq!(
        app.refused("/users/top?by=x&currency=usd&limit=1001").await,
        ["/query/currency", "/query/by", "/query/limit"]
    );
    assert_eq!(
        app.refused("/users/anomalies?sigma=-1&limit=10001").await,
        ["/query/sigma", "/query/limit"]
    );
    assert_eq!(
        app.refused("/users/anomalies?sigma=2&sigma=3").await,
        ["/query/sigma"]
    );
}

use reqwest::Method;
use serde_json::{Value, json};

use crate::app::with_orders;

const HOSTILE: &str = "<script>alert(1)</script>&\"'\u{202e}\u{fffe}";

fn order(user_id: &str, created_at: &str, amount: &str) -> Value {
    json!({"user_id": user_id, "amount": amount, "currency": "EUR", "created_at": created_at})
}

#[tokio::test]
async fn sales_are_drawn_with_a_title_axes_and_exact_labels() {
    let (_database, mut writer, app) = with_orders(&[
        order("u", "2026-01-01T10:00:00Z", "1234567.8901"),
        order("u", "2026-01-03T10:00:00Z", "0.05"),
    ])
    .await;
    let answer = app.get("/charts/sales.svg?grain=day").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "image/svg+xml");
    let svg = answer.text();
    for shown in [
        "role=\"img\"",
        "<title id=\"title\">Sales per day in EUR</title>",
        "2026-01-01 to 2026-01-03, UTC: 1,234,567.9401 EUR, 2 orders",
        "<title>2026-01-01: 1,234,567.8901 EUR, 1 order</title>",
        "<title>2026-01-03: 0.05 EUR, 1 order</title>",
        ">1,500,000</text>",
        ">0</text>",
        ">2026-01-02</text>",
    ] {
        assert!(svg.contains(shown), "{shown} is missing in\n{svg}");
    }
    assert!(
        app.get("/charts/sales.svg?size=narrow")
            .await
            .text()
            .contains("width=\"360\"")
    );

    let again = app
        .request(
            Method::GET,
            "/charts/sales.svg?grain=day",
            &[("if-none-match", answer.header("etag"))],
        )
        .await;
    assert_eq!(
        (again.status, again.header("server-timing")),
        (304, "cache;desc=hit")
    );
    writer
        .commit(&[order("u", "2026-01-02T10:00:00Z", "7")])
        .await;
    app.has_seen(&writer).await;
    assert!(
        app.get("/charts/sales.svg?grain=day")
            .await
            .text()
            .contains("2026-01-02: 7.00 EUR")
    );
}

#[tokio::test]
async fn a_long_series_is_one_area_and_an_empty_one_says_so() {
    let (_database, _writer, app) = with_orders(&[
        order("u", "2024-01-01T10:00:00Z", "1"),
        order("u", "2026-01-03T10:00:00Z", "2"),
    ])
    .await;
    let long = app.get("/charts/sales.svg").await.text();
    assert_eq!(
        (
            long.matches("<rect class=\"bar\"").count(),
            long.matches("<path class=\"bar\"").count()
        ),
        (0, 1)
    );
    for path in [
        "/charts/sales.svg?currency=SEK",
        "/charts/sales.svg?from=2026-02-01&to=2026-02-01",
    ] {
        assert!(
            app.get(path).await.text().contains("Nothing was sold"),
            "{path}"
        );
    }
    let nobody = app.get("/charts/top-users.svg?currency=SEK").await.text();
    assert!(nobody.contains("Nobody has ordered yet"));
}

#[tokio::test]
async fn users_are_drawn_in_order_and_their_ids_stay_text() {
    let long = "長".repeat(128);
    let (_database, _writer, app) = with_orders(&[
        order(HOSTILE, "2026-01-01T10:00:00Z", "100"),
        order(&long, "2026-01-01T10:00:00Z", "1000.5"),
        order(&long, "2026-01-01T10:00:00Z", "1"),
        order("small", "2026-01-01T10:00:00Z", "0.0001"),
    ])
    .await;
    let svg = app.get("/charts/top-users.svg?limit=3").await.text();
    let places: Vec<_> = [">1,001.50</text>", ">100.00</text>", ">0.0001</text>"]
        .map(|value| svg.find(value))
        .into();
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{places:?}\n{svg}"
    );
    assert!(!svg.contains("<script") && !svg.contains('\u{202e}') && !svg.contains('\u{fffe}'));
    assert!(svg.contains("&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;'"));
    // The whole id is the tooltip, what is seen is cut.
    assert!(svg.contains(&long) && svg.contains(&format!("{}…", "長".repeat(20))));
    let orders = app
        .get("/charts/top-users.svg?by=orders&limit=1")
        .await
        .text();
    assert!(orders.contains("Users with the most orders in EUR") && orders.contains(">2</text>"));
}

#[tokio::test]
async fn a_chart_runs_nothing_and_its_style_is_the_one_that_is_allowed() {
    let (_database, _writer, app) = with_orders(&[]).await;
    for path in ["/charts/sales.svg", "/charts/top-users.svg"] {
        let chart = app.get(path).await;
        assert_eq!(chart.header("referrer-policy"), "no-referrer");
        let policy = chart.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"));
    }
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let (_database, _writer, app) = with_orders(&[]).await;
    assert_eq!(
        app.refused("/charts/sales.svg?grain=week&from=x&size=huge")
            .await,
        ["/query/grain", "/query/from", "/query/size"]
    );
    assert_eq!(
        app.refused("/charts/top-users.svg?limit=0&by=x").await,
        ["/query/by", "/query/limit"]
    );
    assert_eq!(
        app.refused("/charts/sales.svg?grain=hour&from=1970-01-01&to=2026-01-01")
            .await,
        ["/query/from"]
    );
}

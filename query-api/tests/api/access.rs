use reqwest::Method;

use crate::app::{App, with_orders};

/// The SHA-256 of `reader's-key`.
const HASH: &str = "24bdb7d8e4decb5b897a367e320133b615a4bde9834cc08747863bc5d767b1a4";

#[tokio::test]
async fn with_keys_pages_stay_open_and_answers_need_one_that_may_read() {
    let (database, _writer, _open) = with_orders(&[]).await;
    let path = lab::settings::directory().join(format!("keys-{}", std::process::id()));
    std::fs::write(
        &path,
        format!(
            "dashboard:read:{HASH}\nshop:write:{}\n",
            HASH.replace('0', "1")
        ),
    )
    .unwrap();
    let app = App::start_with(database.url(), &["--api-keys-file", path.to_str().unwrap()]).await;
    std::fs::remove_file(&path).unwrap();
    for open in [
        "/",
        "/static/style.css",
        "/docs",
        "/openapi.json",
        "/health/live",
    ] {
        assert_eq!(app.get(open).await.status, 200, "{open}");
    }
    let key = [("x-api-key", "reader's-key")];
    for closed in [
        "/summary",
        "/orders",
        "/users/top",
        "/total_orders?user_id=u",
        "/metrics",
    ] {
        assert_eq!(app.get(closed).await.status, 401, "{closed}");
        let answer = app.request(Method::GET, closed, &key).await;
        assert_eq!(answer.status, 200, "{closed}");
        let cache_control = answer.header("cache-control");
        assert!(
            ["private, no-cache", "no-store"].contains(&cache_control),
            "{closed}: {cache_control}"
        );
    }
}

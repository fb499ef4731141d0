use reqwest::Method;

use crate::app::with_orders;

const FILES: [(&str, &str); 8] = [
    ("/", "text/html"),
    ("/?order_id=x", "text/html"),
    ("/static/style.css", "text/css"),
    ("/static/icon.svg", "image/svg+xml"),
    ("/static/lookup.js", "text/javascript"),
    ("/static/order.js", "text/javascript"),
    ("/static/customer.js", "text/javascript"),
    ("/static/format.js", "text/javascript"),
];

#[tokio::test]
async fn pages_run_nothing_but_their_own_files_and_are_sent_once() {
    let (_database, _writer, app) = with_orders(&[]).await;
    for (path, content_type) in FILES {
        let page = app.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(
            page.header("content-type").starts_with(content_type),
            "{path}"
        );
        let policy = page.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        let again = app
            .request(Method::GET, path, &[("if-none-match", page.header("etag"))])
            .await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        let head = app.request(Method::HEAD, path, &[]).await;
        assert_eq!(
            (head.status, head.header("content-length")),
            (200, page.body.len().to_string().as_str()),
            "{path}"
        );
    }
}

/// What the policy forbids must not be there in the first place: the page would be broken, not only unsafe.
#[tokio::test]
async fn the_page_has_no_inline_code_and_loads_nothing_from_elsewhere() {
    let (_database, _writer, app) = with_orders(&[]).await;
    let page = app.get("/").await.text();
    for forbidden in ["style=", "onclick", "onload", "<style", "//", "javascript:"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    for file in page.split('"').filter(|part| part.starts_with("/static/")) {
        assert_eq!(app.get(file).await.status, 200, "{file}");
    }
}

#[tokio::test]
async fn no_other_file_is_served() {
    let (_database, _writer, app) = with_orders(&[]).await;
    for path in [
        "/static/",
        "/static/nothing.js",
        "/static/..%2FCargo.toml",
        "/static/../Cargo.toml",
        "/index.html",
    ] {
        assert_eq!(app.get(path).await.status, 404, "{path}");
    }
    assert_eq!(app.request(Method::POST, "/", &[]).await.status, 405);
}

use reqwest::Method;

use crate::app::with_orders;

const FILES: [(&str, &str); 15] = [
    ("/", "text/html"),
    ("/?order_id=x", "text/html"),
    ("/static/style.css", "text/css"),
    ("/static/icon.svg", "image/svg+xml"),
    ("/dashboard", "text/html"),
    ("/static/dashboard.css", "text/css"),
    ("/static/dashboard.js", "text/javascript"),
    ("/static/panels.js", "text/javascript"),
    ("/static/live.js", "text/javascript"),
    ("/static/access.js", "text/javascript"),
    ("/static/elements.js", "text/javascript"),
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
        assert_eq!(page.header("referrer-policy"), "no-referrer");
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
async fn the_pages_have_no_inline_code_and_load_nothing_from_elsewhere() {
    let (_database, _writer, app) = with_orders(&[]).await;
    for path in ["/", "/dashboard"] {
        let page = app.get(path).await.text();
        for forbidden in ["style=", "onclick", "onload", "<style", "//", "javascript:"] {
            assert!(!page.contains(forbidden), "{forbidden} in {path}");
        }
        for file in page.split('"').filter(|part| part.starts_with("/static/")) {
            assert_eq!(app.get(file).await.status, 200, "{file}");
        }
    }
}

/// No script writes markup, so that whatever an order holds stays text.
#[tokio::test]
async fn no_script_reads_markup_from_data() {
    let (_database, _writer, app) = with_orders(&[]).await;
    for (file, _) in FILES.iter().filter(|(file, _)| file.ends_with(".js")) {
        let script = app.get(file).await.text();
        for forbidden in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "DOMParser",
        ] {
            assert!(!script.contains(forbidden), "{forbidden} in {file}");
        }
    }
}

#[tokio::test]
async fn files_are_compressed_for_those_who_read_that() {
    let (_database, _writer, app) = with_orders(&[]).await;
    let plain = app.get("/static/style.css").await;
    let packed = app
        .request(
            Method::GET,
            "/static/style.css",
            &[("accept-encoding", "gzip")],
        )
        .await;
    assert_eq!(
        (
            plain.header("content-encoding"),
            packed.header("content-encoding")
        ),
        ("", "gzip")
    );
    assert_eq!(
        (plain.header("vary"), packed.header("vary")),
        ("accept-encoding", "accept-encoding")
    );
    assert!(packed.body.len() * 2 < plain.body.len());
    assert_ne!(plain.header("etag"), packed.header("etag"));
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

//! What answers say of themselves, and the form in which they travel.

use std::io::Read;
use std::time::Duration;

use common::time::Timestamp;
use lab::eventually;
use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{App, PATIENCE, process, waits_for_a_lock, with_orders};
use crate::writer::Writer;

const GZIP: [(&str, &str); 1] = [("accept-encoding", "gzip")];

fn many_orders() -> Vec<Value> {
    (0..60)
        .map(|number| json!({"order_id": format!("o{number}"), "user_id": format!("user-{number}"), "amount": number}))
        .collect()
}

#[tokio::test]
async fn an_answer_says_where_it_came_from_and_what_it_took() {
    let (_database, _writer, app) = with_orders(&many_orders()).await;
    let path = "/orders?user_id=user-1&limit=7";
    let first = app.get(path).await;
    assert_eq!(first.header("x-data-source"), "database");
    let timing = first.header("server-timing");
    let load_ms = timing.strip_prefix("cache;desc=miss, load;dur=");
    assert!(
        load_ms.is_some_and(|ms| ms.parse::<f64>().unwrap() > 0.0),
        "{timing}"
    );
    for path in [path, "/users/user-1", "/orders/o1", "/lag"] {
        let answer = app.get(path).await;
        assert_eq!(
            (
                answer.header("x-data-source"),
                answer.header("server-timing")
            ),
            ("cache", "cache;desc=hit"),
            "{path}"
        );
    }
    // Made of what is in memory, whoever asks first.
    assert_eq!(app.get("/users/top").await.header("x-data-source"), "cache");
    let page = app.json("/orders?limit=1").await["next_cursor"].clone();
    let page = format!("/orders?limit=1&cursor={}", page.as_str().unwrap());
    assert_eq!(app.get(&page).await.header("x-data-source"), "database");
}

#[tokio::test]
async fn what_the_cache_does_is_counted() {
    let database = lab::database().await;
    let mut writer = Writer::new(&database).await;
    writer.commit(&many_orders()).await;
    let mut service = process(&database).await;
    let http = lab::Http::default();
    for path in [
        "/orders?user_id=user-1&limit=7",
        "/orders?user_id=user-1&limit=7",
        "/users/top",
    ] {
        http.json(&service.url(path)).await.unwrap();
    }
    writer
        .commit(&[json!({"user_id": "user-1", "amount": 1})])
        .await;
    eventually(PATIENCE, async || {
        // Asked again after a change: the answer before has lived so long.
        http.json(&service.url("/users/top")).await.unwrap();
        let metrics = http.get(&service.url("/metrics")).await.unwrap().text();
        let expected = [
            "query_api_cache_requests_total{result=\"hit\"}",
            "query_api_cache_requests_total{result=\"miss\"}",
            "query_api_cache_requests_total{result=\"outdated\"}",
            "query_api_cache_load_seconds",
            "query_api_cache_age_seconds_count{end=\"outdated\"}",
            "query_api_cache_bytes",
            "query_api_cache_entries",
            "query_api_feed_age_seconds",
            "query_api_event_listeners",
        ];
        let missing: Vec<_> = expected
            .into_iter()
            .filter(|name| !metrics.contains(name))
            .collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(format!("{missing:?} in\n{metrics}"))
        }
    })
    .await;
    service.stop_within(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn the_compressed_form_is_the_same_answer_under_another_tag() {
    let (_database, mut writer, app) = with_orders(&many_orders()).await;
    for path in [
        "/users/top?limit=60",
        "/orders?limit=60",
        "/charts/top-users.svg?limit=60",
    ] {
        let plain = app.get(path).await;
        let packed = app.request(Method::GET, path, &GZIP).await;
        assert_eq!(
            (
                plain.header("content-encoding"),
                packed.header("content-encoding")
            ),
            ("", "gzip"),
            "{path}"
        );
        assert_eq!(
            (plain.header("vary"), packed.header("vary")),
            ("accept-encoding", "accept-encoding")
        );
        assert_eq!(plain.header("content-type"), packed.header("content-type"));
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&packed.body[..])
            .read_to_end(&mut unpacked)
            .unwrap();
        assert_eq!(unpacked, plain.body);
        // Each form is known by its own tag alone.
        let (plain_tag, packed_tag) = (plain.header("etag"), packed.header("etag"));
        assert_ne!(plain_tag, packed_tag);
        for (encoding, tag, status) in [
            ("gzip", packed_tag, 304),
            ("gzip", plain_tag, 200),
            ("identity", plain_tag, 304),
            ("identity", packed_tag, 200),
        ] {
            let headers = [("accept-encoding", encoding), ("if-none-match", tag)];
            assert_eq!(
                app.request(Method::GET, path, &headers).await.status,
                status,
                "{path} {encoding} {tag}"
            );
        }
    }
    let small = app.request(Method::GET, "/orders/o1", &GZIP).await;
    assert_eq!(small.header("content-encoding"), "");
    assert_eq!(small.json().unwrap()["order_id"], "o1");

    writer
        .commit(&[json!({"user_id": "user-9", "amount": 1_000_000})])
        .await;
    app.has_seen(&writer).await;
    let packed = app.request(Method::GET, "/users/top?limit=60", &GZIP).await;
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(&packed.body[..])
        .read_to_string(&mut unpacked)
        .unwrap();
    assert!(unpacked.contains("1000009.00"), "{unpacked}");
}

/// An attacker's ids: none of them is kept, and who asks for what exists is still answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_that_nobody_knows_neither_fill_the_cache_nor_take_every_connection() {
    let database = lab::database().await;
    let mut writer = Writer::new(&database).await;
    writer.commit(&many_orders()).await;
    let app = App::start_with(database.url(), &["--pool-size", "2", "--warm-orders", "0"]).await;
    let app = std::sync::Arc::new(app);
    let mut strangers = tokio::task::JoinSet::new();
    for number in 0..400 {
        let app = std::sync::Arc::clone(&app);
        strangers.spawn(async move { app.get(&format!("/orders/nobody-{number}")).await.status });
    }
    for number in 0..20 {
        let answer = app
            .get(&format!("/orders?user_id=user-{number}&limit=9"))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    while let Some(status) = strangers.join_next().await {
        let status = status.unwrap();
        assert!(status == 404 || status == 503, "{status}");
    }
    for path in ["/orders/nobody-1", "/orders/nobody-1"] {
        let answer = app.get(path).await;
        assert_eq!(
            (answer.status, answer.header("etag")),
            (404, ""),
            "it was looked up again, and is not kept"
        );
    }
}

/// How long an answer is fresh.
const BOUND: Duration = Duration::from_millis(250);

#[tokio::test]
async fn an_answer_that_took_too_long_says_so_and_one_that_was_waited_for_does_not() {
    let database = lab::database().await;
    let mut writer = Writer::new(&database).await;
    let order = |id: &str| json!({"order_id": id, "user_id": "u", "amount": 1});
    writer.commit(&[order("slow")]).await;
    let app = App::start_with(database.url(), &["--warm-orders", "0"]).await;
    let mut blocker = database.client().await;
    let blocking = blocker.transaction().await.unwrap();
    let lock = "LOCK TABLE order_items IN ACCESS EXCLUSIVE MODE";
    blocking.batch_execute(lock).await.unwrap();
    // The feed goes on meanwhile: what is asked now is answered with a later time.
    let seen_after = async |then: Timestamp| {
        eventually(PATIENCE, async || {
            let as_of = app.get("/summary").await.header("x-as-of").to_owned();
            let seen = Timestamp::parse(&as_of).is_ok_and(|as_of| as_of > then);
            if seen { Ok(()) } else { Err(as_of) }
        })
        .await;
    };
    let asked = Timestamp::now();
    let unlock = async {
        waits_for_a_lock(&database).await;
        seen_after(asked.saturating_add(BOUND * 2)).await;
        blocking.commit().await.unwrap();
    };
    let (slow, ()) = tokio::join!(app.get("/orders/slow"), unlock);
    assert_eq!((slow.status, slow.header("x-stale")), (200, "true"));
    let hit = app.get("/orders/slow").await;
    assert_eq!((hit.status, hit.header("x-stale")), (200, ""));

    let asked = Timestamp::now();
    let commit = async {
        seen_after(asked.saturating_add(BOUND * 2)).await;
        writer.commit(&[order("late")]).await;
    };
    let (late, ()) = tokio::join!(app.get("/orders/late?wait=20"), commit);
    assert_eq!((late.status, late.header("x-stale")), (200, ""));
    let as_of = Timestamp::parse(late.header("x-as-of")).unwrap();
    assert!(as_of > asked, "{as_of} is before it was asked, {asked}");
}

#[tokio::test]
async fn an_answer_that_is_older_than_the_bound_says_so() {
    let database = lab::database().await;
    let proxy = lab::Proxy::start(database.server_address()).await;
    let app = App::start(&database.url_through(proxy.address())).await;
    let stale = async |expected: &str| {
        eventually(PATIENCE, async || {
            let answer = app.get("/summary").await;
            assert_eq!(answer.status, 200);
            match answer.header("x-stale") {
                stale if stale == expected => Ok(()),
                stale => Err(stale.to_owned()),
            }
        })
        .await;
    };
    stale("").await;
    proxy.refuse();
    stale("true").await;
    proxy.pass();
    stale("").await;
}

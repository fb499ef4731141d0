use std::time::{Duration, Instant};

use common::time::Timestamp;
use lab::{Proxy, TestDatabase, eventually};
use serde_json::json;

use crate::app::{App, PATIENCE, waits_for_a_lock};
use crate::writer::Writer;

/// Far below any timeout: the answer did not wait for the database.
const AT_ONCE: Duration = Duration::from_millis(900);

async fn behind_a_proxy() -> (TestDatabase, Writer, Proxy, App) {
    let database = lab::database().await;
    let proxy = Proxy::start(database.server_address()).await;
    let mut writer = Writer::new(&database).await;
    writer
        .commit(&[json!({"order_id": "o1", "user_id": "u", "amount": 1})])
        .await;
    let app = App::start(&database.url_through(proxy.address())).await;
    (database, writer, proxy, app)
}

async fn is_away(app: &App) {
    eventually(PATIENCE, async || {
        let database = app.json("/health").await["database"].clone();
        if database == "away" {
            Ok(())
        } else {
            Err(database)
        }
    })
    .await;
}

#[tokio::test]
async fn while_the_database_is_away_memory_answers_and_the_rest_is_503_at_once() {
    let (_database, mut writer, proxy, app) = behind_a_proxy().await;
    proxy.refuse();
    is_away(&app).await;
    let before = app.get("/summary").await;
    writer
        .commit(&[json!({"order_id": "o2", "user_id": "other", "amount": 1})])
        .await;
    for path in [
        "/summary",
        "/orders/o1",
        "/users/u",
        "/orders?user_id=u",
        "/users/top",
        "/health/ready",
    ] {
        assert_eq!(app.get(path).await.status, 200, "{path}");
    }
    let started = Instant::now();
    for path in [
        "/orders/o2",
        "/orders/o2?wait=30",
        "/orders",
        "/orders?user_id=u&limit=7",
    ] {
        let answer = app.get(path).await;
        assert_eq!(
            (answer.status, answer.header("retry-after")),
            (503, "1"),
            "{path}"
        );
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    assert!(started.elapsed() < AT_ONCE);
    let stale = app.get("/summary").await;
    assert_eq!(
        (stale.header("x-as-of"), &stale.body),
        (before.header("x-as-of"), &before.body)
    );
    assert!(Timestamp::parse(stale.header("x-as-of")).unwrap() < Timestamp::now());

    proxy.pass();
    app.has_seen(&writer).await;
    assert_eq!(app.json("/health").await["database"], "reachable");
    assert_eq!(app.get("/orders/o2").await.status, 200);
    assert_eq!(app.json("/summary").await["order_count"], 2);
    // Nothing was dropped: what was known before is known still.
    assert_eq!(app.get("/orders/o1").await.header("x-data-source"), "cache");
}

#[tokio::test]
async fn connections_that_were_cut_are_replaced_unnoticed() {
    let (_database, mut writer, proxy, app) = behind_a_proxy().await;
    for number in 10..15 {
        proxy.cut();
        writer
            .commit(&[json!({"order_id": format!("o{number}"), "user_id": "u", "amount": 1})])
            .await;
        app.has_seen(&writer).await;
        eventually(PATIENCE, async || {
            match app.get(&format!("/orders/o{number}")).await.status {
                200 => Ok(()),
                status => Err(status),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_database_that_hangs_keeps_nobody_waiting_for_long() {
    let (_database, mut writer, proxy, app) = behind_a_proxy().await;
    proxy.hold();
    let started = Instant::now();
    assert_eq!(app.get("/orders/o2").await.status, 503);
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "{:?}",
        started.elapsed()
    );
    is_away(&app).await;
    let started = Instant::now();
    assert_eq!(app.get("/orders/o2").await.status, 503);
    assert!(started.elapsed() < AT_ONCE);
    proxy.pass();
    writer
        .commit(&[json!({"order_id": "o2", "user_id": "u", "amount": 1})])
        .await;
    app.has_seen(&writer).await;
    assert_eq!(app.get("/orders/o2").await.status, 200);
}

#[tokio::test]
async fn a_pool_that_is_exhausted_fails_fast_and_recovers() {
    let database = lab::database().await;
    let app = App::start_with(
        database.url(),
        &["--pool-size", "1", "--acquire-timeout", "200ms"],
    )
    .await;
    let mut blocker = database.client().await;
    let transaction = blocker.transaction().await.unwrap();
    transaction
        .batch_execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let first = app.get("/orders/a");
    let second = async {
        // The first has the only connection.
        waits_for_a_lock(&database).await;
        let started = Instant::now();
        let answer = app.get("/orders/b").await;
        (answer, started.elapsed())
    };
    let (first, (second, waited)) = tokio::join!(first, second);
    assert_eq!((first.status, second.status), (503, 503));
    assert!(waited < Duration::from_secs(1), "{waited:?}");
    assert_eq!(app.json("/summary").await["order_count"], 0);
    transaction.commit().await.unwrap();
    eventually(PATIENCE, async || match app.get("/orders/a").await.status {
        404 => Ok(()),
        status => Err(status),
    })
    .await;
}

#[tokio::test]
async fn a_service_without_a_database_lives_and_becomes_ready_when_there_is_one() {
    let database = lab::database().await;
    let proxy = Proxy::start(database.server_address()).await;
    proxy.refuse();
    let app = App::launch(&database.url_through(proxy.address()), &[]);
    assert_eq!(app.get("/health/live").await.status, 200);
    for path in [
        "/health/ready",
        "/summary",
        "/orders/o1",
        "/users/u",
        "/orders",
    ] {
        assert_eq!(app.get(path).await.status, 503, "{path}");
    }
    proxy.pass();
    app.ready().await;
    assert_eq!(app.json("/summary").await["order_count"], 0);
    app.stop().await;
}

#[tokio::test]
async fn an_older_schema_is_waited_for() {
    let database = TestDatabase::create_empty(lab::settings::database_url()).await;
    let app = App::launch(database.url(), &[]);
    let answer = app.get("/health/ready").await;
    assert_eq!(answer.status, 503);
    common::migrate::migrate(&database.config()).await.unwrap();
    app.ready().await;
}

#[tokio::test]
async fn a_stop_is_prompt() {
    let (_database, _writer, _proxy, app) = behind_a_proxy().await;
    let started = Instant::now();
    app.stop().await;
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
}

//! Readers and a writer together, each with a log; afterwards the logs are held against each other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::time::Timestamp;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::{App, with_orders};
use crate::feed::order_counts;
use crate::writer::Batch;

/// For any answer, on a machine that others use too. The p99 is printed; 250 ms is what is promised of it.
const HARD_BOUND: Duration = Duration::from_secs(2);
const COMMITS: u64 = 200;

fn order(user_id: &str) -> Value {
    json!({"user_id": user_id, "amount": "1.25", "created_at": "2026-05-01T00:00:00Z"})
}

/// What a reader was told, and when he asked.
struct Told {
    path: &'static str,
    asked_at: Instant,
    as_of: Timestamp,
    order_count: u64,
}

/// When the answer to a commit had come, by our clock and by the database's: this many orders were there then.
struct Committed {
    at: Instant,
    by_database: Timestamp,
    order_count: u64,
}

fn lines(list: &Value) -> Option<u64> {
    list.as_array().and_then(|list| list.len().try_into().ok())
}

/// A path, and where its answer tells the number of orders.
type Kind = (&'static str, fn(&Value) -> Option<u64>);

/// Each kind of answer, while all orders are one user's.
const KINDS: [Kind; 8] = [
    ("/summary", |json| json["order_count"].as_u64()),
    ("/users/u", |json| {
        json["currencies"][0]["order_count"].as_u64()
    }),
    ("/users/top?by=orders", |json| {
        json["users"][0]["order_count"].as_u64()
    }),
    ("/sales?grain=month", |json| {
        json["buckets"][0]["order_count"].as_u64()
    }),
    ("/users/u/sales?grain=year", |json| {
        json["buckets"][0]["order_count"].as_u64()
    }),
    ("/total_orders?user_id=u", |json| {
        json["total_orders"].as_u64()
    }),
    ("/orders?user_id=u&limit=500", |json| lines(&json["orders"])),
    ("/orders?limit=500", |json| lines(&json["orders"])),
];

fn read_until(stop: &CancellationToken, app: &Arc<App>) -> Vec<JoinHandle<Vec<Told>>> {
    let reader = |(path, order_count): Kind| {
        let (app, stop) = (Arc::clone(app), stop.clone());
        tokio::spawn(async move {
            let mut told = Vec::new();
            while !stop.is_cancelled() {
                let asked_at = Instant::now();
                let answer = app.get(path).await;
                told.push(Told {
                    path,
                    asked_at,
                    as_of: Timestamp::parse(answer.header("x-as-of")).unwrap(),
                    order_count: order_count(&answer.json().unwrap()).unwrap(),
                });
            }
            told
        })
    };
    KINDS.map(reader).into()
}

/// How long before the question that was committed which is not in the answer.
fn staleness(told: &Told, log: &[Committed]) -> Duration {
    let missing = log
        .iter()
        .find(|committed| committed.order_count > told.order_count);
    missing.map_or(Duration::ZERO, |missing| {
        told.asked_at.saturating_duration_since(missing.at)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_answer_is_older_than_the_bound_nor_than_it_says_and_after_quiet_all_are_equal() {
    let (database, mut writer, app) = with_orders(&[order("u")]).await;
    let app = Arc::new(app);
    let stop = CancellationToken::new();
    let readers = read_until(&stop, &app);
    let clock = database.client().await;
    let mut log = vec![];
    for order_count in 2..=COMMITS {
        let batch = Batch {
            partition: i32::try_from(order_count % 3).unwrap(),
            orders: vec![order("u")],
            ..Batch::default()
        };
        writer.commit_batch(batch).await;
        let at = Instant::now();
        let now = clock
            .query_one("SELECT clock_timestamp()", &[])
            .await
            .unwrap();
        log.push(Committed {
            at,
            by_database: now.get(0),
            order_count,
        });
    }
    app.has_seen(&writer).await;
    stop.cancel();

    let mut ages = Vec::new();
    for reader in readers {
        for told in reader.await.unwrap() {
            let there = log
                .iter()
                .rev()
                .find(|committed| committed.by_database <= told.as_of);
            let there = there.map_or(1, |committed| committed.order_count);
            assert!(
                told.order_count >= there,
                "{} as of {}: {} orders, but {there} were committed",
                told.path,
                told.as_of,
                told.order_count
            );
            ages.push((staleness(&told, &log), told.path));
        }
    }
    ages.sort();
    let (p99, oldest) = (ages[ages.len() * 99 / 100], ages[ages.len() - 1]);
    eprintln!(
        "{} answers, of {COMMITS} commits: stale by {p99:?} (p99), {oldest:?} at most",
        ages.len()
    );
    assert!(ages.len() > 100, "only {} answers", ages.len());
    assert!(oldest.0 < HARD_BOUND, "{oldest:?}");
    assert_eq!(order_counts(&app, "u").await, [COMMITS; 6]);
    all_answers_equal_the_databases(&app).await;
}

/// What has been in memory through all of it, and what a service says that has read everything just now.
async fn all_answers_equal_the_databases(app: &App) {
    let fresh = App::start_with(app.database_url(), &["--warm-orders", "0"]).await;
    let mut paths: Vec<String> = KINDS.map(|(path, _)| path.to_owned()).into();
    let others = [
        "/users/top",
        "/users/anomalies?sigma=0",
        "/users/active?grain=month",
        "/sales?grain=hour",
        "/top_users",
        "/anomalies",
        "/charts/sales.svg",
        "/charts/top-users.svg?by=orders",
    ];
    paths.extend(others.map(str::to_owned));
    paths.extend((1..=COMMITS).map(|number| format!("/orders/order-{number}")));
    for path in paths {
        let (old, new) = (app.get(&path).await, fresh.get(&path).await);
        assert_eq!((old.status, old.text()), (200, new.text()), "{path}");
        assert_eq!(old.header("etag"), new.header("etag"), "{path}");
    }
}

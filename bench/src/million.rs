//! The query API over the orders of a million users: how long it takes to be ready, how fast each kind of answer then comes
//! from memory and from the database, and what keeping up with new orders costs.

use std::time::{Duration, Instant};

use anyhow::ensure;
use lab::orders::{self, Orders, TestOrder};
use lab::{Service, TestDatabase, Trio, eventually};
use query_api::repo::ORDER_BY_ID;

use crate::backlog::{Ids, Recipe};
use crate::ingest::rate;
use crate::memory::mebibytes;
use crate::memory_feed;
use crate::read::{CONNECTIONS, against_constant};
use crate::report::{Figure, Pair};
use crate::wrk::{self, Requests};

const USERS: u64 = 1_000_000;
const ORDERS: u64 = USERS;
const WARM_ORDERS: u64 = 100_000;
const CACHE_BYTES: u64 = 256 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(60);

const WARM_UP_BOUND_SECONDS: f64 = 10.0;
const MEMORY_BOUND_MIB: f64 = 600.0;

/// What is asked beside single orders, by its figure.
const ANSWERS: [(&str, &str); 4] = [
    ("read/top", "/users/top?by=amount"),
    ("read/anomalies", "/users/anomalies?sigma=1.7"),
    ("read/sales", "/sales?grain=hour"),
    ("read/summary", "/summary"),
];
/// Different users, as many as there are different orders in `read`.
const ASKED_USERS: u64 = 1_000;

const REPEATS: usize = 3;
/// Orders that nobody has asked for: more than one of wrk's runs gets to, and as many as one of the driver's looks up.
const MISSES: u64 = 150_000;
const LOOK_UPS: u64 = 30_000;
const MISSES_RUN: Duration = Duration::from_secs(3);
/// As the query API has by default.
const POOL: usize = 4;

/// While the cost of keeping up is measured: orders of a few thousand users more.
const NEW_ORDERS_RATE: &str = "--rate=1000";
const NEW_ORDERS: usize = 40_000;
const KEEPING_UP: Duration = Duration::from_secs(20);
const BETWEEN_QUESTIONS: Duration = Duration::from_secs(1);
const CORE_BOUND_PERCENT: f64 = 5.0;

/// `warm-up…`, `read/…` and `refresh`.
///
/// # Errors
/// Something did not run.
pub async fn users() -> anyhow::Result<Vec<Figure>> {
    let recipe = Recipe {
        ids: Ids::TimeOrdered,
        items: 1,
        users: USERS,
    };
    let database = lab::database().await;
    memory_feed::fill(&database, recipe, ORDERS).await?;
    let mut trio = Trio::plan()
        .database(database)
        .set("WARM_ORDERS", WARM_ORDERS)
        .set("CACHE_BYTES", CACHE_BYTES)
        .start()
        .await?;
    let mut figures = warm_up(&mut trio.query_api).await?;
    let users: Vec<String> = (0..ASKED_USERS)
        .map(|user| format!("/users/user-{user:06}"))
        .collect();
    figures.push(against_constant(&trio, "read/user", &users).await?);
    for (name, path) in ANSWERS {
        figures.push(against_constant(&trio, name, &[path.to_owned()]).await?);
    }
    figures.push(misses(&trio).await?);
    figures.push(refresh(&trio).await?);
    Ok(figures)
}

/// From the start of the process until it says that it is ready.
async fn warm_up(query_api: &mut Service) -> anyhow::Result<Vec<Figure>> {
    query_api.stop_within(PATIENCE).await?;
    let began = Instant::now();
    query_api.start()?;
    query_api.ready_within(PATIENCE).await;
    let seconds = began.elapsed().as_secs_f64();
    let peak = mebibytes(query_api.process()?.peak_resident_bytes()?);
    let answers = eventually(PATIENCE, async || {
        let metrics = query_api.metrics().await?;
        let answers = metrics.sum("query_api_cache_entries", &[]);
        ensure!(answers > 0.0, "how many is not told yet");
        anyhow::Ok(answers)
    })
    .await;
    Ok(vec![
        Figure::bound("warm-up", "s", seconds, WARM_UP_BOUND_SECONDS)
            .with_detail(format!("{answers:.0} answers in memory")),
        Figure::bound("warm-up/memory", "MiB", peak, MEMORY_BOUND_MIB),
    ])
}

/// Orders that are in no memory of ours, over look-ups by the same driver without HTTP.
async fn misses(trio: &Trio) -> anyhow::Result<Figure> {
    // The newest are in the cache.
    let client = trio.database.client().await;
    let wanted = (MISSES + LOOK_UPS) * u64::try_from(REPEATS)?;
    ensure!(
        wanted + WARM_ORDERS <= ORDERS,
        "{ORDERS} orders are too few"
    );
    let rows = client
        .query(
            "SELECT order_id FROM orders ORDER BY order_no LIMIT $1",
            &[&i64::try_from(wanted)?],
        )
        .await?;
    let ids: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let hits_before = hits(trio).await?;
    let mut pairs = Vec::new();
    for ids in ids.chunks(usize::try_from(MISSES + LOOK_UPS)?) {
        let (asked, looked_up) = ids.split_at(usize::try_from(MISSES)?);
        let paths: Vec<String> = asked.iter().map(|id| format!("/orders/{id}")).collect();
        let url = trio.query_api.url("");
        let seen = wrk::run(&url, CONNECTIONS, MISSES_RUN, Requests::Paths(&paths)).await?;
        pairs.push(Pair {
            value: seen.requests_per_second,
            baseline: look_ups(&trio.database, looked_up).await?,
        });
    }
    let hits = hits(trio).await? - hits_before;
    ensure!(
        hits == 0.0,
        "{hits} of the misses were asked for twice: they are too few for this machine"
    );
    Ok(Figure::rate("read/misses", "requests/s", &pairs, 0.7))
}

async fn hits(trio: &Trio) -> anyhow::Result<f64> {
    let metrics = trio.query_api.metrics().await?;
    Ok(metrics.sum("query_api_cache_requests_total", &[("result", "hit")]))
}

/// The same columns of one order at a time, on as many connections as the query API's.
async fn look_ups(database: &TestDatabase, ids: &[String]) -> anyhow::Result<f64> {
    let mut clients = Vec::new();
    for ids in ids.chunks(ids.len().div_ceil(POOL)) {
        let client = database.client().await;
        let statement = client.prepare(ORDER_BY_ID).await?;
        clients.push((client, statement, ids.to_vec()));
    }
    let began = Instant::now();
    let tasks: Vec<_> = clients
        .into_iter()
        .map(|(client, statement, ids)| {
            tokio::spawn(async move {
                for id in &ids {
                    client.query_one(&statement, &[id]).await?;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(rate(ids.len(), began.elapsed()))
}

/// How much of a core the query API takes while a thousand orders a second come in, and every aggregate is asked for once a
/// second.
async fn refresh(trio: &Trio) -> anyhow::Result<Figure> {
    let orders: Vec<TestOrder> = Orders::seeded(1).of_users(5_000).take(NEW_ORDERS).collect();
    let loading = trio.loading(&orders::file(&orders)?, &[NEW_ORDERS_RATE]);
    let applied = trio.applied().await?;
    trio.applied_at_least(applied + 1_000, PATIENCE).await;
    let process = trio.query_api.process()?;
    let applied = trio.applied().await?;
    let (cpu, began) = (process.cpu_time()?, Instant::now());
    while began.elapsed() < KEEPING_UP {
        for (_, path) in ANSWERS {
            trio.ask(path).await?;
        }
        tokio::time::sleep(BETWEEN_QUESTIONS).await;
    }
    let took = process.cpu_time()? - cpu;
    let percent = 100.0 * took.as_secs_f64() / began.elapsed().as_secs_f64();
    let came = u64::try_from(trio.applied().await? - applied)?;
    ensure!(
        came >= 900 * KEEPING_UP.as_secs(),
        "{came} orders came in {KEEPING_UP:?}"
    );
    loading.abort();
    Ok(Figure::bound(
        "refresh",
        "% of core",
        percent,
        CORE_BOUND_PERCENT,
    ))
}

//! How old an answer may be: from the moment an order is committed until it is in every answer, while a thousand orders a
//! second come in beside it.
//!
//! Probes have a currency of their own, so that each answer's count says exactly which of them it holds.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use lab::orders::{self, Orders, TestOrder};
use lab::{Http, Record, Trio};
use serde_json::{Value, json};
use tokio_postgres::{Client, Statement};

use crate::memory::Peaks;
use crate::report::{Figure, median, percentile};

const BOUND_MS: f64 = 250.0;
const PROBES: u64 = 150;
/// Beside the probes: `--rate` of a loader.
const RATE: &str = "--rate=1000";
const ORDERS: usize = 60_000;
const PATIENCE: Duration = Duration::from_secs(30);
/// ISO 4217's code for tests.
const CURRENCY: &str = "XTS";

/// `freshness`.
///
/// # Errors
/// Something did not run.
pub async fn of_answers(peaks: &mut Peaks) -> anyhow::Result<Vec<Figure>> {
    let trio = Trio::start().await?;
    let orders: Vec<TestOrder> = Orders::seeded(1).of_users(5_000).take(ORDERS).collect();
    let loading = trio.loading(&orders::file(&orders)?, &[RATE]);
    let client = trio.database.client().await;
    let look = client
        .prepare("SELECT 1 FROM orders WHERE order_id = $1")
        .await?;
    let publisher = trio.topic.publisher()?;
    let mut ages = Vec::new();
    for number in 1..=PROBES {
        publisher.publish(&probe(number)).await?;
        committed(&client, &look, &format!("probe-{number}")).await?;
        ages.push(until_everywhere(&trio, number).await?.as_secs_f64() * 1000.0);
    }
    ensure!(
        !loading.is_finished(),
        "the load ended before the last probe"
    );
    loading.abort();
    for service in [&trio.producer, &trio.query_api]
        .into_iter()
        .chain(&trio.consumers)
    {
        peaks.note(service)?;
    }
    let detail = format!("median {:.0}", median(ages.iter().copied()));
    Ok(vec![
        Figure::bound("freshness", "ms p99", percentile(ages, 99), BOUND_MS).with_detail(detail),
    ])
}

fn probe(number: u64) -> Record {
    let order = json!({
        "order_id": format!("probe-{number}"), "user_id": "prober", "currency": CURRENCY, "amount": "1.00",
        "created_at": "2024-01-01T00:30:00Z",
    });
    Record {
        key: Some(b"prober".to_vec()),
        value: Some(order.to_string().into_bytes()),
        ..Record::default()
    }
}

async fn committed(client: &Client, look: &Statement, order_id: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while client.query_opt(look, &[&order_id]).await?.is_none() {
        ensure!(Instant::now() < deadline, "{order_id} was not committed");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

/// A path, and whether its answer holds the probe.
type Question<'q> = (&'q str, &'q dyn Fn(&Value) -> bool);

/// From now until the last kind of answer holds the probe with this number.
async fn until_everywhere(trio: &Trio, number: u64) -> anyhow::Result<Duration> {
    let count = json!(number);
    let order = format!("/orders/probe-{number}");
    let questions: [Question<'_>; 6] = [
        (&order, &|answer| answer["order_id"].is_string()),
        ("/users/prober", &|answer| {
            answer["currencies"][0]["order_count"] == count
        }),
        ("/orders?user_id=prober&limit=1", &|answer| {
            answer["orders"][0]["order_id"] == json!(format!("probe-{number}"))
        }),
        ("/users/top?currency=XTS&by=orders", &|answer| {
            answer["users"][0]["order_count"] == count
        }),
        (
            "/sales?currency=XTS&grain=hour&from=2024-01-01&to=2024-01-02",
            &|answer| answer["buckets"][0]["order_count"] == count,
        ),
        ("/summary", &|answer| {
            let currencies = answer["currencies"].as_array().into_iter().flatten();
            currencies
                .into_iter()
                .any(|line| line["currency"] == CURRENCY && line["order_count"] == count)
        }),
    ];
    let began = Instant::now();
    for (path, holds) in questions {
        while !holds(&ask(&trio.http, &trio.query_api.url(path)).await?) {
            ensure!(
                began.elapsed() < PATIENCE,
                "{path} does not hold probe {number}"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    Ok(began.elapsed())
}

/// Not there yet is no error.
async fn ask(http: &Http, url: &str) -> anyhow::Result<Value> {
    let answer = http.get(url).await?;
    match answer.status {
        200 => answer.json(),
        404 => Ok(Value::Null),
        status => Err(anyhow::anyhow!("{status} {}", answer.text())).context(url.to_owned()),
    }
}

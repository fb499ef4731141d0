//! How long a lone order takes on a quiet system, from the broker's delivery report to its row being there for everyone: held
//! against a bare commit of one row.

use std::time::{Duration, Instant};

use anyhow::ensure;
use lab::{Record, Trio};
use tokio_postgres::{Client, Statement};

use crate::backlog::{Ids, Recipe, USERS};
use crate::memory::Peaks;
use crate::report::{Figure, median, percentile};

const ORDERS: u64 = 300;
/// A quiet system: the next order comes when the last one is long forgotten.
const PAUSE: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(10);
/// What may come on top of the bare commit, at the 99th percentile.
const ALLOWANCE_MS: f64 = 10.0;

/// `lone-order`.
///
/// # Errors
/// Something did not run.
pub async fn order(peaks: &mut Peaks) -> anyhow::Result<Vec<Figure>> {
    let trio = Trio::start().await?;
    let client = trio.database.client().await;
    client
        .batch_execute("CREATE TABLE bare (at timestamptz NOT NULL DEFAULT now())")
        .await?;
    let look = client
        .prepare("SELECT 1 FROM orders WHERE order_id = $1")
        .await?;
    let publisher = trio.topic.publisher()?;
    let recipe = Recipe {
        ids: Ids::TimeOrdered,
        items: 1,
        users: USERS,
    };
    let (mut lone, mut bare) = (Vec::new(), Vec::new());
    for number in 0..ORDERS {
        let (record, order_id) = record(recipe, number)?;
        publisher.publish(&record).await?;
        let delivered = Instant::now();
        visible(&client, &look, &order_id).await?;
        lone.push(milliseconds(delivered.elapsed()));
        tokio::time::sleep(PAUSE).await;

        let began = Instant::now();
        client
            .execute("INSERT INTO bare DEFAULT VALUES", &[])
            .await?;
        bare.push(milliseconds(began.elapsed()));
        tokio::time::sleep(PAUSE).await;
    }
    for consumer in &trio.consumers {
        peaks.note(consumer)?;
    }
    let (value, bound) = (
        percentile(lone.clone(), 99),
        percentile(bare.clone(), 99) + ALLOWANCE_MS,
    );
    let detail = format!(
        "median {:.1}, of a bare commit {:.1}",
        median(lone.into_iter()),
        median(bare.into_iter())
    );
    Ok(vec![
        Figure::bound("lone-order", "ms p99", value, bound).with_detail(detail),
    ])
}

fn record(recipe: Recipe, number: u64) -> anyhow::Result<(Record, String)> {
    let order = recipe.order(number);
    let value: serde_json::Value = serde_json::from_slice(&order.value)?;
    let order_id = value["order_id"].as_str().unwrap_or_default().to_owned();
    let record = Record {
        key: Some(order.key),
        value: Some(order.value),
        ..Record::default()
    };
    Ok((record, order_id))
}

/// Looks without a pause: a look costs a tenth of a millisecond.
async fn visible(client: &Client, look: &Statement, order_id: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while client.query_opt(look, &[&order_id]).await?.is_none() {
        ensure!(Instant::now() < deadline, "{order_id} was not applied");
    }
    Ok(())
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

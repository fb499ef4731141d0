//! How fast a consumer works a backlog off: against the same rows written by the same SQL from memory, against orders that
//! are all known already, and with millions of orders in the tables.

use std::time::{Duration, Instant};

use anyhow::ensure;
use lab::{Program, Service, TestDatabase, free_address};
use tokio_postgres::Client;

use crate::backlog::{Backlog, Ids, Recipe, USERS};
use crate::ingest::rate;
use crate::memory::Peaks;
use crate::memory_feed;
use crate::report::{Figure, Pair};

const REPEATS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two looks at the positions.
const LOOK: Duration = Duration::from_millis(10);

/// `drain/items-1` and `drain/duplicates`: the duplicates are the same backlog once more, into the same tables.
///
/// # Errors
/// Something did not run.
pub async fn one_item(orders: u64, peaks: &mut Peaks) -> anyhow::Result<Vec<Figure>> {
    let recipe = Recipe {
        ids: Ids::TimeOrdered,
        items: 1,
        users: USERS,
    };
    let backlog = Backlog::publish(recipe, orders).await?;
    let (mut drains, mut duplicates) = (Vec::new(), Vec::new());
    for round in 0..REPEATS {
        let database = lab::database().await;
        let new = drained(&database, &backlog, &format!("new-{round}"), peaks).await?;
        let again = drained(&database, &backlog, &format!("again-{round}"), peaks).await?;
        drop(database);
        let baseline = from_memory(&backlog).await?;
        drains.push(Pair {
            value: new,
            baseline,
        });
        duplicates.push(Pair {
            value: again,
            baseline: new,
        });
    }
    Ok(vec![
        Figure::rate("drain/items-1", "orders/s", &drains, 0.65),
        Figure::rate("drain/duplicates", "orders/s", &duplicates, 3.0),
    ])
}

/// `drain/items-20`.
///
/// # Errors
/// Something did not run.
pub async fn many_items(orders: u64, peaks: &mut Peaks) -> anyhow::Result<Vec<Figure>> {
    let recipe = Recipe {
        ids: Ids::TimeOrdered,
        items: 20,
        users: USERS,
    };
    let backlog = Backlog::publish(recipe, orders).await?;
    let mut pairs = Vec::new();
    for round in 0..REPEATS {
        let database = lab::database().await;
        let value = drained(&database, &backlog, &format!("many-{round}"), peaks).await?;
        drop(database);
        let baseline = from_memory(&backlog).await?;
        pairs.push(Pair { value, baseline });
    }
    let pairs: Vec<_> = pairs
        .into_iter()
        .map(|pair| Pair {
            value: pair.value * 20.0,
            baseline: pair.baseline * 20.0,
        })
        .collect();
    Ok(vec![Figure::rate(
        "drain/items-20",
        "items/s",
        &pairs,
        0.65,
    )])
}

/// `growth/…`: the same drain into tables that hold `stored` orders, over one into empty tables.
///
/// # Errors
/// Something did not run.
pub async fn growth(
    ids: Ids,
    stored: u64,
    orders: u64,
    peaks: &mut Peaks,
) -> anyhow::Result<Vec<Figure>> {
    let (name, target) = match ids {
        Ids::TimeOrdered => ("growth/time-ordered", 0.85),
        Ids::Random => ("growth/random", 0.6),
    };
    let recipe = Recipe {
        ids,
        items: 1,
        users: USERS,
    };
    let full = lab::database().await;
    memory_feed::fill(&full, recipe, stored).await?;
    let mut pairs = Vec::new();
    for round in 0..REPEATS {
        let backlog = Backlog::publish(recipe, orders).await?;
        let value = drained(&full, &backlog, &format!("full-{round}"), peaks).await?;
        let empty = lab::database().await;
        let baseline = drained(&empty, &backlog, &format!("empty-{round}"), peaks).await?;
        pairs.push(Pair { value, baseline });
        backlog.topic.delete().await?;
    }
    Ok(vec![Figure::rate(name, "orders/s", &pairs, target)])
}

async fn from_memory(backlog: &Backlog) -> anyhow::Result<f64> {
    let database = lab::database().await;
    let lanes = memory_feed::decode(backlog.topic.name(), &backlog.records);
    database.client().await.batch_execute("CHECKPOINT").await?;
    let took = memory_feed::apply(&database, backlog.topic.name(), lanes).await?;
    Ok(rate(backlog.order_count(), took))
}

/// Orders a second of a consumer process that finds the backlog, from its first commit to its last.
async fn drained(
    database: &TestDatabase,
    backlog: &Backlog,
    group: &str,
    peaks: &mut Peaks,
) -> anyhow::Result<f64> {
    let client = database.client().await;
    client.batch_execute("CHECKPOINT").await?;
    let mut consumer = consumer(database, backlog, group)?;
    let (first, began) = applied(&client, group, 1).await?;
    let (last, ended) = applied(&client, group, backlog.order_count()).await?;
    peaks.note(&consumer)?;
    let status = consumer.stop_within(PATIENCE).await?;
    ensure!(status.success(), "the consumer ended with {status}");
    Ok(rate(last - first, ended - began))
}

fn consumer(database: &TestDatabase, backlog: &Backlog, group: &str) -> anyhow::Result<Service> {
    let address = free_address();
    Program::named("consumer")
        .set("DATABASE_URL", database.url())
        .set("KAFKA_BROKERS", backlog.topic.brokers())
        .set("KAFKA_TOPIC", backlog.topic.name())
        .set("GROUP_ID", group)
        .set("CONSUMER_ADDRESS", address)
        .serve("consumer", address)
}

/// Waits until at least so many records are applied; how many that were then, and when.
async fn applied(client: &Client, group: &str, records: usize) -> anyhow::Result<(usize, Instant)> {
    const SQL: &str =
        "SELECT coalesce(sum(next_offset), 0)::bigint FROM consumer_offsets WHERE group_id = $1";
    let statement = client.prepare(SQL).await?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let count: i64 = client.query_one(&statement, &[&group]).await?.get(0);
        let count = usize::try_from(count)?;
        if count >= records {
            return Ok((count, Instant::now()));
        }
        ensure!(
            Instant::now() < deadline,
            "{count} of {records} records are applied"
        );
        tokio::time::sleep(LOOK).await;
    }
}

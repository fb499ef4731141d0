//! The consumer's transaction fed from memory: what the same SQL reaches when neither Kafka nor JSON costs anything. The
//! orders were read and decoded before the clock starts; batches are as large as a backlog makes them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use common::ids::Partition;
use consumer::batch::BatchLimits;
use consumer::config::Cli;
use consumer::decode::{Decoded, Decoder};
use consumer::position::Position;
use consumer::service;
use consumer::source::Record;
use consumer::store::{Change, Slice, Store};
use lab::{StoredRecord, TestDatabase};
use rdkafka::Timestamp;
use rdkafka::message::OwnedMessage;

use crate::backlog::{self, PARTITIONS, Recipe};

/// One partition's orders, ready to be applied.
pub struct Lane {
    partition: Partition,
    records: Vec<Record<'static>>,
    decoded: Vec<Decoded>,
}

/// Reads and decodes records, outside any measurement.
#[must_use]
pub fn decode(topic: &str, records: &[StoredRecord]) -> Vec<Lane> {
    let decoder = Decoder {
        topic: topic.to_owned(),
        default_currency: "USD".parse().expect("a currency"),
        max_future_skew: Duration::from_secs(3600),
    };
    (0..PARTITIONS)
        .map(|partition| {
            let records: Vec<Record<'static>> = records
                .iter()
                .filter(|record| record.partition == partition)
                .map(|record| owned(topic, record))
                .collect();
            let decoded = records
                .iter()
                .map(|record| decoder.decode(record))
                .collect();
            Lane {
                partition: Partition(partition),
                records,
                decoded,
            }
        })
        .collect()
}

fn owned(topic: &str, record: &StoredRecord) -> Record<'static> {
    OwnedMessage::new(
        record.value.clone(),
        record.key.clone(),
        topic.to_owned(),
        record
            .timestamp
            .map_or(Timestamp::NotAvailable, Timestamp::CreateTime),
        record.partition,
        record.offset,
        None,
    )
    .into()
}

/// The consumer's own settings, for a database and a topic.
fn store(database: &TestDatabase, topic: &str) -> anyhow::Result<(Store, usize, BatchLimits)> {
    let arguments = [
        "consumer",
        "--database-url",
        database.url(),
        "--kafka-topic",
        topic,
        "--group-id",
        "memory",
    ];
    let config = Cli::try_parse_from(arguments)?.config;
    let workers = config.pipeline.worker_count();
    Ok((
        service::connect(&config)?,
        workers,
        service::batch_limits(&config),
    ))
}

/// Applies everything, as many batches at once as the consumer has workers, and returns how long that took.
///
/// # Errors
/// The database does not take them.
pub async fn apply(
    database: &TestDatabase,
    topic: &str,
    lanes: Vec<Lane>,
) -> anyhow::Result<Duration> {
    let (store, workers, limits) = store(database, topic)?;
    let mut shares: Vec<Vec<(Lane, Position)>> = (0..workers).map(|_| Vec::new()).collect();
    for (number, lane) in lanes.into_iter().enumerate() {
        let position = store.claim(lane.partition, "bench").await?;
        shares[number % workers].push((lane, position));
    }
    let store = Arc::new(store);
    let began = Instant::now();
    let tasks: Vec<_> = shares
        .into_iter()
        .map(|share| tokio::spawn(work(Arc::clone(&store), share, limits.records)))
        .collect();
    for task in tasks {
        task.await.context("a worker")??;
    }
    Ok(began.elapsed())
}

/// Orders from memory, in parts that fit there, each on a topic name of its own: only the tables have to be full.
///
/// # Errors
/// The database does not take them.
pub async fn fill(database: &TestDatabase, recipe: Recipe, stored: u64) -> anyhow::Result<()> {
    const PART: u64 = 250_000;
    for part in 0..stored.div_ceil(PART) {
        let first = part * PART;
        let records = backlog::in_memory(recipe, first..stored.min(first + PART));
        let topic = format!("fill-{part}");
        let lanes = decode(&topic, &records);
        apply(database, &topic, lanes).await?;
    }
    let client = database.client().await;
    // What autovacuum would have done by the time five million orders are there.
    client
        .batch_execute("VACUUM (ANALYZE) orders, order_items, user_stats, sales_hourly")
        .await?;
    Ok(())
}

/// A batch of each partition in turn, as the pipeline's queue does it.
async fn work(
    store: Arc<Store>,
    mut lanes: Vec<(Lane, Position)>,
    batch_records: usize,
) -> anyhow::Result<()> {
    let mut at = 0;
    loop {
        let mut done = true;
        for (lane, position) in &mut lanes {
            let until = lane.records.len().min(at + batch_records);
            if at >= until {
                continue;
            }
            done = false;
            let slice = Slice::new(&lane.records[at..until], &lane.decoded[at..until]);
            let committed = store
                .apply(lane.partition, *position, Change::Records(slice))
                .await?;
            *position = committed.position();
        }
        if done {
            return Ok(());
        }
        at += batch_records;
    }
}

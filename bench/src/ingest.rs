//! How fast orders come in: one by one over HTTP, in batches, and from a file.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use lab::{Http, Program, Service, TestTopic, free_address, settings};
use serde_json::Value;

use crate::backlog::{HEADERS, Ids, PARTITIONS, Recipe, USERS};
use crate::memory::Peaks;
use crate::raw::{self, RawRecord};
use crate::report::{Figure, Pair};
use crate::wrk::{self, Requests};

const REPEATS: usize = 3;
/// Measured as the others are, and left out: a new broker spends its first seconds under load compiling what it runs
/// most.
const WARM_UP: usize = 2;
const CONNECTIONS: usize = 1_000;
const RUN: Duration = Duration::from_secs(8);
const PATIENCE: Duration = Duration::from_secs(60);
/// Orders in one batch, and batches under way at once.
const BATCH: usize = 5_000;
const SENDERS: usize = 4;

/// `ingest-http`: acknowledged POSTs over the same server answering after validation, without Kafka.
///
/// # Errors
/// Something did not run.
pub async fn http(peaks: &mut Peaks) -> anyhow::Result<Vec<Figure>> {
    let topic = lab::topic(PARTITIONS).await;
    let mut producer = producer(&topic).await?;
    let address = free_address();
    let mut validating = Program::named("stand-in")
        .argument("validating")
        .set("STAND_IN_ADDRESS", address)
        .serve("stand-in", address)?;
    validating.ready().await;
    let mut pairs = Vec::new();
    for round in 0..WARM_UP + REPEATS {
        let mut rates = [0.0; 2];
        for (rate, server) in rates.iter_mut().zip([&producer, &validating]) {
            let prefix = format!("r{round}");
            let requests = Requests::Orders { prefix: &prefix };
            let url = server.url("");
            *rate = wrk::run(&url, CONNECTIONS, RUN, requests)
                .await?
                .requests_per_second;
        }
        let [value, baseline] = rates;
        pairs.push(Pair { value, baseline });
    }
    peaks.note(&producer)?;
    stop(&mut producer).await?;
    stop(&mut validating).await?;
    topic.delete().await?;
    Ok(vec![Figure::rate(
        "ingest-http",
        "requests/s",
        &pairs[WARM_UP..],
        0.5,
    )])
}

/// `ingest-batch`: orders in NDJSON batches over librdkafka publishing the same bytes.
///
/// # Errors
/// Something did not run.
pub async fn batches(orders: u64, peaks: &mut Peaks) -> anyhow::Result<Vec<Figure>> {
    let mut pairs = Vec::new();
    for _ in 0..WARM_UP + REPEATS {
        let records = records(orders);
        let topic = lab::topic(PARTITIONS).await;
        let mut producer = producer(&topic).await?;
        let bodies = records.chunks(BATCH).map(ndjson).collect();
        let began = Instant::now();
        post_all(&producer, bodies).await?;
        let value = rate(records.len(), began.elapsed());
        peaks.note(&producer)?;
        stop(&mut producer).await?;
        topic.delete().await?;
        pairs.push(Pair {
            value,
            baseline: alone(records).await?,
        });
    }
    Ok(vec![Figure::rate(
        "ingest-batch",
        "orders/s",
        &pairs[WARM_UP..],
        0.5,
    )])
}

/// `load`: a file through the loader, validated and acknowledged, over librdkafka publishing the same bytes.
///
/// # Errors
/// Something did not run.
pub async fn file(orders: u64) -> anyhow::Result<Vec<Figure>> {
    let mut pairs = Vec::new();
    for _ in 0..WARM_UP + REPEATS {
        let records = records(orders);
        let file = lab::place("load").join("orders.ndjson");
        std::fs::File::create(&file)?.write_all(&ndjson(&records))?;
        let topic = lab::topic(PARTITIONS).await;
        let loaded = Program::named("loader")
            .set_all(&kafka(&topic))
            .argument("--json")
            .argument(file.to_string_lossy())
            .run()
            .await?;
        topic.delete().await?;
        std::fs::remove_file(&file)?;
        let summary: Value = serde_json::from_slice(&loaded.stdout)
            .with_context(|| String::from_utf8_lossy(&loaded.stderr).into_owned())?;
        ensure!(summary["accepted"] == orders, "{summary}");
        let seconds = summary["seconds"].as_f64().context("seconds")?;
        pairs.push(Pair {
            value: rate(records.len(), Duration::from_secs_f64(seconds)),
            baseline: alone(records).await?,
        });
    }
    Ok(vec![Figure::rate(
        "load",
        "orders/s",
        &pairs[WARM_UP..],
        0.6,
    )])
}

/// The same bytes by librdkafka alone.
async fn alone(records: Vec<RawRecord>) -> anyhow::Result<f64> {
    let (topic, count) = (lab::topic(PARTITIONS).await, records.len());
    let took = raw::publish(&topic, records, HEADERS).await?;
    topic.delete().await?;
    Ok(rate(count, took))
}

fn records(orders: u64) -> Vec<RawRecord> {
    let recipe = Recipe {
        ids: Ids::TimeOrdered,
        items: 1,
        users: USERS,
    };
    (0..orders).map(|number| recipe.order(number)).collect()
}

fn ndjson(records: &[RawRecord]) -> Vec<u8> {
    let mut lines = Vec::new();
    for record in records {
        lines.extend_from_slice(&record.value);
        lines.push(b'\n');
    }
    lines
}

/// Each sender posts its share, one batch after the other.
async fn post_all(producer: &Service, mut bodies: Vec<Vec<u8>>) -> anyhow::Result<()> {
    let url = producer.url("/orders/batch");
    let share = bodies.len().div_ceil(SENDERS).max(1);
    let mut senders = Vec::new();
    while !bodies.is_empty() {
        let mine = bodies.split_off(bodies.len().saturating_sub(share));
        let url = url.clone();
        senders.push(tokio::spawn(async move {
            let http = Http::default();
            for body in mine {
                let answer = http.post(&url, "application/x-ndjson", body).await?;
                ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
                let told = answer.json()?;
                ensure!(
                    told["rejected"] == 0 && told["retry"] == 0,
                    "some were not accepted"
                );
            }
            Ok(())
        }));
    }
    for sender in senders {
        sender.await??;
    }
    Ok(())
}

fn kafka(topic: &TestTopic) -> BTreeMap<String, String> {
    [
        ("KAFKA_BROKERS", settings::kafka()),
        ("KAFKA_TOPIC", topic.name()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

async fn producer(topic: &TestTopic) -> anyhow::Result<Service> {
    let address = free_address();
    let mut producer = Program::named("producer")
        .set_all(&kafka(topic))
        .set("PRODUCER_ADDRESS", address)
        .serve("producer", address)?;
    producer.ready().await;
    Ok(producer)
}

async fn stop(service: &mut Service) -> anyhow::Result<()> {
    let status = service.stop_within(PATIENCE).await?;
    ensure!(status.success(), "{} ended with {status}", service.name());
    Ok(())
}

pub(crate) fn rate(count: usize, took: Duration) -> f64 {
    // Far below 2⁵³.
    #[expect(clippy::cast_precision_loss, reason = "a rate shows magnitudes")]
    let count = count as f64;
    count / took.as_secs_f64()
}

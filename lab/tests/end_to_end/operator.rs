//! What an operator does, and what the other services show of it; and what an operator is shown.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use lab::orders::Orders;
use lab::{Record, Trio, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::PATIENCE;

/// The stated bound is a quarter of a second; a busy machine gets more.
const SOON: Duration = Duration::from_secs(10);

fn record(value: &Value) -> Record {
    Record {
        partition: Some(0),
        value: Some(value.to_string().into_bytes()),
        ..Record::default()
    }
}

async fn consumer(trio: &Trio, arguments: &[&str]) -> anyhow::Result<String> {
    let program = arguments
        .iter()
        .fold(trio.program("consumer"), |program, argument| {
            program.argument(*argument)
        });
    let output = program.run().await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(text)
}

#[tokio::test]
async fn a_discard_and_a_repair_are_in_every_answer() -> anyhow::Result<()> {
    let trio = Trio::plan().partitions(1).start().await?;
    let order = |id: &str| record(&json!({"order_id": id, "user_id": "u", "amount": "1.50"}));
    let rubbish = || record(&json!([]));
    trio.topic
        .publish_all(&[rubbish(), order("a"), rubbish(), rubbish()])
        .await?;
    trio.quiet(PATIENCE).await?;
    let dead_letters =
        async || anyhow::Ok(trio.ask("/summary").await?["dead_letter_count"].clone());
    assert_eq!(dead_letters().await?, 3);

    consumer(&trio, &["dead-letters", "discard", "--all", "--yes"]).await?;
    eventually(SOON, async || {
        let count = dead_letters().await?;
        ensure!(count == 0, "{count} dead letters");
        anyhow::Ok(())
    })
    .await;

    // Spoilt where nobody looks, and then touched by an order, so that the answers are wrong.
    let client = trio.database.client().await;
    let spoil = "UPDATE user_stats SET order_count = order_count + 100; UPDATE sales_hourly SET item_count = item_count + 7";
    client.batch_execute(spoil).await?;
    trio.topic.publish(&order("b")).await?;
    trio.quiet(PATIENCE).await?;
    let order_count = async || {
        let user = trio.ask("/users/u").await?;
        let count = user["currencies"][0]["order_count"].as_i64();
        count.with_context(|| user.to_string())
    };
    assert_eq!(order_count().await?, 102, "wrong, as the table is");

    let repaired = consumer(&trio, &["verify", "--repair"]).await?;
    ensure!(repaired.contains("repaired: user"), "{repaired}");
    eventually(SOON, async || {
        let count = order_count().await?;
        ensure!(count == 2, "{count} orders");
        anyhow::Ok(())
    })
    .await;
    trio.scene().assert_consistent().await
}

/// Every series of `/metrics` by its name with its labels; and the names that have a description.
async fn metrics(trio: &Trio) -> anyhow::Result<(BTreeMap<String, f64>, Vec<String>)> {
    let text = trio
        .http
        .get(&trio.consumers[0].url("/metrics"))
        .await?
        .text();
    let described = text
        .lines()
        .filter_map(|line| line.strip_prefix("# HELP "))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect();
    let series = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').context("a name and a value")?;
            Ok((name.to_owned(), value.parse()?))
        });
    Ok((series.collect::<anyhow::Result<_>>()?, described))
}

/// A record whose transaction is cut off once by its session's end.
async fn apply_at_the_second_attempt(trio: &Trio, value: &Value) -> anyhow::Result<()> {
    let holder = trio.database.client().await;
    let client = trio.database.client().await;
    holder.batch_execute("BEGIN; LOCK TABLE user_stats").await?;
    trio.topic.publish(&record(value)).await?;
    eventually(PATIENCE, async || {
        let ended = client
            .query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                  WHERE datname = current_database() AND application_name LIKE 'tally-consumer/%'
                    AND wait_event_type = 'Lock'",
                &[],
            )
            .await?;
        ensure!(!ended.is_empty(), "the consumer does not wait for the lock");
        anyhow::Ok(())
    })
    .await;
    holder.batch_execute("ROLLBACK").await?;
    trio.quiet(PATIENCE).await
}

#[tokio::test]
async fn every_described_path_is_counted_as_itself() -> anyhow::Result<()> {
    const COUNT: &str = "http_request_duration_seconds_count";
    let trio = Trio::start().await?;
    for service in [&trio.producer, &trio.query_api] {
        let described = trio.http.json(&service.url("/openapi.json")).await?;
        let paths = described["paths"].as_object().context("paths")?;
        ensure!(paths.len() > 3, "{paths:?}");
        for (path, methods) in paths {
            let method = if methods.get("get").is_some() {
                Method::HEAD
            } else {
                Method::POST
            };
            let asked = path.replace(['{', '}'], "");
            trio.http.request(method, &service.url(&asked), &[]).await?;
        }
        trio.http.get(&service.url("/nothing/there")).await?;
        let metrics = service.metrics().await?;
        for path in paths.keys() {
            let counted = metrics.sum(COUNT, &[("route", path)]);
            ensure!(counted > 0.0, "{path} of {}", service.name());
        }
        assert_eq!(metrics.sum(COUNT, &[("route", "none")]), 1.0);
    }
    Ok(())
}

#[tokio::test]
async fn metrics_tell_what_happened_and_no_record_has_a_line_in_the_log() -> anyhow::Result<()> {
    let trio = Trio::plan().partitions(1).start().await?;
    let client = trio.database.client().await;
    client
        .batch_execute("ALTER TABLE orders ADD CHECK (track_number <> 'refused')")
        .await?;
    let mut orders = Orders::seeded(32).map(|order| order.body);
    let mut next = || orders.next().context("orders are endless");
    let good = next()?;
    let (mut conflict, mut refused) = (good.clone(), next()?);
    conflict["note"] = json!("other content");
    refused["track_number"] = json!("refused");
    let nothing = Record {
        value: None,
        ..record(&json!(null))
    };
    let invalid = json!({"user_id": "u"});
    let records = [&good, &good, &conflict, &refused, &invalid].map(record);
    trio.topic.publish_all(&records).await?;
    trio.topic.publish(&nothing).await?;
    trio.quiet(PATIENCE).await?;
    apply_at_the_second_attempt(&trio, &next()?).await?;

    // Not the pool's: it finds the ends of connections when it comes to use them.
    let own_lines = |log: &str| log.matches(" consumer::").count();
    let lines = own_lines(&trio.consumers[0].log());
    let many: Vec<Record> = (0..500)
        .map(|_| Ok(record(&next()?)))
        .collect::<anyhow::Result<_>>()?;
    trio.topic.publish_all(&many).await?;
    trio.quiet(PATIENCE).await?;
    let log = trio.consumers[0].log();
    assert_eq!(own_lines(&log), lines, "{log}");
    for change in [
        "assigned",
        "claimed",
        "trying until it can",
        "applied after all",
    ] {
        assert_eq!(log.matches(change).count(), 1, "{change}\n{log}");
    }
    // Under a name of its own: as a second `message` it would hide the first from whoever reads JSON.
    let mut trouble = log
        .lines()
        .filter(|line| line.contains("trying until it can"));
    assert!(trouble.all(|line| line.contains(" error=")), "{log}");

    // What librdkafka says of a partition comes once a second.
    let told = async || {
        let (series, _) = metrics(&trio).await?;
        let lag = series.get("consumer_lag_records{partition=\"0\"}");
        let fetched = series.get("consumer_fetched_bytes_total{partition=\"0\"}");
        ensure!(
            lag == Some(&0.0) && fetched > Some(&50_000.0),
            "{series:#?}"
        );
        anyhow::Ok(())
    };
    eventually(PATIENCE, told).await;

    // Somebody else's claim fences the next batch.
    client
        .batch_execute("UPDATE consumer_offsets SET epoch = epoch + 1")
        .await?;
    trio.topic.publish(&record(&next()?)).await?;
    let fenced = async || {
        let (series, _) = metrics(&trio).await?;
        ensure!(
            series.get("consumer_fenced_total") == Some(&1.0),
            "{series:#?}"
        );
        anyhow::Ok(())
    };
    eventually(PATIENCE, fenced).await;

    let (series, described) = metrics(&trio).await?;
    let value = |name: &str| {
        let value = series.get(name).copied();
        value.with_context(|| format!("{name} is missing in {series:#?}"))
    };
    for (name, expected) in [
        (
            "consumer_outcomes_total{outcome=\"new\",partition=\"0\"}",
            502.0,
        ),
        (
            "consumer_outcomes_total{outcome=\"duplicate\",partition=\"0\"}",
            1.0,
        ),
        (
            "consumer_outcomes_total{outcome=\"conflict\",partition=\"0\"}",
            1.0,
        ),
        (
            "consumer_outcomes_total{outcome=\"refused\",partition=\"0\"}",
            1.0,
        ),
        (
            "consumer_outcomes_total{outcome=\"invalid\",partition=\"0\"}",
            1.0,
        ),
        (
            "consumer_outcomes_total{outcome=\"undecodable\",partition=\"0\"}",
            1.0,
        ),
        ("consumer_batch_records_sum", 507.0),
        ("consumer_retries_total{cause=\"shutdown\"}", 1.0),
        ("consumer_rebalances_total{kind=\"assigned\"}", 1.0),
        ("consumer_rebalances_total{kind=\"revoked\"}", 0.0),
        ("consumer_rebalances_total{kind=\"lost\"}", 0.0),
        ("consumer_stopped_partitions", 0.0),
        ("consumer_buffer_limit_bytes", 50_331_648.0),
    ] {
        assert_eq!(
            value(name)?.to_bits(),
            f64::to_bits(expected),
            "{name} {}",
            value(name)?
        );
    }
    let batches = value("consumer_batch_records_count")?;
    assert!((3.0..=507.0).contains(&batches), "{batches}");
    assert_eq!(
        value("consumer_batch_duration_seconds_count")?.to_bits(),
        batches.to_bits()
    );
    assert!(value("consumer_batch_duration_seconds_sum")? > 0.0);
    assert!(value("consumer_buffered_bytes{partition=\"0\"}")? < 50_331_648.0);
    assert!((0.0..=1.0).contains(&value("consumer_lag_records{partition=\"0\"}")?));
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
    let age = now - value("consumer_last_commit_timestamp_seconds{partition=\"0\"}")?;
    assert!((0.0..60.0).contains(&age), "{age} s since the last commit");
    let ours = series.keys().filter(|name| name.starts_with("consumer_"));
    for name in ours {
        let bare = name.split('{').next().unwrap_or(name);
        let base = ["_sum", "_count", "_bucket"]
            .iter()
            .find_map(|part| bare.strip_suffix(part))
            .unwrap_or(bare);
        let is_described = described.iter().any(|known| known == base || known == bare);
        assert!(is_described, "{name} has no description");
    }
    Ok(())
}

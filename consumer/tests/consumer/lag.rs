//! Lag is what the broker said last, with the time at which it said so, whatever stands still.

use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;
use common::ids::{NextOffset, Partition};
use common::time::Timestamp;
use consumer::config::Cli;
use consumer::source::{EndOffset, EndReader};
use lab::orders::{Orders, TestOrder};
use lab::{Group, Http, OwnKafka, Record, Service, eventually};
use tokio_postgres::Client;

use crate::support::{PATIENCE, Setup, stopped};

/// What `consumer offsets show` takes for fresh, in seconds.
const FRESH: f64 = 5.0;

/// The end of partition 0 as it is recorded, and how many seconds ago the broker told it.
async fn progress(client: &Client) -> anyhow::Result<(i64, f64)> {
    const SQL: &str = "SELECT end_offset, extract(epoch FROM clock_timestamp() - read_at)::float8 FROM consumer_progress WHERE partition = 0";
    let row = client.query_opt(SQL, &[]).await?;
    let row = row.context("no end was recorded")?;
    Ok((row.get(0), row.get(1)))
}

/// Waits until partition 0 is said to end at `end` and to lag by `lag`, freshly, by the tables, the metrics and the health.
async fn lags(client: &Client, member: &Service, end: i64, lag: i64) {
    let url = member.url("/health");
    eventually(PATIENCE, async || {
        let (recorded, age) = progress(client).await?;
        ensure!(recorded == end && age < FRESH, "{recorded}, {age} s ago");
        let measured = member
            .metrics()
            .await?
            .sum("consumer_lag_records", &[("partition", "0")]);
        ensure!(measured == lag as f64, "a lag of {measured}");
        let health = Http::default().get(&url).await?.json()?;
        let lane = &health["partitions"][0];
        ensure!(lane["end_offset"] == end && lane["lag"] == lag, "{lane}");
        let read_at = lane["read_at"].as_str().context("read_at")?;
        let age = Timestamp::now().since(Timestamp::parse(read_at)?);
        ensure!(age.as_secs_f64() < FRESH, "{age:?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn the_lag_grows_while_the_tables_are_locked_and_nothing_more_is_fetched()
-> anyhow::Result<()> {
    let group = Group::new(1).await;
    let mut orders = Orders::seeded(64).of_users(20);
    let mut publish = async |count: usize| {
        let orders: Vec<TestOrder> = orders.by_ref().take(count).collect();
        group.publish(&orders).await?;
        anyhow::Ok(orders)
    };
    // The smallest buffer: far fewer records than follow.
    let small = [("BUFFER_BYTES", "1048576"), ("BATCH_RECORDS", "10")];
    let mut member = group.member("consumer", &small)?;
    member.ready().await;
    let mut published = publish(1).await?;
    group.quiet(PATIENCE).await?;

    let client = group.database.client().await;
    let mut holder = group.database.client().await;
    let lock = holder.transaction().await?;
    lock.batch_execute("LOCK TABLE orders").await?;
    published.extend(publish(4_000).await?);
    lags(&client, &member, 4_001, 4_000).await;
    for more in 1..=2 {
        published.extend(publish(100).await?);
        lags(&client, &member, 4_001 + 100 * more, 4_000 + 100 * more).await;
    }
    lock.rollback().await?;
    group.assert_exact(published, PATIENCE).await?;
    lags(&client, &member, 4_201, 0).await;
    Ok(())
}

#[tokio::test]
async fn the_lag_of_a_stopped_partition_grows() -> anyhow::Result<()> {
    let group = Group::new(1).await;
    let poison = Record {
        value: Some(b"poison".to_vec()),
        ..Record::default()
    };
    group.topic.publish_all(&vec![poison.clone(); 3]).await?;
    let member = group.member("consumer", &[("MAX_CONSECUTIVE_POISON", "3")])?;
    stopped(&member, 0).await;
    let client = group.database.client().await;
    lags(&client, &member, 3, 0).await;
    for more in 1..=2 {
        group.topic.publish_all(&vec![poison.clone(); 50]).await?;
        lags(&client, &member, 3 + 50 * more, 50 * more).await;
    }
    Ok(())
}

#[tokio::test]
async fn while_the_broker_is_away_the_lag_grows_old_and_once_it_is_back_it_is_fresh()
-> anyhow::Result<()> {
    let broker = OwnKafka::start(&[]).await?;
    let group = Group::on(lab::database().await, broker.topic(1).await).await;
    let orders: Vec<TestOrder> = Orders::seeded(65).take(20).collect();
    group.publish(&orders[..10]).await?;
    let member = group.member("consumer", &[])?;
    let client = group.database.client().await;
    lags(&client, &member, 10, 0).await;

    broker.kill().await?;
    eventually(PATIENCE, async || {
        let (end, age) = progress(&client).await?;
        ensure!(end == 10 && age > FRESH, "{end}, {age} s ago");
        Ok(())
    })
    .await;
    let read = member
        .metrics()
        .await?
        .sum("consumer_lag_timestamp_seconds", &[("partition", "0")]);
    let now = Timestamp::now().since(Timestamp::EPOCH).as_secs_f64();
    ensure!(now - read > FRESH, "read at {read}, now it is {now}");

    broker.start_again().await?;
    group.publish(&orders[10..]).await?;
    lags(&client, &member, 20, 0).await;
    group.assert_exact(orders, PATIENCE).await
}

#[tokio::test]
async fn an_end_keeps_its_age_and_one_that_a_former_owner_tells_is_not_recorded()
-> anyhow::Result<()> {
    const AGE: Duration = Duration::from_secs(60);
    let setup = Setup::new(1).await;
    let (store, partition) = (setup.store(), Partition(0));
    let former = store.claim(partition, "former").await?;
    let owner = store.claim(partition, "owner").await?;
    let now = Timestamp::now();
    let end = |offset, age: Duration| EndOffset {
        offset: NextOffset(offset),
        read_at: Timestamp::EPOCH.saturating_add(now.since(Timestamp::EPOCH) - age),
    };
    store
        .record_progress(&[(partition, owner.epoch, end(10, AGE))])
        .await?;
    store
        .record_progress(&[(partition, former.epoch, end(4, Duration::ZERO))])
        .await?;
    let (recorded, age) = progress(&setup.client).await?;
    assert_eq!(recorded, 10);
    let expected = AGE.as_secs_f64()..(AGE + PATIENCE).as_secs_f64();
    assert!(expected.contains(&age), "{age} s ago");
    Ok(())
}

/// librdkafka answers for all of them or for none.
#[tokio::test]
async fn a_partition_that_nobody_answers_for_takes_no_others_answer_away() -> anyhow::Result<()> {
    let topic = lab::topic(2).await;
    let orders: Vec<TestOrder> = Orders::seeded(68).take(10).collect();
    let records: Vec<Record> = orders.iter().map(Record::of).collect();
    topic.publish_all(&records).await?;
    let arguments = [
        "consumer",
        "--kafka-brokers",
        topic.brokers(),
        "--kafka-topic",
        topic.name(),
    ];
    let settings = Cli::try_parse_from(arguments)?.config.kafka_settings(2);
    let reader = EndReader::new(&settings)?;
    let ends = reader.read([0, 99, 1].map(Partition).to_vec()).await?;
    let offsets: Vec<_> = ends
        .iter()
        .map(|(partition, end)| (partition.0, end.offset.0))
        .collect();
    ensure!(
        offsets.iter().map(|(partition, _)| *partition).eq([0, 1]),
        "{offsets:?}"
    );
    ensure!(
        offsets.iter().map(|(_, end)| end).sum::<i64>() == 10,
        "{offsets:?}"
    );
    Ok(())
}

//! A database that answers and lets nobody write.

use anyhow::ensure;
use lab::Group;
use lab::orders::{Orders, TestOrder};
use serde_json::Value;

use super::{A_MINUTE, PATIENCE, load};

/// Far more than may be buffered: 4 KiB each.
const BACKLOG: usize = 30_000;
const PADDING: usize = 3_500;
const MAX_RESIDENT_BYTES: u64 = 256 * 1024 * 1024;
/// Bytes fetched for each byte of the topic.
const MOST_FETCHED: f64 = 1.1;
const RECORDS_PER_SECOND: usize = 100;

#[tokio::test]
async fn a_minute_of_locked_tables_under_full_load_costs_neither_membership_nor_memory_nor_traffic()
-> anyhow::Result<()> {
    let group = Group::new(6).await;
    let mut orders: Vec<TestOrder> = Orders::seeded(96).of_users(500).take(BACKLOG).collect();
    for order in &mut orders {
        order.body["padding"] = Value::from("x".repeat(PADDING));
    }
    let during = usize::try_from(A_MINUTE.as_secs())? * RECORDS_PER_SECOND;
    let (backlog, during) = orders.split_at(BACKLOG - during);
    group.publish(backlog).await?;
    let mut member = group.member("consumer", &[])?;
    member.ready().await;
    group.applied_at_least(1_000, PATIENCE).await;
    let rebalances = async || {
        let metrics = member.metrics().await?;
        anyhow::Ok(metrics.sum("consumer_rebalances_total", &[]))
    };
    let before = rebalances().await?;

    let mut client = group.database.client().await;
    let lock = client.transaction().await?;
    lock.batch_execute("LOCK TABLE orders").await?;
    let applied = group.applied().await?;
    ensure!(
        applied < i64::try_from(backlog.len())?,
        "the lock came after the load"
    );
    let loading = load(&group, during, RECORDS_PER_SECOND);
    tokio::time::sleep(A_MINUTE).await;
    ensure!(group.applied().await? == applied, "nothing can be applied");
    lock.rollback().await?;

    loading.await??;
    group.assert_exact(orders, PATIENCE).await?;
    let after = rebalances().await?;
    ensure!(after == before, "{before} rebalances before, {after} after");
    let metrics = member.metrics().await?;
    ensure!(
        metrics.sum("consumer_retries_total", &[("cause", "lock_timeout")]) > 0.0,
        "an attempt gives up and is made again"
    );
    let peak = member.process()?.peak_resident_bytes()?;
    println!("at most {} MiB were resident", peak / (1024 * 1024));
    ensure!(peak < MAX_RESIDENT_BYTES, "{peak} bytes were resident");

    let length = |part: &Option<Vec<u8>>| part.as_ref().map_or(0, Vec::len);
    let records = group.topic.records().await?;
    let bytes: usize = records
        .iter()
        .map(|record| length(&record.key) + length(&record.value))
        .sum();
    let fetched = metrics.sum("consumer_fetched_bytes_total", &[]) / bytes as f64;
    println!("{fetched:.3} bytes were fetched for each of {bytes}");
    ensure!((0.9..=MOST_FETCHED).contains(&fetched), "{fetched}");
    Ok(())
}

//! A member that is killed, with the whole trio around it.

use std::time::{Duration, Instant};

use anyhow::ensure;
use lab::check::Expected;
use lab::orders::{self, Orders, TestOrder};
use lab::{Record, Trio, eventually};

use crate::{PATIENCE, alone};

/// A member is given up after 6 s of silence; its partitions have to be at work again within this.
const TAKEOVER: Duration = Duration::from_secs(8);

/// The partitions that each owner in the database has claimed.
async fn owners(trio: &Trio) -> anyhow::Result<Vec<(i32, String)>> {
    let client = trio.database.client().await;
    let rows = client
        .query(
            "SELECT partition, owner FROM consumer_offsets ORDER BY partition",
            &[],
        )
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

#[tokio::test]
async fn the_partitions_of_a_killed_consumer_are_taken_over_within_8_seconds() -> anyhow::Result<()>
{
    let _alone = alone().await;
    let mut trio = Trio::plan().consumers(2).start().await?;
    let orders: Vec<TestOrder> = Orders::seeded(41).of_users(200).take(6_000).collect();
    eventually(PATIENCE, async || {
        let owners = owners(&trio).await?;
        let different: std::collections::BTreeSet<&String> =
            owners.iter().map(|(_, owner)| owner).collect();
        ensure!(
            owners.len() == 6 && different.len() == 2,
            "the partitions are not shared yet: {owners:?}"
        );
        Ok::<_, anyhow::Error>(())
    })
    .await;

    let file = orders::file(&orders)?;
    let loading = trio.loading(&file, &["--rate=2000"]);
    trio.applied_at_least(1_000, PATIENCE).await;
    trio.consumers[0].kill().await?;
    let killed = Instant::now();
    loading.await??.accepted_all(orders.len())?;
    let probes: Vec<TestOrder> = Orders::seeded(42).take(6).collect();
    let records: Vec<Record> = (0..)
        .zip(&probes)
        .map(|(partition, order)| Record::of(order).to(partition))
        .collect();
    trio.topic.publish_all(&records).await?;
    trio.quiet(PATIENCE).await?;
    let taken_over = killed.elapsed();
    println!(
        "everything was applied {:.1} s after the kill",
        taken_over.as_secs_f64()
    );
    ensure!(taken_over < TAKEOVER, "that took {taken_over:?}");

    trio.scene()
        .assert_clean(&Expected::acknowledged(orders.into_iter().chain(probes)))
        .await
}

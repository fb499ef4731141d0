//! Who may write: members that lose a partition, while they know it and while they do not.

use anyhow::ensure;
use lab::orders::{Orders, TestOrder};
use lab::process::Signal;
use lab::{Group, Proxy, Record, eventually};

use crate::support::{PATIENCE, Setup, assert_exact};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_claim_by_somebody_else_fences_the_owner_which_claims_again() {
    let setup = Setup::new(1).await;
    setup.publish_orders(0..10).await;
    let member = setup.member(&[]);
    setup.applied().await;
    setup
        .rows("UPDATE consumer_offsets SET epoch = epoch + 1, owner = 'late' RETURNING 1")
        .await;
    setup.publish_orders(10..20).await;
    setup.applied().await;
    assert_exact(&setup, 20).await;
    assert_eq!(setup.count("SELECT epoch FROM consumer_offsets").await, 3);
    member.stop().await;
}

#[tokio::test]
async fn a_member_resumed_after_its_partitions_were_taken_over_writes_nothing_and_joins_again()
-> anyhow::Result<()> {
    let group = Group::new(4).await;
    let proxy = Proxy::start(group.database.server_address()).await;
    let url = group.database.url_through(proxy.address());
    let zombie = [("DATABASE_URL", &*url), ("WORKERS", "1")];
    let mut zombie = group.member("zombie", &zombie)?;
    zombie.ready().await;
    let mut heir = group.member("heir", &[])?;
    heir.ready().await;
    group.shared_by(&[&zombie, &heir], PATIENCE).await;

    // It has taken a batch and is about to begin its transaction.
    proxy.hold_at(b"START TRANSACTION", 1);
    let mut orders = Orders::seeded(71).of_users(100);
    let mut published: Vec<TestOrder> = orders.by_ref().take(400).collect();
    group.publish(&published).await?;
    tokio::time::timeout(PATIENCE, proxy.held(1)).await?;
    zombie.signal(Signal::STOP)?;
    group.shared_by(&[&heir], PATIENCE).await;
    group.quiet(PATIENCE).await?;
    let batches = async || {
        let positions = group.positions().await?;
        anyhow::Ok(positions.values().map(|held| held.batch_no).sum::<i64>())
    };
    let before = batches().await?;

    proxy.pass();
    zombie.signal(Signal::CONT)?;
    eventually(PATIENCE, async || {
        let fenced = zombie.metrics().await?.sum("consumer_fenced_total", &[]);
        ensure!(fenced >= 1.0, "it was not fenced");
        Ok(())
    })
    .await;
    group.shared_by(&[&zombie, &heir], PATIENCE).await;
    ensure!(batches().await? == before, "the zombie has written");

    let more: Vec<TestOrder> = orders.take(400).collect();
    group.publish(&more).await?;
    published.extend(more);
    group.assert_exact(published, PATIENCE).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_members_share_the_partitions_and_hand_them_over_while_batches_are_in_flight()
-> anyhow::Result<()> {
    const PARTITIONS: i32 = 6;
    const ORDERS: usize = 6_000;
    const PER_SECOND: usize = 400;
    let group = Group::new(PARTITIONS).await;
    let small = [("BATCH_RECORDS", "5")];
    let mut first = group.member("first", &small)?;
    first.ready().await;
    group.shared_by(&[&first], PATIENCE).await;
    let orders: Vec<TestOrder> = Orders::seeded(72).of_users(100).take(ORDERS).collect();
    let records: Vec<Record> = orders.iter().map(Record::of).collect();
    let topic = group.topic.clone();
    let loading = tokio::spawn(async move { topic.publish_at(&records, PER_SECOND).await });
    group.applied_at_least(1, PATIENCE).await;

    // Half of them change hands, then those of the first as well, each time under load.
    let mut second = group.member("second", &small)?;
    group.shared_by(&[&first, &second], PATIENCE).await;
    let between = group.applied().await?;
    ensure!(!loading.is_finished(), "the second came after the load");
    let status = first.stop_within(PATIENCE).await?;
    ensure!(status.success(), "{status}");
    group.shared_by(&[&second], PATIENCE).await;
    ensure!(!loading.is_finished(), "the first went after the load");
    group.applied_at_least(between + 1, PATIENCE).await;

    loading.await??;
    group.assert_exact(orders, PATIENCE).await?;
    let status = second.stop_within(PATIENCE).await?;
    ensure!(status.success(), "{status}");
    let positions = group.positions().await?;
    let claims: i64 = positions.values().map(|held| held.epoch).sum();
    // Each was claimed by the first, and then once by the second.
    ensure!(claims >= 2 * i64::from(PARTITIONS), "{positions:?}");
    Ok(())
}

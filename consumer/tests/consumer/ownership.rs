//! Who may write: members that lose a partition, while they know it and while they do not.

use anyhow::ensure;
use lab::orders::{Orders, TestOrder};
use lab::process::Signal;
use lab::{Group, Proxy, eventually};

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
async fn two_members_share_the_partitions_and_hand_them_over_while_batches_are_in_flight() {
    let setup = Setup::new(6).await;
    setup.publish_orders(0..600).await;
    let small = &["--batch-records", "5"];
    let first = setup.member(small);
    let second = setup.member(small);
    lab::eventually(PATIENCE, async || {
        let owners = setup
            .count("SELECT count(DISTINCT epoch) FROM consumer_offsets")
            .await;
        if owners > 0 {
            Ok(())
        } else {
            Err("nobody has claimed a partition")
        }
    })
    .await;
    setup.publish_orders(600..900).await;
    first.stop().await;
    setup.applied().await;
    second.stop().await;
    assert_exact(&setup, 900).await;
}

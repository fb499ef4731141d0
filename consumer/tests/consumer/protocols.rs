//! The ways in which a group can agree, on the real broker.

use std::collections::BTreeMap;

use anyhow::ensure;
use lab::orders::{Orders, TestOrder};
use lab::{Group, Record, Service, eventually};

use crate::support::PATIENCE;

/// Orders that are published while the test goes on.
fn load(
    group: &Group,
    orders: &[TestOrder],
    per_second: usize,
) -> tokio::task::JoinHandle<anyhow::Result<()>> {
    let records: Vec<Record> = orders.iter().map(Record::of).collect();
    let topic = group.topic.clone();
    tokio::spawn(async move { topic.publish_at(&records, per_second).await.map(drop) })
}

async fn rebalances(member: &Service) -> anyhow::Result<f64> {
    let metrics = member.metrics().await?;
    Ok(metrics.sum("consumer_rebalances_total", &[]))
}

#[tokio::test]
async fn kip_848_members_start_at_the_databases_offsets_and_hand_over_exactly() -> anyhow::Result<()>
{
    let group = Group::new(4).await;
    let orders: Vec<TestOrder> = Orders::seeded(91).of_users(100).take(3_000).collect();
    let (before, meanwhile) = orders.split_at(600);
    group.publish(before).await?;
    // Whoever started here would skip some.
    group.topic.commit(&group.name, &[Some(50); 4]).await?;
    let settings = [("GROUP_PROTOCOL", "consumer"), ("BATCH_RECORDS", "50")];
    let mut first = group.member("first", &settings)?;
    group.quiet(PATIENCE).await?;

    let loading = load(&group, meanwhile, 150);
    let mut second = group.member("second", &settings)?;
    group.shared_by(&[&first, &second], PATIENCE).await;
    let status = first.stop_within(PATIENCE).await?;
    ensure!(status.success(), "{status}");
    group.shared_by(&[&second], PATIENCE).await;
    loading.await??;
    group.assert_exact(orders, PATIENCE).await?;
    let status = second.stop_within(PATIENCE).await?;
    ensure!(status.success(), "{status}");
    let committed = group.topic.committed(&group.name).await?;
    let committed: i64 = committed.into_iter().flatten().sum();
    ensure!(committed == group.applied().await?, "{committed}");
    Ok(())
}

#[tokio::test]
async fn a_static_member_restarted_within_its_session_moves_no_partition() -> anyhow::Result<()> {
    let group = Group::new(4).await;
    let mut first = group.member("first", &[("INSTANCE_ID", "first")])?;
    let mut second = group.member("second", &[("INSTANCE_ID", "second")])?;
    first.ready().await;
    second.ready().await;
    group.shared_by(&[&first, &second], PATIENCE).await;
    let epochs = async |partitions: &[i32]| {
        let positions = group.positions().await?;
        let epoch = |partition: &i32| (*partition, positions[partition].epoch);
        anyhow::Ok(partitions.iter().map(epoch).collect::<BTreeMap<_, _>>())
    };
    let (firsts, seconds) = (group.held_by(&first).await?, group.held_by(&second).await?);
    let (undisturbed, counted) = (epochs(&seconds).await?, rebalances(&second).await?);

    let orders: Vec<TestOrder> = Orders::seeded(92).of_users(100).take(2_000).collect();
    let loading = load(&group, &orders, 500);
    group.applied_at_least(100, PATIENCE).await;
    let status = first.stop_within(PATIENCE).await?;
    ensure!(status.success(), "{status}");
    first.start()?;
    eventually(PATIENCE, async || {
        let held = group.held_by(&first).await?;
        ensure!(held == firsts, "{firsts:?} were its, now {held:?}");
        Ok(())
    })
    .await;
    group.applied_at_least(1_000, PATIENCE).await;
    first.kill().await?;
    first.start()?;
    loading.await??;
    group.assert_exact(orders, PATIENCE).await?;

    ensure!(
        group.held_by(&first).await? == firsts,
        "it has its own again"
    );
    ensure!(
        epochs(&seconds).await? == undisturbed,
        "nobody claimed the other's"
    );
    ensure!(
        rebalances(&second).await? == counted,
        "the other was told nothing"
    );
    Ok(())
}

#[tokio::test]
async fn of_two_members_with_one_instance_id_the_older_ends_and_says_so() -> anyhow::Result<()> {
    let group = Group::new(2).await;
    let settings = [("INSTANCE_ID", "only-one")];
    let mut older = group.member("older", &settings)?;
    older.ready().await;
    let mut younger = group.member("younger", &settings)?;
    let status = older.ended_within(PATIENCE).await?;
    ensure!(!status.success(), "{status}");
    ensure!(older.log().contains("nstance"), "{}", older.log());
    let orders: Vec<TestOrder> = Orders::seeded(93).take(50).collect();
    group.publish(&orders).await?;
    younger.ready().await;
    group.assert_exact(orders, PATIENCE).await
}

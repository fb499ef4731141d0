//! Members that are asked to stop: nobody waits for a session to end.

use std::time::{Duration, Instant};

use anyhow::ensure;
use lab::Group;
use lab::process::Signal;

use crate::{Busy, PATIENCE, alone, two_members};

/// From asking a member to stop until its partitions are at work elsewhere.
const HANDED_OVER: Duration = Duration::from_secs(1);
/// From asking a static member to stop, over its new start, until its partitions are at work again.
const RESTARTED: Duration = Duration::from_secs(2);

#[tokio::test]
async fn the_partitions_of_a_member_asked_to_stop_are_at_work_elsewhere_within_a_second()
-> anyhow::Result<()> {
    let _alone = alone().await;
    let group = Group::new(6).await;
    let (mut first, second) = two_members(&group, [&[], &[]]).await?;
    let (firsts, seconds) = (group.held_by(&first).await?, group.held_by(&second).await?);
    let busy = Busy::begin(group, 51, 5).await;
    busy.group.applied_at_least(1_000, PATIENCE).await;

    let asked = Instant::now();
    first.signal(Signal::TERM)?;
    let took = busy.moved_on(&firsts, asked, &second).await;
    println!("{firsts:?} were at work elsewhere after {took:?}");
    busy.undisturbed(&seconds, asked)?;
    let status = first.ended_within(PATIENCE).await?;
    ensure!(status.success(), "{status}");
    busy.assert_exact().await?;
    ensure!(took < HANDED_OVER, "that took {took:?}");
    Ok(())
}

#[tokio::test]
async fn the_partitions_of_a_static_member_are_at_work_again_within_two_seconds_of_a_restart()
-> anyhow::Result<()> {
    let _alone = alone().await;
    let group = Group::new(6).await;
    let instances: [&[_]; 2] = [&[("INSTANCE_ID", "first")], &[("INSTANCE_ID", "second")]];
    let (mut first, second) = two_members(&group, instances).await?;
    let (firsts, seconds) = (group.held_by(&first).await?, group.held_by(&second).await?);
    let busy = Busy::begin(group, 52, 6).await;
    busy.group.applied_at_least(1_000, PATIENCE).await;

    let asked = Instant::now();
    let status = first.stop_within(PATIENCE).await?;
    ensure!(status.success(), "{status}");
    first.start()?;
    let took = busy.moved_on(&firsts, asked, &first).await;
    println!("{firsts:?} were at work again after {took:?}");
    busy.undisturbed(&seconds, asked)?;
    busy.assert_exact().await?;
    ensure!(took < RESTARTED, "that took {took:?}");
    Ok(())
}

//! A member that joins while batches are in flight: what stays where it is does not wait.

use std::time::Instant;

use anyhow::{Context, ensure};
use lab::{Group, eventually};

use crate::{Busy, PATIENCE, alone, two_members};

#[tokio::test]
async fn a_batch_in_flight_when_its_partition_is_revoked_holds_up_no_partition_that_stays()
-> anyhow::Result<()> {
    let _alone = alone().await;
    let group = Group::new(6).await;
    // Which partitions move when a second member joins is decided by who leads the group: the same at each time.
    let (first, mut rehearsal) = two_members(&group, [&[("WORKERS", "2")], &[]]).await?;
    let moving = group.held_by(&rehearsal).await?;
    rehearsal.stop_within(PATIENCE).await?;
    group.shared_by(&[&first], PATIENCE).await;
    let busy = Busy::begin(group, 54, 12).await;
    busy.group.applied_at_least(1_000, PATIENCE).await;

    // The next batch of this partition waits for its row in the middle of its transaction.
    let held = *moving.first().context("some partitions move")?;
    let mut client = busy.group.database.client().await;
    let lock = client.transaction().await?;
    let row = "SELECT FROM consumer_offsets WHERE partition = $1 FOR UPDATE";
    lock.query_one(row, &[&held]).await?;
    let mut second = busy.group.member("second", &[])?;
    let since = Instant::now();
    // The revocation has waited for that batch as long as it may, and the new member has what else was to move.
    eventually(PATIENCE, async || {
        ensure!(
            first.log().contains("batches did not finish in time"),
            "no revocation has waited for a batch in flight"
        );
        let moved = busy.group.held_by(&second).await?;
        ensure!(moved.len() + 1 == moving.len(), "only {moved:?} have moved");
        Ok(())
    })
    .await;
    let stayed = busy.group.held_by(&first).await?;
    let stayed: Vec<i32> = stayed.into_iter().filter(|one| *one != held).collect();
    ensure!(stayed.len() >= 2, "{stayed:?} stayed");
    busy.undisturbed(&stayed, since)?;
    lock.rollback().await?;

    busy.moved_on(&[held], since, &second).await;
    busy.group.shared_by(&[&first, &second], PATIENCE).await;
    second.ready().await;
    busy.assert_exact().await
}

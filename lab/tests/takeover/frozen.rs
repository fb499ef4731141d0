//! A member that hangs in the middle of a transaction, and holds its locks.

use std::time::{Duration, Instant};

use lab::process::Signal;
use lab::{Group, Proxy, eventually};

use crate::{Busy, PATIENCE, alone, two_members};
use anyhow::ensure;

/// Its session ends after 6 s of silence, and its backend is ended a second after the claim.
const TAKEOVER: Duration = Duration::from_secs(10);

#[tokio::test]
async fn the_partitions_of_a_member_frozen_in_mid_copy_are_taken_over_and_no_other_waits()
-> anyhow::Result<()> {
    let _alone = alone().await;
    let group = Group::new(6).await;
    let proxy = Proxy::start(group.database.server_address()).await;
    let url = group.database.url_through(proxy.address());
    let (mut frozen, heir) = two_members(&group, [&[("DATABASE_URL", &url)], &[]]).await?;
    let (frozens, heirs) = (group.held_by(&frozen).await?, group.held_by(&heir).await?);
    let busy = Busy::begin(group, 53, 14).await;
    busy.group.applied_at_least(1_000, PATIENCE).await;

    proxy.hold_at(b"PGCOPY", 1);
    tokio::time::timeout(PATIENCE, proxy.held(1)).await?;
    frozen.signal(Signal::STOP)?;
    let since = Instant::now();
    let client = busy.group.database.client().await;
    let copying = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND state = 'active' AND query LIKE '%COPY orders%' AND wait_event = 'ClientRead'";
    // What was let through before may still be on its way to the backend.
    eventually(PATIENCE, async || {
        let copying = client.query_one(copying, &[]).await;
        match copying.map(|row| row.get::<_, i64>(0)) {
            Ok(1) => Ok(()),
            other => Err(format!("{other:?} backends wait in a COPY")),
        }
    })
    .await;

    let took = busy.moved_on(&frozens, since, &heir).await;
    println!("{frozens:?} were taken over after {took:?}");
    busy.undisturbed(&heirs, since)?;
    ensure!(
        heir.log().contains("its session was ended"),
        "the claim had to end the session that held the row"
    );

    proxy.pass();
    frozen.signal(Signal::CONT)?;
    busy.group.shared_by(&[&frozen, &heir], PATIENCE).await;
    busy.assert_exact().await?;
    ensure!(took < TAKEOVER, "that took {took:?}");
    Ok(())
}

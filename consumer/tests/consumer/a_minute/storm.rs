//! Members come and go, in every way, faster than the group settles.

use std::time::Duration;

use anyhow::ensure;
use lab::orders::{self, Orders, TestOrder};
use lab::{Group, Service};
use rand::RngExt;
use tokio::task::JoinSet;

use super::{A_MINUTE, PATIENCE, load};

const EVERY: Duration = Duration::from_secs(2);
const MOST_MEMBERS: usize = 3;
const RECORDS_PER_SECOND: usize = 400;

#[tokio::test]
async fn members_that_come_and_go_every_2_seconds_for_a_minute_neither_lose_nor_repeat()
-> anyhow::Result<()> {
    let group = Group::new(6).await;
    let count = RECORDS_PER_SECOND * usize::try_from(A_MINUTE.as_secs())?;
    let orders: Vec<TestOrder> = Orders::seeded(95).of_users(200).take(count).collect();
    let loading = load(&group, &orders, RECORDS_PER_SECOND);

    let mut random = orders::choices(95);
    let mut members: Vec<Service> = Vec::new();
    let mut leaving = JoinSet::new();
    let mut clock = tokio::time::interval(EVERY);
    let came = A_MINUTE.as_secs() / EVERY.as_secs();
    for number in 0..came {
        clock.tick().await;
        members.push(group.member(&format!("member-{number}"), &[("BATCH_RECORDS", "50")])?);
        if members.len() > MOST_MEMBERS {
            // Not the newest: it may not have begun to listen to signals.
            let mut member = members.remove(random.random_range(0..MOST_MEMBERS));
            // Seldom: the group stands still for as long as it waits for one that died.
            if random.random_bool(0.25) {
                member.kill().await?;
            } else {
                leaving.spawn(async move { member.stop_within(PATIENCE).await });
            }
        }
    }
    while let Some(left) = leaving.join_next().await {
        let status = left??;
        ensure!(
            status.success(),
            "a member that was asked to stop: {status}"
        );
    }
    loading.await??;
    group.assert_exact(orders, PATIENCE).await?;
    for member in &mut members {
        ensure!(member.is_running(), "{} has ended by itself", member.name());
    }
    let positions = group.positions().await?;
    println!("{positions:?}");
    ensure!(
        positions.values().all(|held| held.epoch > 2),
        "no storm: a partition has hardly changed hands: {positions:?}"
    );
    Ok(())
}

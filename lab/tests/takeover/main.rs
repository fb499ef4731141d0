//! How long partitions stand still when members come, go, hang and die. Each test measures a time: they are alone in their
//! binary, and take turns.

use std::time::{Duration, Instant};

use anyhow::ensure;
use lab::orders::{Orders, TestOrder};
use lab::{Group, Pace, Record, Service, eventually};
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinHandle;

mod frozen;
mod joined;
mod killed;
mod stopped;

const PATIENCE: Duration = Duration::from_secs(120);
/// A partition that stays with its member is never still for longer, whatever happens to others.
const LONGEST_STALL: Duration = Duration::from_secs(2);
/// Enough that every partition gets records all the time.
const RECORDS_PER_SECOND: usize = 1_500;

/// Nobody else measures as long as this is held.
async fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}

/// A group whose partitions get records all the time, and are watched.
struct Busy {
    group: Group,
    orders: Vec<TestOrder>,
    loading: JoinHandle<anyhow::Result<()>>,
    pace: Pace,
}

impl Busy {
    /// Records begin to come, for that many seconds.
    async fn begin(group: Group, seed: u64, seconds: usize) -> Self {
        let orders = Orders::seeded(seed).of_users(200);
        let orders: Vec<TestOrder> = orders.take(RECORDS_PER_SECOND * seconds).collect();
        let records: Vec<Record> = orders.iter().map(Record::of).collect();
        let topic = group.topic.clone();
        let publish = async move {
            let published = topic.publish_at(&records, RECORDS_PER_SECOND).await;
            published.map(drop)
        };
        Self {
            loading: tokio::spawn(publish),
            pace: Pace::watch(&group.database, &group.name).await,
            group,
            orders,
        }
    }

    /// Waits until each of the partitions has moved on under this member, and returns how long after `since` that was.
    async fn moved_on(&self, partitions: &[i32], since: Instant, member: &Service) -> Duration {
        let moved = eventually(PATIENCE, async || {
            let moved = self
                .pace
                .all_moved(partitions, since, |owner| member.is_owner(owner));
            moved.ok_or("they have not all moved on")
        });
        moved.await - since
    }

    /// None of the partitions has been still for long since then.
    fn undisturbed(&self, partitions: &[i32], since: Instant) -> anyhow::Result<()> {
        for partition in partitions {
            let stall = self.pace.longest_stall(*partition, since);
            println!("partition {partition} stayed, and stood still for {stall:?}");
            ensure!(
                stall < LONGEST_STALL,
                "partition {partition} stood still for {stall:?}"
            );
        }
        Ok(())
    }

    /// The load ends, and every order was counted once.
    async fn assert_exact(self) -> anyhow::Result<()> {
        ensure!(
            !self.loading.is_finished(),
            "records did not come all the time"
        );
        self.loading.await??;
        self.group.assert_exact(self.orders, PATIENCE).await
    }
}

/// Two members that share six partitions.
async fn two_members(
    group: &Group,
    settings: [&[(&str, &str)]; 2],
) -> anyhow::Result<(Service, Service)> {
    let mut first = group.member("first", settings[0])?;
    first.ready().await;
    let mut second = group.member("second", settings[1])?;
    second.ready().await;
    group.shared_by(&[&first, &second], PATIENCE).await;
    Ok((first, second))
}

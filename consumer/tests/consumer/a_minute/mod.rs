//! What lasts a minute: a storm of rebalances and a database that is locked. Tests begin in the order of their names, and these
//! two first: nothing waits for them at the end.

use std::time::Duration;

use lab::Group;
use lab::Record;
use lab::orders::TestOrder;
use tokio::task::JoinHandle;

mod locked;
mod storm;

/// For what takes seconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(120);
const A_MINUTE: Duration = Duration::from_secs(60);

/// Publishes orders, so many a second, while the test goes on.
fn load(group: &Group, orders: &[TestOrder], per_second: usize) -> JoinHandle<anyhow::Result<()>> {
    let records: Vec<Record> = orders.iter().map(Record::of).collect();
    let topic = group.topic.clone();
    tokio::spawn(async move { topic.publish_at(&records, per_second).await.map(drop) })
}

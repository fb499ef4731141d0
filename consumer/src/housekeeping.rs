//! What has to happen now and then beside consuming: lag for everyone to see, and a feed that does not grow.

use std::collections::BTreeMap;
use std::time::Duration;

use common::ids::{NextOffset, Partition};
use tokio::sync::watch;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::pipeline::Report;
use crate::store::Store;

const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
/// In progress intervals.
const PRUNE_EVERY: u32 = 10;

/// Runs until `stop`. A failure is worth a line, not more: the next time makes up for it.
pub async fn run(store: Store, reports: watch::Receiver<Report>, stop: CancellationToken) {
    let mut ticks = interval(PROGRESS_INTERVAL);
    let mut until_prune = PRUNE_EVERY;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        let ends: BTreeMap<Partition, NextOffset> = reports
            .borrow()
            .lanes
            .iter()
            .filter_map(|lane| Some((lane.partition, lane.end_offset?)))
            .collect();
        if !ends.is_empty()
            && let Err(error) = store.record_progress(&ends).await
        {
            tracing::debug!(%error, "progress was not recorded");
        }
        until_prune -= 1;
        if until_prune == 0 {
            until_prune = PRUNE_EVERY;
            if let Err(error) = store.prune_feed().await {
                tracing::debug!(%error, "the feed was not pruned");
            }
        }
    }
}

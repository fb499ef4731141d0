//! What has to happen now and then beside consuming: lag for everyone to see, a look whether this member was superseded
//! while it had nothing to do, and a feed that does not grow.

use std::collections::BTreeMap;
use std::time::Duration;

use common::ids::{NextOffset, Partition};
use tokio::sync::watch;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::pipeline::Report;
use crate::position::Epoch;
use crate::store::Store;

const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
/// In progress intervals.
const PRUNE_EVERY: u32 = 10;

/// Runs until `stop`. A failure is worth a line, not more: the next time makes up for it.
pub async fn run(
    store: Store,
    reports: watch::Receiver<Report>,
    epochs: watch::Sender<BTreeMap<Partition, Epoch>>,
    stop: CancellationToken,
) {
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
        match store.epochs().await {
            Ok(seen) => {
                epochs.send_if_modified(|known| {
                    let changed = *known != seen;
                    *known = seen;
                    changed
                });
            }
            Err(error) => tracing::debug!(%error, "the epochs were not read"),
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

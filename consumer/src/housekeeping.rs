//! What has to happen now and then beside consuming: lag for everyone to see, a look whether this member was superseded
//! while it had nothing to do, and a feed that does not grow. The broker and the database are asked by two tasks: while one
//! does not answer, what the other says goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use common::ids::Partition;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::lane::LaneReport;
use crate::pipeline::Report;
use crate::position::Epoch;
use crate::source::{EndOffset, EndOffsets, EndReader};
use crate::store::Store;

const ENDS_INTERVAL: Duration = Duration::from_secs(1);
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
/// In progress intervals.
const PRUNE_EVERY: u32 = 10;

/// Asks the broker where the partitions of this member end, until `stop`. One that has no answer keeps its last, with its time.
pub async fn watch_ends(
    reader: EndReader,
    reports: watch::Receiver<Report>,
    ends: watch::Sender<EndOffsets>,
    stop: CancellationToken,
) {
    let mut ticks = interval(ENDS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut was_answered = true;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        let partitions = partitions(&reports.borrow());
        let answer = reader.read(partitions.clone()).await;
        let reason = match &answer {
            Ok(answered) if answered.len() < partitions.len() => Some("of some partitions".into()),
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        };
        match &reason {
            Some(reason) if was_answered => {
                tracing::warn!(
                    reason,
                    "the brokers do not tell where partitions end: lags grow old"
                );
            }
            None if !was_answered => tracing::info!("the brokers tell where partitions end again"),
            Some(_) | None => {}
        }
        was_answered = reason.is_none();
        if let Ok(answered) = answer {
            ends.send_modify(|known| {
                known.retain(|partition, _| partitions.contains(partition));
                known.extend(answered);
            });
        }
    }
}

/// Asks the database and tells it what the broker said, until `stop`. A failure is worth a line, not more: the next time makes
/// up for it.
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
        let ends = ends(&reports.borrow());
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

fn partitions(report: &Report) -> Vec<Partition> {
    report.lanes.iter().map(|lane| lane.partition).collect()
}

fn ends(report: &Report) -> Vec<(Partition, Epoch, EndOffset)> {
    let end = |lane: &LaneReport| {
        let (offset, read_at) = lane.end_offset.zip(lane.read_at)?;
        Some((lane.partition, lane.epoch?, EndOffset { offset, read_at }))
    };
    report.lanes.iter().filter_map(end).collect()
}

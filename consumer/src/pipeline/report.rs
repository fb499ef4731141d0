//! What the pipeline lets others know of its partitions.

use common::ids::Partition;

use super::Pipeline;
use crate::lane::{Lane, LaneReport};
use crate::observe;

/// What this member holds and how far it is, for health reports and progress.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The group has answered this member at least once.
    pub joined: bool,
    pub lanes: Vec<LaneReport>,
}

impl Pipeline {
    pub(super) fn publish(&self) {
        let lanes: Vec<_> = self
            .lanes
            .iter()
            .map(|(partition, lane)| self.report_lane(*partition, lane))
            .collect();
        observe::stopped(lanes.iter().filter(|lane| lane.reason.is_some()).count());
        for lane in &lanes {
            if let Some((lag, read_at)) = lane.lag.zip(lane.read_at) {
                observe::lag(lane.partition, lag, read_at);
            }
            observe::fetched(lane.partition, self.statistics.get(&lane.partition));
        }
        self.report.send_replace(Report {
            joined: self.joined,
            lanes,
        });
    }

    pub(super) fn report_lane(&self, partition: Partition, lane: &Lane) -> LaneReport {
        let position = lane.position();
        let next_offset = position.map(|position| position.next_offset);
        let end = self.known_ends.get(&partition).copied();
        // The end is a moment old: what was applied since then is no negative lag.
        let lag = next_offset
            .zip(end)
            .map(|(next, end)| (end.offset.0 - next.0).max(0));
        let reason = match lane {
            Lane::Stopped { reason, .. } => Some(reason.clone()),
            Lane::Claiming { .. }
            | Lane::Waiting { .. }
            | Lane::Starting { .. }
            | Lane::Idle(_)
            | Lane::Queued(_)
            | Lane::Working { .. }
            | Lane::Leaving { .. } => None,
        };
        let topic = self.config.topic.clone();
        LaneReport {
            topic,
            partition,
            state: lane.state(),
            reason,
            epoch: position.map(|position| position.epoch),
            next_offset,
            end_offset: end.map(|end| end.offset),
            lag,
            read_at: end.map(|end| end.read_at),
        }
    }
}

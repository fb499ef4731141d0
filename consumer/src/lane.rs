//! What this member knows of one partition that the group has assigned to it.

use std::time::Instant;

use common::ids::{NextOffset, Partition};
use common::time::Timestamp;
use serde::Serialize;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::position::{Epoch, Position};
use crate::source::{Generation, Intake};
use crate::workers::Recent;

/// A partition's state. `Idle` and `Queued` own the intake; while a batch is in flight, its job does.
pub enum Lane {
    /// A claim is under way; leaving this state cancels one that has not begun.
    Claiming {
        generation: Generation,
        revoked: DropGuard,
    },
    /// A claim failed, or this member was fenced: the next claim is due then.
    Waiting { until: Instant },
    /// Claimed; the source is starting to fetch.
    Starting {
        generation: Generation,
        position: Position,
    },
    /// Nothing has arrived since the last batch.
    Idle(Running),
    /// Records wait, and a worker is waited for.
    Queued(Running),
    /// A batch is in flight.
    Working {
        position: Position,
        leaving: CancellationToken,
        arrived: bool,
    },
    /// A batch is in flight, and the partition is not this claim's any more. Nothing else of this partition starts before
    /// that batch has ended.
    Leaving { reassigned: bool },
    /// It waits for an operator.
    Stopped { reason: String, position: Position },
}

/// A partition that can be worked on.
pub struct Running {
    pub generation: Generation,
    pub intake: Intake,
    pub position: Position,
    pub recent: Recent,
}

impl Lane {
    #[must_use]
    pub fn position(&self) -> Option<&Position> {
        match self {
            Self::Idle(running) | Self::Queued(running) => Some(&running.position),
            Self::Starting { position, .. }
            | Self::Working { position, .. }
            | Self::Stopped { position, .. } => Some(position),
            Self::Claiming { .. } | Self::Waiting { .. } | Self::Leaving { .. } => None,
        }
    }

    #[must_use]
    pub fn state(&self) -> LaneState {
        match self {
            Self::Claiming { .. } | Self::Waiting { .. } => LaneState::Claiming,
            Self::Starting { .. } => LaneState::Starting,
            Self::Idle(_) | Self::Queued(_) | Self::Working { .. } => LaneState::Running,
            Self::Leaving { .. } => LaneState::Leaving,
            Self::Stopped { .. } => LaneState::Stopped,
        }
    }
}

/// As health reports show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LaneState {
    Claiming,
    Starting,
    Running,
    Leaving,
    Stopped,
}

/// One partition in a health report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LaneReport {
    pub topic: String,
    pub partition: Partition,
    pub state: LaneState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Under which this member holds it.
    #[serde(skip)]
    pub epoch: Option<Epoch>,
    pub next_offset: Option<NextOffset>,
    pub end_offset: Option<NextOffset>,
    pub lag: Option<i64>,
    /// When the broker told `end_offset`.
    pub read_at: Option<Timestamp>,
}

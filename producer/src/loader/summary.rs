//! How a load ended.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use common::ids::{NextOffset, Partition};
use indicatif::{DecimalBytes, HumanCount};
use serde::Serialize;

use super::progress::per_second;

/// What a load came to. As JSON: the object that `--json` prints.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    pub accepted: u64,
    pub rejected: u64,
    pub lines: u64,
    pub seconds: f64,
    /// Unpacked.
    pub bytes: u64,
    /// Sent and not confirmed: they may be stored or not.
    pub unknown: u64,
    /// Lines that earlier loads had settled; they count above.
    pub resumed_lines: u64,
    /// Orders among them.
    pub resumed_orders: u64,
    /// Per partition, where to read on after the last order that was confirmed.
    pub last_offsets: BTreeMap<Partition, NextOffset>,
    #[serde(flatten)]
    pub ending: Ending,
}

/// Whether a load went to the end of its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "ending", rename_all = "snake_case")]
pub enum Ending {
    Complete,
    Interrupted,
    Failed { reason: String },
}

impl Summary {
    /// 0 all accepted, 2 some rejected, 1 could not finish.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self.ending {
            Ending::Complete if self.rejected == 0 => ExitCode::SUCCESS,
            Ending::Complete => ExitCode::from(2),
            Ending::Interrupted | Ending::Failed { .. } => ExitCode::FAILURE,
        }
    }

    /// For people.
    #[must_use]
    pub fn in_words(&self, dry_run: bool) -> String {
        let time = Duration::try_from_secs_f64(self.seconds).unwrap_or_default();
        let accepted = if dry_run { "valid" } else { "accepted" };
        let mut words = format!(
            "{} orders {accepted}, {} lines rejected, of {} lines ({}) in {:.1} s: {} orders/s",
            HumanCount(self.accepted),
            HumanCount(self.rejected),
            HumanCount(self.lines),
            DecimalBytes(self.bytes),
            self.seconds,
            HumanCount(per_second(self.accepted - self.resumed_orders, time)),
        );
        if self.resumed_lines > 0 {
            words += &format!(
                "\n{} of the lines were settled by earlier loads",
                HumanCount(self.resumed_lines)
            );
        }
        if self.unknown > 0 {
            words += &format!(
                "\n{} orders were sent and not confirmed",
                HumanCount(self.unknown)
            );
        }
        words
    }
}

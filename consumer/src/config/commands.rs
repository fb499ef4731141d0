//! What an operator may ask of the `consumer` binary by hand.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use common::order::excerpt;
use common::pg::DatabaseSettings;
use common::time::Timestamp;

use super::BrokerSettings;
use crate::dead_letters::Reason;

/// Without a command it consumes until it is stopped.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Bring the database's tables up to date, and end.
    Migrate(DatabaseSettings),
    /// Recompute every sum from the orders, in one snapshot, while the system runs. Prints the totals and exits 0, or
    /// prints every difference and exits 1.
    Verify(VerifyArgs),
    /// Show where each partition stands, or set that by hand.
    Offsets(OffsetsArgs),
    /// Look at the records that could not become orders, and decide what becomes of them.
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
}

#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    pub database: DatabaseSettings,

    /// Add each difference to its sum, also while the system runs, and then verify again: exits 0 if nothing is wrong any
    /// more. Rows without their order are only reported.
    #[arg(long)]
    pub repair: bool,
}

#[derive(Debug, Clone, Args)]
pub struct OffsetsArgs {
    #[command(subcommand)]
    pub command: OffsetsCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum OffsetsCommand {
    /// Print every partition's position and lag.
    Show(PositionSettings),
    /// Set a partition's position: behind records that are to be skipped, or before those to be read again (orders that
    /// are known count once). Recorded in offset_changes.
    Set(SetOffset),
}

#[derive(Debug, Clone, Args)]
pub struct SetOffset {
    #[arg(long)]
    pub partition: i32,

    /// The next offset to apply; 0 is the beginning, whatever the broker still holds.
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
    pub to: i64,

    /// Also while the group consumes: the owner is fenced, and goes on from there.
    #[arg(long)]
    pub force: bool,

    #[command(flatten)]
    pub position: PositionSettings,
}

/// Whose positions are meant.
#[derive(Debug, Clone, Args)]
pub struct PositionSettings {
    #[command(flatten)]
    pub database: DatabaseSettings,

    /// The topic.
    #[arg(long, env = "KAFKA_TOPIC", default_value = "orders")]
    pub kafka_topic: String,

    /// The consumer group.
    #[arg(long, env = "GROUP_ID", default_value = "tally")]
    pub group_id: String,
}

#[derive(Debug, Clone, Subcommand)]
pub enum DeadLettersCommand {
    /// Print a line for each, the newest first.
    List(ListArgs),
    /// Print one whole: where it came from, why it is no order, key, headers and value.
    Show(ShowArgs),
    /// Write them as NDJSON, the oldest first, to be mended and loaded again.
    ///
    /// A value that is a JSON object is written as it is, on one line. Anything else is written as
    /// {"dead_letter_no", "errors", "raw"} (and "raw_hex" where it is no UTF-8), which the loader rejects until an order
    /// takes its place. An order whose id is taken (reason `conflict`) conflicts again unless it gets another id, and an
    /// order without a created_at is dated when it is loaded. Those that were replayed are left out, unless --replayed asks
    /// for them. The dead letters stay until they are discarded.
    Export(ExportArgs),
    /// Publish the original bytes again, to the partition they came from; for records that would be taken now.
    ///
    /// Those that were replayed before are left out, unless --replayed asks for them. A record that is still no order
    /// becomes one more dead letter; one that was stored meanwhile counts once.
    Replay(ReplayArgs),
    /// Delete them. Shows what would be deleted, and deletes with --yes. Recorded in dead_letter_discards.
    Discard(DiscardArgs),
}

/// Which dead letters are meant: those that all of this is true of.
#[derive(Debug, Clone, Default, Args)]
pub struct Selection {
    /// Their numbers, as `list` shows them.
    #[arg(value_name = "NO")]
    pub numbers: Vec<i64>,

    #[command(flatten)]
    pub filter: Filter,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Filter {
    /// Why they are no orders.
    #[arg(long, value_enum)]
    pub reason: Option<Reason>,

    /// The topic they came from.
    #[arg(long)]
    pub topic: Option<String>,

    /// The partition they came from.
    #[arg(long)]
    pub partition: Option<i32>,

    /// The consumer group that set them aside.
    #[arg(long, value_name = "GROUP_ID")]
    pub group: Option<String>,

    /// Recorded at this time or later: RFC 3339, or a date, which is its midnight in UTC.
    #[arg(long, value_parser = instant)]
    pub from: Option<Timestamp>,

    /// Recorded before this time.
    #[arg(long, value_parser = instant)]
    pub to: Option<Timestamp>,

    /// The order's id, where the record could be read that far.
    #[arg(long)]
    pub order_id: Option<String>,

    /// Only those that were replayed.
    #[arg(long, conflicts_with = "not_replayed")]
    pub replayed: bool,

    /// Only those that were not replayed.
    #[arg(long)]
    pub not_replayed: bool,
}

#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    #[command(flatten)]
    pub selection: Selection,

    /// The most that are printed.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,

    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub database: DatabaseSettings,
}

#[derive(Debug, Clone, Args)]
pub struct ShowArgs {
    /// Its number, as `list` shows it.
    #[arg(value_name = "NO")]
    pub number: i64,

    #[command(flatten)]
    pub database: DatabaseSettings,
}

#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// Where to; `-` is standard output. A file appears when it is whole.
    #[arg(default_value = "-")]
    pub file: PathBuf,

    /// Replace the file if it is there. What is no regular file is never replaced.
    #[arg(long)]
    pub force: bool,

    /// Only these numbers, comma-separated.
    #[arg(long, value_name = "NO", value_delimiter = ',')]
    pub numbers: Vec<i64>,

    #[command(flatten)]
    pub filter: Filter,

    #[command(flatten)]
    pub database: DatabaseSettings,
}

#[derive(Debug, Clone, Args)]
pub struct ReplayArgs {
    #[command(flatten)]
    pub selection: Selection,

    /// All of them.
    #[arg(long)]
    pub all: bool,

    #[command(flatten)]
    pub brokers: BrokerSettings,

    #[command(flatten)]
    pub database: DatabaseSettings,
}

#[derive(Debug, Clone, Args)]
pub struct DiscardArgs {
    #[command(flatten)]
    pub selection: Selection,

    /// All of them.
    #[arg(long)]
    pub all: bool,

    /// Do it.
    #[arg(long)]
    pub yes: bool,

    #[command(flatten)]
    pub database: DatabaseSettings,
}

/// An RFC 3339 instant, or a date, which is its midnight in UTC.
fn instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text)
        .or_else(|_| Timestamp::parse(&format!("{text}T00:00:00Z")))
        .map_err(|_| {
            let got = excerpt(text);
            format!("must be a date like 2026-01-31 or an RFC 3339 instant like 2026-01-31T12:00:00Z (got {got})")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_its_midnight_in_utc() {
        let midnight = Timestamp::parse("2026-01-31T00:00:00Z").unwrap();
        assert_eq!(instant("2026-01-31"), Ok(midnight));
        assert_eq!(instant("2026-01-31T01:00:00+01:00"), Ok(midnight));
        for bad in ["", "yesterday", "2026-02-30", "2026-01-31 12:00"] {
            assert!(instant(bad).unwrap_err().contains("2026-01-31"), "{bad}");
        }
    }
}

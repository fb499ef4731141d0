//! What the loader can be told.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use common::setting::duration;
use common::telemetry::{LogFormat, TelemetryConfig};

use super::generate::GenerateConfig;
use crate::publisher::PublisherConfig;

/// Loads orders from NDJSON files into Kafka: one JSON order a line, plain or compressed (.gz, .zst, .xz, told apart by
/// content).
///
/// Loading the same file twice counts every order once. Exit code: 0 all accepted, 2 some rejected, 1 could not finish.
#[derive(Debug, Parser)]
#[command(
    name = "loader",
    version,
    max_term_width = 100,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,

    #[command(flatten)]
    pub load: LoadConfig,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Writes realistic sample orders, the same for the same seed, and what they add up to.
    Generate(GenerateConfig),
}

#[derive(Debug, Clone, clap::Args)]
pub struct LoadConfig {
    /// Files to load, one after the other; - is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Name of the data: an order without an order_id gets one from this name, its line number and its line
    /// [default: the file's absolute path].
    #[arg(long)]
    pub source: Option<String>,

    /// Write the summary as one JSON object to standard output, and nothing else there.
    #[arg(long)]
    pub json: bool,

    /// Write rejected lines here, one {line, errors, raw} a line [default: the first ten are shown].
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,

    /// Check every line and send nothing.
    #[arg(long)]
    pub dry_run: bool,

    /// Send at most so many orders a second.
    #[arg(long, value_name = "ORDERS", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,

    /// Go on where an interrupted load of the same files ended, and keep a checkpoint while loading.
    #[arg(long)]
    pub resume: bool,

    /// Where the checkpoint is [default: the first file's name with .checkpoint].
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,

    /// Give up when the broker has confirmed nothing for this long.
    #[arg(long, env = "LOADER_TIMEOUT", default_value = "60s", value_parser = duration)]
    pub timeout: Duration,

    /// Threads that check lines.
    #[arg(long, env = "LOADER_PARSERS", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub parsers: u8,

    /// How far an order's created_at may lie in the future. The consumer must allow as much.
    #[arg(long, env = "MAX_FUTURE_SKEW", default_value = "1h", value_parser = duration)]
    pub max_future_skew: Duration,

    #[command(flatten)]
    pub publisher: PublisherConfig,

    /// How log lines look.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value = "auto")]
    pub log_format: LogFormat,

    /// What is logged beside the progress: a level, or directives as of tracing's EnvFilter.
    #[arg(long, env = "RUST_LOG", default_value = "warn")]
    pub log_filter: String,
}

impl LoadConfig {
    #[must_use]
    pub fn telemetry(&self) -> TelemetryConfig {
        TelemetryConfig {
            log_format: self.log_format,
            log_filter: self.log_filter.clone(),
        }
    }
}

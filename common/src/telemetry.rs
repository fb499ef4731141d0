//! Logs to standard error and metrics for Prometheus, set up once by each `main`.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::{EnvFilter, fmt};

/// Upper bounds, in seconds, of the buckets of every histogram whose name ends in `_seconds`.
const SECONDS_BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// Upper bounds of the buckets of every histogram whose name ends in `_records`.
const RECORDS_BUCKETS: [f64; 9] = [1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0];

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Human on a terminal, JSON elsewhere.
    Auto,
    Human,
    Json,
}

/// What every service's command line says about telemetry.
#[derive(Debug, Clone, clap::Args)]
pub struct TelemetryConfig {
    /// How log lines look: for people on a terminal, JSON elsewhere, or one of both always.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value = "auto")]
    pub log_format: LogFormat,

    /// What is logged: a level, or directives as of tracing's EnvFilter.
    #[arg(
        long,
        env = "RUST_LOG",
        default_value = "info,actix_server=warn,tokio_postgres=warn"
    )]
    pub log_filter: String,
}

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("RUST_LOG: {0}")]
    Filter(#[from] ParseError),
    #[error("metrics: {0}")]
    Metrics(#[from] BuildError),
}

/// Sends logs to standard error and starts to record metrics; the handle renders them.
///
/// # Errors
/// The filter cannot be read, or metrics were set up before in this process.
pub fn init(config: &TelemetryConfig) -> Result<PrometheusHandle, TelemetryError> {
    logs(config)?;
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS_BUCKETS)?
        .set_buckets_for_metric(Matcher::Suffix("_records".into()), &RECORDS_BUCKETS)?
        .install_recorder()?;
    Ok(handle)
}

/// Logs alone, for commands that serve no metrics.
///
/// # Errors
/// The filter cannot be read.
pub fn logs(config: &TelemetryConfig) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(&config.log_filter)?;
    let human = match config.log_format {
        LogFormat::Human => true,
        LogFormat::Json => false,
        LogFormat::Auto => io::stderr().is_terminal(),
    };
    let subscriber = fmt().with_env_filter(filter).with_writer(io::stderr);
    if human {
        subscriber.with_ansi(io::stderr().is_terminal()).init();
    } else {
        subscriber
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .init();
    }
    Ok(())
}

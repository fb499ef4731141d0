//! Puts the parts together: waits for the servers, runs the pipeline, and shows its health.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use common::http::{Health, Readiness, Server, ServerConfig, unstamped};
use common::order::ContentHash;
use common::retry::Backoff;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::Map;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::batch::BatchLimits;
use crate::config::{Config, KafkaSettings};
use crate::decode::Decoder;
use crate::lane::LaneState;
use crate::pipeline::{MAX_CLAIMS, Pipeline, PipelineConfig, Report};
use crate::source::{EndOffsets, EndReader, ReadySet, Source, TopicError, ensure_topic};
use crate::store::Store;
use crate::workers::Worker;
use crate::{housekeeping, observe};

/// Connections beside the workers': two for each claim, and one for housekeeping.
const SPARE_CONNECTIONS: usize = 2 * MAX_CLAIMS + 1;
/// For a free connection, and for a new one to be established.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// A lock or a statement that takes longer is retried as a whole; a session whose process froze between two statements
/// lets go of its locks.
const SESSION_SETUP: &str = "SET lock_timeout = '30s'; SET statement_timeout = '60s'; \
                             SET idle_in_transaction_session_timeout = '30s'; SET synchronous_commit = on";
/// Waits at start, for servers that come up at the same time.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Consumes until `stop`, serving health and metrics meanwhile.
///
/// # Errors
/// A setting is wrong, the schema is missing, or the process cannot go on. Nothing is lost by starting again.
pub async fn run(
    config: Config,
    metrics: PrometheusHandle,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    observe::describe(config.pipeline.buffer_bytes);
    let (report, reports) = watch::channel(Report::default());
    // Probes and scrapes are few.
    let http = ServerConfig {
        http_workers: config.server.http_workers.or(Some(1)),
        ..config.server.clone()
    };
    let server = Server::bind(config.address, &http)?;
    tracing::info!(address = %server.address(), "health and metrics");
    let stop_server = CancellationToken::new();
    let health = std::sync::Arc::new(move || health(&reports.borrow()));
    let serving = server.run(|_| {}, || unstamped, health, metrics, stop_server.clone());
    let stop_consuming = stop.clone();
    let server = tokio::spawn(async move {
        let ended = serving.await;
        // Asked for, or not: without health and metrics nobody would know how it fares.
        stop_consuming.cancel();
        ended
    });

    let outcome = consume(&config, report, stop).await;

    stop_server.cancel();
    server
        .await
        .context("the health server ended unexpectedly")??;
    outcome
}

async fn consume(
    config: &Config,
    report: watch::Sender<Report>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let store = connect(config)?;
    let Some(partition_count) = wait_for_servers(config, &store, &stop).await? else {
        return Ok(());
    };
    let kafka = config.kafka_settings(partition_count);
    let stop_housekeeping = CancellationToken::new();
    let (epochs, seen_epochs) = watch::channel(BTreeMap::new());
    let (ends, seen_ends) = watch::channel(EndOffsets::new());
    let watching_ends = tokio::spawn(housekeeping::watch_ends(
        EndReader::new(&kafka)?,
        report.subscribe(),
        ends,
        stop_housekeeping.clone(),
    ));
    let housekeeping = tokio::spawn(housekeeping::run(
        store.clone(),
        report.subscribe(),
        epochs,
        stop_housekeeping.clone(),
    ));
    let ready = ReadySet::default();
    let source = Source::start(&kafka, ready.clone())?;
    let pipeline = Pipeline::new(
        pipeline_config(config, &kafka),
        worker(config, store),
        source,
        ready,
        seen_epochs,
        seen_ends,
        report,
    );
    let outcome = pipeline.run(stop).await;
    stop_housekeeping.cancel();
    for task in [housekeeping, watching_ends] {
        task.await.context("housekeeping ended unexpectedly")?;
    }
    Ok(outcome?)
}

/// Waits until the database is migrated and the topic is there, and returns how many partitions it has; `None` when stopped
/// meanwhile.
async fn wait_for_servers(
    config: &Config,
    store: &Store,
    stop: &CancellationToken,
) -> anyhow::Result<Option<usize>> {
    let settings = config.kafka_settings(1);
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    let mut told = None;
    loop {
        let failure = match store.is_current().await {
            Ok(true) => match ensure_topic(&settings).await {
                Ok(partition_count) if partition_count > 0 => return Ok(Some(partition_count)),
                Ok(_) => "kafka does not know the topic's partitions yet".to_owned(),
                Err(error @ TopicError::Settings(_)) => return Err(error.into()),
                Err(error @ (TopicError::Unreachable { .. } | TopicError::Refused { .. })) => {
                    error.to_string()
                }
            },
            Ok(false) => {
                bail!("the database's tables are missing or old: run `consumer migrate` first")
            }
            Err(error) if error.is_transient() => error.to_string(),
            Err(error) => return Err(error.into()),
        };
        // Each reason, not each attempt.
        if told.as_ref() != Some(&failure) {
            tracing::warn!(failure, "waiting for the servers");
            told = Some(failure);
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next_wait()) => {}
            () = stop.cancelled() => return Ok(None),
        }
    }
}

/// The store as the service uses it; connections are made when they are needed.
///
/// # Errors
/// The database's URL is none.
pub fn connect(config: &Config) -> anyhow::Result<Store> {
    let kafka = &config.kafka;
    let application_name = application_name(&kafka.group_id);
    let settings = common::pg::PoolSettings {
        application_name: application_name.clone(),
        max_connections: config.pipeline.worker_count() + SPARE_CONNECTIONS,
        acquire_timeout: ACQUIRE_TIMEOUT,
        session_setup: SESSION_SETUP.to_owned(),
    };
    let pool = common::pg::pool(config.database.config()?, &settings)?;
    Ok(Store::new(
        pool,
        kafka.group_id.clone(),
        kafka.kafka_topic.clone(),
        application_name,
    ))
}

/// What PostgreSQL keeps of a session's name.
const MAX_APPLICATION_NAME_BYTES: usize = 63;

/// Names this group's sessions, so that a takeover ends no others. PostgreSQL cuts a longer name and replaces what is not
/// printable ASCII: such a group goes by its hash.
pub(crate) fn application_name(group_id: &str) -> String {
    let name = format!("tally-consumer/{group_id}");
    if name.len() <= MAX_APPLICATION_NAME_BYTES
        && name.bytes().all(|byte| (b' '..=b'~').contains(&byte))
    {
        return name;
    }
    format!("tally-consumer/{}", ContentHash::of(group_id.as_bytes()))
}

/// How much one transaction holds.
#[must_use]
pub fn batch_limits(config: &Config) -> BatchLimits {
    let pipeline = &config.pipeline;
    BatchLimits {
        records: usize::from(pipeline.batch_records),
        bytes: usize::try_from(pipeline.batch_bytes).unwrap_or(usize::MAX),
    }
}

fn worker(config: &Config, store: Store) -> Worker {
    let pipeline = &config.pipeline;
    Worker {
        store,
        decoder: Decoder {
            topic: config.kafka.kafka_topic.clone(),
            default_currency: pipeline.default_currency,
            max_future_skew: pipeline.max_future_skew,
        },
        limits: batch_limits(config),
        max_consecutive_poison: pipeline.max_consecutive_poison,
    }
}

fn pipeline_config(config: &Config, kafka: &KafkaSettings) -> PipelineConfig {
    PipelineConfig {
        topic: kafka.topic.clone(),
        owner: format!("{} pid {}", kafka.client_id, std::process::id()),
        workers: config.pipeline.worker_count(),
        session_timeout: kafka.session_timeout,
        shutdown_timeout: config.server.shutdown_timeout,
    }
}

/// Ready once the group has answered and every partition it assigned is being consumed.
fn health(report: &Report) -> Health {
    let waiting = |state| {
        report
            .lanes
            .iter()
            .filter(|lane| lane.state == state)
            .count()
    };
    let readiness = if !report.joined {
        Readiness::NotReady("the group has not answered yet".into())
    } else if let Some(stopped) = report
        .lanes
        .iter()
        .find(|lane| lane.state == LaneState::Stopped)
    {
        let reason = stopped.reason.as_deref().unwrap_or_default();
        Readiness::NotReady(format!(
            "partition {} is stopped: {reason}",
            stopped.partition
        ))
    } else if waiting(LaneState::Claiming) + waiting(LaneState::Starting) > 0 {
        Readiness::NotReady("partitions are being claimed".into())
    } else {
        Readiness::Ready
    };
    let mut details = Map::new();
    let partitions = serde_json::to_value(&report.lanes).expect("a report is plain data");
    details.insert("partitions".to_owned(), partitions);
    Health { readiness, details }
}

//! The consumer's metrics: every name is here, with what it counts.

use std::time::{Duration, SystemTime};

use common::ids::Partition;
use common::time::Timestamp;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::source::PartitionStats;
use crate::store::Committed;

const OUTCOMES: &str = "consumer_outcomes_total";
const BATCH_SIZE: &str = "consumer_batch_records";
const BATCH_DURATION: &str = "consumer_batch_duration_seconds";
const RETRIES: &str = "consumer_retries_total";
const FENCED: &str = "consumer_fenced_total";
const REBALANCES: &str = "consumer_rebalances_total";
const STOPPED: &str = "consumer_stopped_partitions";
const LAG: &str = "consumer_lag_records";
const LAG_READ: &str = "consumer_lag_timestamp_seconds";
const BUFFERED: &str = "consumer_buffered_bytes";
const BUFFER_LIMIT: &str = "consumer_buffer_limit_bytes";
const FETCHED: &str = "consumer_fetched_bytes_total";
const LAST_COMMIT: &str = "consumer_last_commit_timestamp_seconds";

/// What `consumer_rebalances_total` counts apart.
const REBALANCE_KINDS: [&str; 3] = ["assigned", "revoked", "lost"];

/// Called once, after metrics were set up, with the bytes that may be fetched ahead over all partitions.
pub fn describe(buffer_bytes: u32) {
    describe_counter!(
        OUTCOMES,
        "Records by what they became: new, duplicate, or a dead letter's reason"
    );
    describe_histogram!(BATCH_SIZE, "Records a batch held");
    describe_histogram!(BATCH_DURATION, "Seconds from taking a batch to its commit");
    describe_counter!(
        RETRIES,
        "Attempts to apply a batch that failed and were made again, by cause"
    );
    describe_counter!(
        FENCED,
        "Batches given up, whole or in part, because another member had claimed the partition"
    );
    describe_counter!(
        REBALANCES,
        "Assignments, revocations and losses of partitions"
    );
    describe_gauge!(STOPPED, "Assigned partitions that wait for an operator");
    describe_gauge!(LAG, "Records in a partition that are not yet applied");
    describe_gauge!(
        LAG_READ,
        "When the broker told the end that a partition's lag is measured to, in seconds since 1970"
    );
    describe_gauge!(
        BUFFERED,
        "Bytes of a partition that are fetched and not yet taken"
    );
    describe_gauge!(
        BUFFER_LIMIT,
        "Bytes that may be fetched ahead over all partitions"
    );
    describe_counter!(
        FETCHED,
        "Bytes received for a partition since the process began"
    );
    describe_gauge!(
        LAST_COMMIT,
        "When a partition's last batch was committed, in seconds since 1970"
    );
    gauge!(BUFFER_LIMIT).set(buffer_bytes);
    // There from the start: a rate over a counter that appears with its first event misses that event.
    counter!(FENCED).increment(0);
    for kind in REBALANCE_KINDS {
        counter!(REBALANCES, "kind" => kind).increment(0);
    }
}

fn label(partition: Partition) -> String {
    partition.to_string()
}

pub(crate) fn batch(partition: Partition, records: usize, took: Duration) {
    // A batch holds at most 10,000 records: exact in a float.
    histogram!(BATCH_SIZE).record(u32::try_from(records).map_or(f64::MAX, f64::from));
    histogram!(BATCH_DURATION).record(took);
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    gauge!(LAST_COMMIT, "partition" => label(partition)).set(now.as_secs_f64());
}

pub(crate) fn outcomes(partition: Partition, committed: &Committed) {
    let Some(outcomes) = committed.outcomes() else {
        return;
    };
    let count = |outcome: &'static str, records: usize| {
        if records > 0 {
            counter!(OUTCOMES, "outcome" => outcome, "partition" => label(partition))
                .increment(records as u64);
        }
    };
    count("new", outcomes.new);
    count("duplicate", outcomes.duplicates);
    for (reason, records) in &outcomes.dead_letters {
        count(reason.as_str(), *records);
    }
}

pub(crate) fn retry(cause: &'static str) {
    counter!(RETRIES, "cause" => cause).increment(1);
}

pub(crate) fn fenced() {
    counter!(FENCED).increment(1);
}

pub(crate) fn rebalance(kind: &'static str) {
    counter!(REBALANCES, "kind" => kind).increment(1);
}

pub(crate) fn stopped(partitions: usize) {
    gauge!(STOPPED).set(u32::try_from(partitions).map_or(f64::MAX, f64::from));
}

#[expect(clippy::cast_precision_loss, reason = "a gauge shows magnitudes")]
pub(crate) fn lag(partition: Partition, lag: i64, read_at: Timestamp) {
    gauge!(LAG, "partition" => label(partition)).set(lag as f64);
    gauge!(LAG_READ, "partition" => label(partition)).set(read_at.as_micros() as f64 / 1e6);
}

/// `None`: it is not fetched.
pub(crate) fn fetched(partition: Partition, stats: Option<&PartitionStats>) {
    #[expect(clippy::cast_precision_loss, reason = "a gauge shows magnitudes")]
    let buffered = stats.map_or(0.0, |stats| stats.buffered_bytes as f64);
    gauge!(BUFFERED, "partition" => label(partition)).set(buffered);
    if let Some(stats) = stats {
        counter!(FETCHED, "partition" => label(partition)).absolute(stats.fetched_bytes);
    }
}

/// A partition that is no longer this member's has no lag here, and no age that an alert could compare.
pub(crate) fn released(partition: Partition) {
    for (name, value) in [(LAG, 0.0), (LAG_READ, f64::NAN), (BUFFERED, 0.0)] {
        gauge!(name, "partition" => label(partition)).set(value);
    }
}

//! How librdkafka is set up.

use std::ops::RangeInclusive;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

use crate::config::{GroupProtocol, KafkaSettings};

/// librdkafka's own default for one partition's share of a fetch.
const MAX_FETCH_BYTES: usize = 1024 * 1024;
/// Below so many records a partition is fetched: one for each KiB of its buffer, within these bounds. Fewer starve the workers:
/// at 1,000 a replay of known orders ran at a quarter of its speed. More would take too much memory where keys and headers are
/// long, since librdkafka's other bound counts values only.
const QUEUED_RECORDS: RangeInclusive<usize> = 1_000..=8_192;
/// A member learns of a rebalance by its next heartbeat: often enough that partitions of one that leaves stand still for
/// well under a second.
const HEARTBEATS_PER_SESSION: u32 = 20;

/// For a client that only asks.
pub(super) fn asking(settings: &KafkaSettings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &settings.brokers)
        .set("client.id", &settings.client_id);
    for (name, value) in settings.properties.iter() {
        config.set(name, value);
    }
    config
}

/// For the group's member.
pub(super) fn config(settings: &KafkaSettings) -> ClientConfig {
    let mut config = ClientConfig::new();
    let buffer_kib = (settings.partition_buffer_bytes / 1024).max(1);
    config
        .set("bootstrap.servers", &settings.brokers)
        .set("group.id", &settings.group_id)
        .set("client.id", &settings.client_id)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // A position that the broker does not hold must stop the partition, never move it.
        .set("auto.offset.reset", "error")
        // Control records are never seen; at the end of the partition the position moves past them.
        .set("enable.partition.eof", "true")
        .set("statistics.interval.ms", "1000")
        // A small request behind another one would wait for its acknowledgement: 40 ms for a lone order.
        .set("socket.nagle.disable", "true")
        // The default of one second starves a consumer whose queues are small.
        .set("fetch.queue.backoff.ms", "5")
        // Both bounds hold for each partition, since each has a queue of its own, and fetching goes on below either of them.
        // The second counts values only, so the first is what bounds records with long keys or headers.
        .set(
            "queued.min.messages",
            buffer_kib
                .clamp(*QUEUED_RECORDS.start(), *QUEUED_RECORDS.end())
                .to_string(),
        )
        .set("queued.max.messages.kbytes", buffer_kib.to_string())
        .set(
            "max.partition.fetch.bytes",
            settings
                .partition_buffer_bytes
                .min(MAX_FETCH_BYTES)
                .to_string(),
        )
        .set_log_level(RDKafkaLogLevel::Info);
    match settings.group_protocol {
        GroupProtocol::Classic => {
            config
                .set("partition.assignment.strategy", "cooperative-sticky")
                .set(
                    "session.timeout.ms",
                    settings.session_timeout.as_millis().to_string(),
                )
                .set(
                    "heartbeat.interval.ms",
                    (settings.session_timeout / HEARTBEATS_PER_SESSION)
                        .as_millis()
                        .to_string(),
                );
        }
        // The broker decides on sessions and assignors; librdkafka refuses the classic settings here.
        GroupProtocol::Consumer => {
            config.set("group.protocol", "consumer");
        }
    }
    if let Some(instance_id) = &settings.instance_id {
        config.set("group.instance.id", instance_id);
    }
    for (name, value) in settings.properties.iter() {
        config.set(name, value);
    }
    config
}

/// What a client says of its settings, without any value: one may be a password, in a property that is misspelt.
pub(super) fn said(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, description, name, value) if value.is_empty() => {
            format!("{description} ({name})")
        }
        KafkaError::ClientConfig(_, description, name, value) => {
            format!("{} ({name})", description.replace(value.as_str(), "..."))
        }
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::producer::BaseProducer;

    use super::*;

    #[test]
    fn a_refused_setting_is_named_and_its_value_is_not_shown() {
        for name in [
            "sasl.pasword",
            "sasl.jaas.config",
            "security.protocol",
            "linger.ms",
        ] {
            let refused = ClientConfig::new()
                .set(name, "hunter2")
                .create::<BaseProducer>();
            let said = said(&refused.err().expect("it is refused"));
            assert!(said.contains(name) && !said.contains("hunter2"), "{said}");
        }
    }
}

//! The topic's contract: the CloudEvents Kafka binding in binary mode, version 1.0.2. The value is the normalised order,
//! the key the user's id; these are the headers. Source:
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md>
//!
//! No Kafka client is known here: headers are names with bytes.

use crate::ids::OrderId;
use crate::time::Timestamp;

pub const TYPE: &str = "order.created";
pub const SPEC_VERSION: &str = "1.0";
pub const CONTENT_TYPE: &str = "application/json";

pub const SPEC_VERSION_HEADER: &str = "ce_specversion";
pub const TYPE_HEADER: &str = "ce_type";
pub const ID_HEADER: &str = "ce_id";
pub const SOURCE_HEADER: &str = "ce_source";
pub const TIME_HEADER: &str = "ce_time";
pub const CONTENT_TYPE_HEADER: &str = "content-type";
/// W3C Trace Context, where the request carried one.
pub const TRACEPARENT_HEADER: &str = "traceparent";

/// librdkafka properties that a guarantee rests on, so that `KAFKA_CONFIG` may not set them.
pub const RESERVED_PROPERTIES: [&str; 18] = [
    "acks",
    "request.required.acks",
    "enable.idempotence",
    "enable.gapless.guarantee",
    "partitioner",
    "auto.offset.reset",
    "enable.auto.commit",
    "auto.commit.enable",
    "enable.auto.offset.store",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "partition.assignment.strategy",
    "enable.partition.eof",
    "statistics.interval.ms",
    // Orders of a transaction that was aborted do not count.
    "isolation.level",
    // A setting of its own.
    "session.timeout.ms",
    "max.poll.interval.ms",
];

/// What the headers of one order's record say.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    pub order_id: &'a OrderId,
    /// Who published it: a URI reference.
    pub source: &'a str,
    /// When the order was received.
    pub time: Timestamp,
    pub traceparent: Option<&'a str>,
}

impl Event<'_> {
    /// Calls `header` with each name and value, in the order in which they are written.
    pub fn for_each_header(&self, mut header: impl FnMut(&'static str, &[u8])) {
        header(SPEC_VERSION_HEADER, SPEC_VERSION.as_bytes());
        header(TYPE_HEADER, TYPE.as_bytes());
        header(ID_HEADER, self.order_id.as_str().as_bytes());
        header(SOURCE_HEADER, self.source.as_bytes());
        header(TIME_HEADER, self.time.to_string().as_bytes());
        header(CONTENT_TYPE_HEADER, CONTENT_TYPE.as_bytes());
        if let Some(traceparent) = self.traceparent {
            header(TRACEPARENT_HEADER, traceparent.as_bytes());
        }
    }
}

/// When an order was received, as its record says: `ce_time` where it can be read, else the record's own timestamp.
#[must_use]
pub fn received_at(ce_time: Option<&[u8]>, record_timestamp: Timestamp) -> Timestamp {
    ce_time
        .and_then(|value| std::str::from_utf8(value).ok())
        .and_then(|text| Timestamp::parse(text).ok())
        .unwrap_or(record_timestamp)
}

/// Why a `KAFKA_CONFIG` was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProperties {
    #[error("`{0}` is not of the form property=value")]
    Form(String),
    #[error("`{0}` cannot be set: a guarantee rests on it")]
    Reserved(String),
}

/// librdkafka properties as settings carry them: `k=v,k=v`. A comma in a value is written `\,`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KafkaProperties(Vec<(String, String)>);

impl KafkaProperties {
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl std::str::FromStr for KafkaProperties {
    type Err = InvalidProperties;

    fn from_str(text: &str) -> Result<Self, InvalidProperties> {
        const ESCAPED_COMMA: &str = "\\,";
        const STAND_IN: &str = "\u{0}";
        let parts = text.replace(ESCAPED_COMMA, STAND_IN);
        let properties = parts
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| {
                // Only the name is shown: the value may be a password.
                let (name, value) = part
                    .split_once('=')
                    .ok_or_else(|| InvalidProperties::Form(crate::order::excerpt(part)))?;
                let name = name.trim();
                let bare = name.strip_prefix("topic.").unwrap_or(name);
                if RESERVED_PROPERTIES.contains(&bare) {
                    return Err(InvalidProperties::Reserved(name.to_owned()));
                }
                Ok((name.to_owned(), value.trim().replace(STAND_IN, ",")))
            });
        properties.collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_split_at_commas_and_keep_escaped_ones() {
        let properties: KafkaProperties = "compression.type=lz4, sasl.password=a\\,b=c,"
            .parse()
            .unwrap();
        let pairs: Vec<_> = properties.iter().collect();
        assert_eq!(
            pairs,
            [("compression.type", "lz4"), ("sasl.password", "a,b=c")]
        );
    }

    #[test]
    fn a_property_that_a_guarantee_rests_on_is_refused_by_name() {
        for text in [
            "acks=1",
            "lz=1,enable.idempotence=false",
            "group.id=x",
            "topic.acks=0",
        ] {
            let error = text.parse::<KafkaProperties>().unwrap_err();
            assert!(matches!(error, InvalidProperties::Reserved(_)), "{text}");
        }
        assert!("nonsense".parse::<KafkaProperties>().is_err());
    }

    #[test]
    fn a_readable_ce_time_goes_before_the_records_timestamp() {
        let record = Timestamp::from_millis(1_000).unwrap();
        let sent = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        assert_eq!(received_at(Some(b"2026-01-01T00:00:00Z"), record), sent);
        assert_eq!(received_at(Some(b"soon"), record), record);
        assert_eq!(received_at(None, record), record);
    }
}

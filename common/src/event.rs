//! The topic's contract: the CloudEvents Kafka binding in binary mode, version 1.0.2. The value is the normalised order,
//! the key the user's id; these are the headers. Source:
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md>
//!
//! No Kafka client is known here: headers are names with bytes.

use crate::ids::OrderId;
use crate::time::Timestamp;

mod properties;

pub use properties::{InvalidProperties, KafkaProperties};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_readable_ce_time_goes_before_the_records_timestamp() {
        let record = Timestamp::from_millis(1_000).unwrap();
        let sent = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        assert_eq!(received_at(Some(b"2026-01-01T00:00:00Z"), record), sent);
        assert_eq!(received_at(Some(b"soon"), record), record);
        assert_eq!(received_at(None, record), record);
    }
}

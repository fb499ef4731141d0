//! Records that cannot become orders: what is kept of them, and why.

use std::fmt;

use clap::ValueEnum;
use common::ids::{Offset, OrderId, Partition};
use common::time::Timestamp;
use uuid::Uuid;

use crate::source::{Header, Record};

/// The UUIDv5 namespace of records that came without an id.
const FOREIGN_RECORDS: Uuid = Uuid::from_u128(0x8f2c_41d7_5be0_4a53_9d6e_27b8_c0f1_a394);
/// The longest explanation kept, in bytes.
const MAX_DETAIL_BYTES: usize = 2_000;

/// Why a record was set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
pub enum Reason {
    /// Its value is no JSON.
    Undecodable,
    /// JSON, but no order.
    Invalid,
    /// An order whose id was taken before by another content.
    Conflict,
    /// An order that the database refuses.
    Refused,
}

impl Reason {
    /// As the column `dead_letters.reason` and the metrics name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::Invalid => "invalid",
            Self::Conflict => "conflict",
            Self::Refused => "refused",
        }
    }

    /// Whether it suggests that the topic does not hold orders at all.
    #[must_use]
    pub fn counts_towards_a_flood(self) -> bool {
        match self {
            Self::Undecodable | Self::Invalid => true,
            Self::Conflict | Self::Refused => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The header of a record that was published again: its [`Origin`].
pub const REPLAYED_FROM_HEADER: &str = "tally_replayed_from";

/// Where and when a record was first in the topic: `topic/partition/offset/timestamp`. What was first read there keeps the
/// identity and the time it had there, however often it is replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub topic: String,
    pub partition: Partition,
    pub offset: Offset,
    pub timestamp: Option<Timestamp>,
}

impl Origin {
    /// Any program may write that header, so anything may stand there.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let origin = Self {
            topic: parts.next()?.to_owned(),
            partition: Partition(parts.next()?.parse().ok()?),
            offset: Offset(parts.next()?.parse().ok()?),
            timestamp: match parts.next()? {
                "-" => None,
                timestamp => Some(Timestamp::parse(timestamp).ok()?),
            },
        };
        parts.next().is_none().then_some(origin)
    }

    /// Without the time.
    #[must_use]
    pub fn position(&self) -> String {
        format!("{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

impl Origin {
    /// What the headers of the record that is read here now say of a reading before. Only of the same partition: a replay
    /// goes to no other, so that a header which was copied from one topic to another says nothing.
    ///
    /// That is all there is to prove it, and more is not needed. It stands for the id and the time of an order that has
    /// neither, and whoever writes records may give any in the order itself. The id hangs on the value, too: such a header can
    /// make a record a repetition of one with the same bytes, and of no other.
    pub fn before<'h>(
        &self,
        headers: impl IntoIterator<Item = (&'h [u8], Option<&'h [u8]>)>,
    ) -> Option<Self> {
        let name = REPLAYED_FROM_HEADER.as_bytes();
        let (_, value) = headers.into_iter().find(|(header, _)| *header == name)?;
        let told = Self::parse(std::str::from_utf8(value?).ok()?)?;
        (told.topic == self.topic && told.partition == self.partition).then_some(told)
    }

    /// The id of an order that another program published without one: the same at every reading of the same record, replayed,
    /// exported or neither, and another one for the same bytes elsewhere.
    #[must_use]
    pub fn order_id(&self, value: &[u8]) -> OrderId {
        let Self {
            topic,
            partition,
            offset,
            timestamp,
        } = self;
        let timestamp = timestamp.map_or(-1, Timestamp::as_micros);
        let mut name = Vec::with_capacity(topic.len() + value.len() + 64);
        name.extend_from_slice(format!("{topic}\n{partition}\n{offset}\n{timestamp}\n").as_bytes());
        name.extend_from_slice(value);
        OrderId::from_uuid(Uuid::new_v5(&FOREIGN_RECORDS, &name))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.position())?;
        match self.timestamp {
            Some(timestamp) => write!(f, "{timestamp}"),
            None => f.write_str("-"),
        }
    }
}

/// A record as it was read, with the reason why it is no order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    pub offset: Offset,
    pub record_timestamp: Option<Timestamp>,
    pub reason: Reason,
    /// Printable ASCII; anything else is escaped.
    pub detail: String,
    pub order_id: Option<OrderId>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<Header>,
}

impl DeadLetter {
    #[must_use]
    pub fn new(
        record: &Record<'_>,
        reason: Reason,
        detail: &str,
        order_id: Option<OrderId>,
    ) -> Self {
        let headers = record.headers();
        let note = if headers.is_none() {
            " [its headers cannot be read]"
        } else {
            ""
        };
        Self {
            offset: record.offset(),
            record_timestamp: record.timestamp(),
            reason,
            detail: escape(&format!("{detail}{note}")),
            order_id,
            key: record.key().map(<[u8]>::to_vec),
            value: record.value().map(<[u8]>::to_vec),
            headers: headers.unwrap_or_default(),
        }
    }

    /// Whether the record, which was read from this partition, was published again by an operator.
    #[must_use]
    pub fn is_replayed(&self, topic: &str, partition: Partition) -> bool {
        let here = Origin {
            topic: topic.to_owned(),
            partition,
            offset: self.offset,
            timestamp: self.record_timestamp,
        };
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| (name.as_slice(), value.as_deref()));
        here.before(headers).is_some()
    }
}

/// Printable ASCII of bounded length, so that any terminal and any tool can show it.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            ' '..='~' => escaped.push(character),
            _ => escaped.extend(character.escape_default()),
        }
        if escaped.len() > MAX_DETAIL_BYTES {
            escaped.push_str("...");
            break;
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_reads_back_as_it_was_written() {
        let origin = Origin {
            topic: "orders.v-1".into(),
            partition: Partition(3),
            offset: Offset(17),
            timestamp: Timestamp::from_millis(1_767_225_600_123),
        };
        let text = origin.to_string();
        assert_eq!(text, "orders.v-1/3/17/2026-01-01T00:00:00.123Z");
        assert_eq!(Origin::parse(&text), Some(origin.clone()));
        let undated = Origin {
            timestamp: None,
            ..origin
        };
        assert_eq!(Origin::parse(&undated.to_string()), Some(undated));
        for other in [
            "",
            "orders",
            "orders/3/17",
            "orders/x/1/-",
            "orders/3/17/-/",
            "orders/3/17/now",
        ] {
            assert_eq!(Origin::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_header_tells_of_a_replay_to_the_partition_where_the_record_is_and_to_no_other() {
        let here = Origin {
            topic: "orders".into(),
            partition: Partition(3),
            offset: Offset(17),
            timestamp: None,
        };
        let told = |value: &str| {
            let name = REPLAYED_FROM_HEADER.as_bytes();
            here.before([(&b"other"[..], None), (name, Some(value.as_bytes()))])
        };
        // A later offset, too: the topic may have been made again.
        for value in ["orders/3/5/-", "orders/3/99/2026-01-01T00:00:00Z"] {
            assert_eq!(told(value), Origin::parse(value), "{value}");
        }
        for value in ["orders/2/5/-", "mirror/3/5/-", "nowhere", ""] {
            assert_eq!(told(value), None, "{value}");
        }
        assert_eq!(here.before([]), None);
    }

    #[test]
    fn a_detail_is_printable_ascii_of_bounded_length() {
        assert_eq!(escape("naïve\u{0}\n\"x\""), "na\\u{ef}ve\\u{0}\\n\"x\"");
        assert!(escape(&"é".repeat(10_000)).len() < MAX_DETAIL_BYTES + 20);
    }
}

//! Records that cannot become orders: what is kept of them, and why.

use std::fmt;

use common::ids::{Offset, OrderId};
use common::time::Timestamp;

use crate::source::{Header, Record};

/// The longest explanation kept, in bytes.
const MAX_DETAIL_BYTES: usize = 2_000;

/// Why a record was set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
    fn a_detail_is_printable_ascii_of_bounded_length() {
        assert_eq!(escape("naïve\u{0}\n\"x\""), "na\\u{ef}ve\\u{0}\\n\"x\"");
        assert!(escape(&"é".repeat(10_000)).len() < MAX_DETAIL_BYTES + 20);
    }
}

//! From what was sent to what is published: the bytes of one order become a [`Record`] with its identity.
//!
//! An order keeps its own id. One without gets an id that is the same for the same request where the sender makes that
//! possible (an `Idempotency-Key`, a place in a file), so that a retry is counted once. The record's value is the
//! normalised order: the same body gives the same value, whenever and however often it is sent.

use std::time::Duration;

use common::ids::{OrderId, UserId};
use common::order::{FieldError, MAX_ORDER_BYTES, Order, Rejection};
use common::time::Timestamp;
use uuid::{Uuid, uuid};

/// An order ready for the topic.
#[derive(Debug, Clone)]
pub struct Record {
    pub order_id: OrderId,
    /// The record's key.
    pub user_id: UserId,
    /// The normalised order as JSON.
    pub value: Vec<u8>,
    pub received_at: Timestamp,
    pub traceparent: Option<TraceParent>,
}

impl Record {
    /// Reads one order. `order_id` gives the id of an order that has none.
    ///
    /// # Errors
    /// [`Rejection`] with everything that is wrong.
    pub fn read(
        json: &[u8],
        arrival: Arrival,
        order_id: impl FnOnce() -> OrderId,
    ) -> Result<Self, Rejection> {
        let mut order = Order::parse(json, arrival.latest_created_at)?;
        let order_id = order.order_id.get_or_insert_with(order_id).clone();
        let value = order.to_json();
        if value.len() > MAX_ORDER_BYTES {
            return Err(too_large_with_its_id(order_id, value.len()));
        }
        let received_at = arrival.received_at;
        Ok(Self {
            order_id,
            user_id: order.user_id,
            value,
            received_at,
            traceparent: None,
        })
    }
}

fn too_large_with_its_id(order_id: OrderId, length: usize) -> Rejection {
    let detail =
        format!("has {length} bytes with its order_id, at most {MAX_ORDER_BYTES} are allowed");
    let error = FieldError {
        pointer: String::new(),
        detail,
    };
    Rejection::Invalid {
        order_id: Some(order_id),
        errors: vec![error],
    }
}

/// When orders were received, and what follows from it.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    pub received_at: Timestamp,
    latest_created_at: Timestamp,
}

impl Arrival {
    /// Received now. A record carries its time in whole milliseconds and the consumer checks against that, so the
    /// limit is counted from there: what is accepted here is accepted there.
    #[must_use]
    pub fn now(max_future_skew: Duration) -> Self {
        let received_at = Timestamp::now();
        let on_record =
            Timestamp::from_millis(received_at.as_micros() / 1000).unwrap_or(received_at);
        Self {
            received_at,
            latest_created_at: on_record.saturating_add(max_future_skew),
        }
    }
}

/// Parents of the ids below: any UUID will do that never changes.
const REQUESTS: Uuid = uuid!("b2d3ac0a-9ad0-5b6c-a5f3-5f2f4a1d8c01");
const FILES: Uuid = uuid!("b2d3ac0a-9ad0-5b6c-a5f3-5f2f4a1d8c02");

/// An id for an order of which nothing says when it is sent again.
#[must_use]
pub fn new_order_id() -> OrderId {
    OrderId::from_uuid(Uuid::now_v7())
}

/// Says when a request is sent again: its `Idempotency-Key`, 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(Uuid);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 255 visible ASCII characters")]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    pub const MAX_LENGTH: usize = 255;

    /// The same key of two callers is not the same; `caller` is the name of the API key, empty without one.
    ///
    /// # Errors
    /// The key breaks its rule.
    pub fn parse(caller: &str, key: &[u8]) -> Result<Self, InvalidIdempotencyKey> {
        let visible = key.iter().all(u8::is_ascii_graphic);
        if key.is_empty() || key.len() > Self::MAX_LENGTH || !visible {
            return Err(InvalidIdempotencyKey);
        }
        let caller = Uuid::new_v5(&REQUESTS, caller.as_bytes());
        Ok(Self(Uuid::new_v5(&caller, key)))
    }

    /// The id of the only order of a request.
    #[must_use]
    pub fn order_id(&self) -> OrderId {
        OrderId::from_uuid(self.0)
    }

    /// The id of one order of a batch.
    #[must_use]
    pub fn order_id_at(&self, index: usize) -> OrderId {
        OrderId::from_uuid(Uuid::new_v5(&self.0, index.to_string().as_bytes()))
    }
}

/// Where lines come from: the same line of the same source has the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineSource(Uuid);

impl LineSource {
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self(Uuid::new_v5(&FILES, name.as_bytes()))
    }

    /// A source that is never met again.
    #[must_use]
    pub fn unique() -> Self {
        Self(Uuid::new_v4())
    }

    #[must_use]
    pub fn order_id(&self, line_number: u64, line: &[u8]) -> OrderId {
        let number = Uuid::new_v5(&self.0, &line_number.to_be_bytes());
        OrderId::from_uuid(Uuid::new_v5(&number, line))
    }
}

/// A W3C trace context that a request carried, to be carried on: `00-<trace id>-<parent id>-<flags>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceParent(Box<str>);

impl TraceParent {
    /// `None` for what is no trace context: it is not ours to complain about.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let hex = |length: usize| {
            move |part: &&str| {
                part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            }
        };
        let some_set = |part: &&str| part.bytes().any(|byte| byte != b'0');
        parts
            .next()
            .filter(hex(2))
            .filter(|version| *version == "00")?;
        parts.next().filter(hex(32)).filter(some_set)?;
        parts.next().filter(hex(16)).filter(some_set)?;
        parts.next().filter(hex(2))?;
        parts.next().is_none().then(|| Self(text.into()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival() -> Arrival {
        Arrival::now(Duration::from_secs(3600))
    }

    #[test]
    fn the_same_body_gives_the_same_value_whenever_it_is_sent() {
        let body = br#"{"amount": 12.5, "customer_id": 7, "id": "o1"}"#;
        let read = || Record::read(body, arrival(), new_order_id).unwrap();
        assert_eq!(read().value, read().value);
        assert_eq!(read().order_id.as_str(), "o1");
        assert_eq!(read().user_id.as_str(), "7");
    }

    #[test]
    fn an_order_without_an_id_carries_the_one_it_got() {
        let record =
            Record::read(br#"{"user_id":"u","amount":1}"#, arrival(), new_order_id).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&record.value).unwrap();
        assert_eq!(value["order_id"], record.order_id.as_str());
    }

    #[test]
    fn an_idempotency_key_means_the_same_order_for_the_same_caller_only() {
        let key = |caller, key| IdempotencyKey::parse(caller, key).unwrap();
        assert_eq!(key("", b"k").order_id(), key("", b"k").order_id());
        let different = [
            key("", b"k").order_id(),
            key("", b"k2").order_id(),
            key("shop", b"k").order_id(),
            key("", b"k").order_id_at(0),
            key("", b"k").order_id_at(1),
        ];
        for (index, id) in different.iter().enumerate() {
            assert!(!different[..index].contains(id), "{id}");
        }
        for bad in [&b""[..], b"a b", b"\x7f", "é".as_bytes(), &[b'k'; 256]] {
            assert_eq!(IdempotencyKey::parse("", bad), Err(InvalidIdempotencyKey));
        }
    }

    /// Whoever sent a request before an update may send it again after.
    #[test]
    fn the_ids_that_follow_from_a_key_never_change() {
        let key = |caller| IdempotencyKey::parse(caller, b"k").unwrap();
        assert_eq!(
            [
                key("").order_id(),
                key("").order_id_at(7),
                key("shop").order_id()
            ]
            .map(|id| id.to_string()),
            [
                "fcc4366a-96fa-5c02-a18e-11af5d9f2316",
                "6526fd26-b39e-587b-9163-db49e676cdf2",
                "da10b686-c48a-5b49-8a24-8ab0607795ff"
            ]
        );
    }

    #[test]
    fn a_line_has_the_same_id_at_the_same_place_of_the_same_source_only() {
        let source = LineSource::named("/orders.ndjson");
        assert_eq!(
            source.order_id(1, b"x"),
            LineSource::named("/orders.ndjson").order_id(1, b"x")
        );
        assert_ne!(source.order_id(1, b"x"), source.order_id(2, b"x"));
        assert_ne!(source.order_id(1, b"x"), source.order_id(1, b"y"));
        assert_ne!(
            source.order_id(1, b"x"),
            LineSource::named("/other").order_id(1, b"x")
        );
        assert_ne!(LineSource::unique(), LineSource::unique());
    }

    #[test]
    fn only_a_well_formed_trace_context_is_carried_on() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(TraceParent::parse(good).unwrap().as_str(), good);
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        ] {
            assert_eq!(TraceParent::parse(bad), None, "{bad}");
        }
    }
}

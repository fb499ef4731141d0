//! From a record to a complete order, or to a dead letter. Knows nothing of the database.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use common::event;
use common::ids::Currency;
use common::order::{CompleteOrder, ContentHash, Defaults, Order, Rejection};
use common::time::Timestamp;

use crate::dead_letters::{DeadLetter, Origin, REPLAYED_FROM_HEADER, Reason};
use crate::source::Record;

/// What every record of the topic is completed with.
#[derive(Debug, Clone)]
pub struct Decoder {
    pub topic: String,
    pub default_currency: Currency,
    pub max_future_skew: Duration,
}

/// A record that is an order.
#[derive(Debug, Clone)]
pub struct ReceivedOrder {
    pub received_at: Timestamp,
    /// Over the order as it was sent, before it was completed.
    pub content_hash: ContentHash,
    pub order: CompleteOrder,
}

/// What a record turned out to be.
#[derive(Debug)]
pub enum Decoded {
    Order(Box<ReceivedOrder>),
    /// The very bytes of an order that is stored already; what they say was not read again.
    Known,
    Poison(Box<DeadLetter>),
}

impl Decoder {
    /// Whatever the record holds: a defect of ours that a record brings to light must not stop every other one.
    #[must_use]
    pub fn decode(&self, record: &Record<'_>) -> Decoded {
        catch_unwind(AssertUnwindSafe(|| self.read(record))).unwrap_or_else(|_| {
            let detail = "reading it ended in a panic: a defect of the consumer, see its log";
            Decoded::Poison(Box::new(DeadLetter::new(
                record,
                Reason::Undecodable,
                detail,
                None,
            )))
        })
    }

    fn read(&self, record: &Record<'_>) -> Decoded {
        let poison = |reason, detail: &str, order_id| {
            Decoded::Poison(Box::new(DeadLetter::new(record, reason, detail, order_id)))
        };
        let Some(value) = record.value() else {
            return poison(Reason::Undecodable, "the record has no value", None);
        };
        // Only brokers older than Kafka 0.10 store no timestamp.
        let received_at = record.timestamp().unwrap_or_else(Timestamp::now);
        let latest = received_at.saturating_add(self.max_future_skew);
        match Order::parse(value, latest) {
            Ok(order) => Decoded::Order(Box::new(self.complete(
                record,
                value,
                order,
                received_at,
                latest,
            ))),
            Err(rejection) => {
                let reason = match &rejection {
                    Rejection::NotJson { .. } => Reason::Undecodable,
                    Rejection::Invalid { .. } => Reason::Invalid,
                };
                let order_id = rejection.order_id().cloned();
                poison(reason, &rejection.to_string(), order_id)
            }
        }
    }

    fn complete(
        &self,
        record: &Record<'_>,
        value: &[u8],
        order: Order,
        received_at: Timestamp,
        latest: Timestamp,
    ) -> ReceivedOrder {
        let content_hash = order.content_hash();
        let order_id = order
            .order_id
            .clone()
            .unwrap_or_else(|| self.origin(record).order_id(value));
        let sent_at = || {
            let first_read = self.origin(record).timestamp.unwrap_or(received_at);
            let sent_at =
                event::received_at(record.header(event::TIME_HEADER).as_deref(), first_read);
            // Any program may have written those headers.
            if sent_at > latest {
                received_at
            } else {
                sent_at
            }
        };
        let created_at = order.created_at.unwrap_or_else(sent_at);
        let order = order.complete(Defaults {
            order_id,
            created_at,
            currency: self.default_currency,
        });
        ReceivedOrder {
            received_at,
            content_hash,
            order,
        }
    }

    /// Where the record was first read: elsewhere, if it was replayed.
    fn origin(&self, record: &Record<'_>) -> Origin {
        let here = Origin {
            topic: self.topic.clone(),
            partition: record.partition(),
            offset: record.offset(),
            timestamp: record.timestamp(),
        };
        let replayed_from = record.header(REPLAYED_FROM_HEADER);
        let header = (REPLAYED_FROM_HEADER.as_bytes(), replayed_from.as_deref());
        here.before([header]).unwrap_or(here)
    }
}

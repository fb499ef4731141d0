//! What became of a record, and who is told.

use std::sync::Arc;

use common::ids::{Offset, Partition};
use rdkafka::message::{BorrowedMessage, Message as _, OwnedHeaders};
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::oneshot;

/// Where the broker has stored a record: only a delivery report can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    pub partition: Partition,
    pub offset: Offset,
}

/// Why a record is not known to be in the topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Larger than the topic takes: certainly not stored, and it never will be.
    #[error("larger than the topic takes")]
    TooLarge,
    /// As many records as may wait do so already; this one was not taken.
    #[error("too many orders are waiting for the broker")]
    QueueFull,
    /// The broker or the topic has not been found yet; this one was not taken.
    #[error("the broker has not been reached yet")]
    NotConnected,
    /// Taken or sent, and not confirmed: it may be stored or not.
    #[error("the broker has not confirmed the order: {0}")]
    Unconfirmed(String),
}

impl PublishError {
    /// Why the client did not take a record.
    pub(super) fn refused(code: RDKafkaErrorCode) -> Self {
        match code {
            RDKafkaErrorCode::QueueFull => Self::QueueFull,
            code => Self::undelivered(code),
        }
    }

    /// Why the client did not deliver a record that it took.
    pub(super) fn undelivered(code: RDKafkaErrorCode) -> Self {
        match code {
            RDKafkaErrorCode::MessageSizeTooLarge => Self::TooLarge,
            code => Self::Unconfirmed(code.to_string()),
        }
    }
}

/// Who is told what became of a record. Called on the client's thread: it must not block for long.
pub enum Delivery {
    /// One who waits; nobody is told where nobody waits any more.
    One(oneshot::Sender<Result<Delivered, PublishError>>),
    /// One of many, by its number.
    Of(Arc<dyn Ledger>, u64),
}

/// Keeps account of many records.
pub trait Ledger: Send + Sync {
    fn delivered(&self, number: u64, delivered: Delivered);

    /// `record` gives back what was not delivered, to be sent again.
    fn failed(&self, number: u64, error: PublishError, record: &dyn Fn() -> Undelivered);
}

impl Delivery {
    pub(super) fn settle(
        self,
        outcome: Result<Delivered, PublishError>,
        message: &BorrowedMessage<'_>,
    ) {
        match (self, outcome) {
            // An error means that the request is gone: the client has hung up or given up.
            (Self::One(waiting), outcome) => drop(waiting.send(outcome)),
            (Self::Of(ledger, number), Ok(delivered)) => ledger.delivered(number, delivered),
            (Self::Of(ledger, number), Err(error)) => {
                ledger.failed(number, error, &|| Undelivered::of(message));
            }
        }
    }
}

/// A record as it came back.
#[derive(Debug)]
pub struct Undelivered {
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
    pub(super) timestamp_ms: Option<i64>,
    pub(super) headers: OwnedHeaders,
}

impl Undelivered {
    fn of(message: &BorrowedMessage<'_>) -> Self {
        Self {
            key: message.key().unwrap_or_default().to_vec(),
            value: message.payload().unwrap_or_default().to_vec(),
            timestamp_ms: message.timestamp().to_millis(),
            headers: message
                .headers()
                .map(|headers| headers.detach())
                .unwrap_or_default(),
        }
    }

    /// The order as it was to be published.
    #[must_use]
    pub fn into_value(self) -> Vec<u8> {
        self.value
    }
}

//! A partition's records, waiting in librdkafka's own queue: the only buffer there is. Whoever owns the intake may take a
//! batch; as long as nobody does, the queue fills to its bound and fetching stops by itself.

use std::time::Duration;

use common::ids::{NextOffset, Offset};
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::types::RDKafkaErrorCode;

use super::context::{Context, take_reached_end};
use super::record::Record;
use crate::batch::{Batch, BatchLimits};
use crate::position::{LastRecord, Position};

/// Why a partition cannot be read on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// The broker no longer holds the record that was to prove the topic's identity.
    #[error("the last applied record is no longer there")]
    Unproved,
    #[error(
        "the broker does not hold offset {0}: it was deleted by retention, or the topic was made again"
    )]
    OutOfRange(NextOffset),
    #[error(
        "the record at offset {0} is not the one that was applied: the topic was made again, or compacted"
    )]
    Recreated(Offset),
    #[error("{0}")]
    Kafka(KafkaError),
}

enum Polled<'q> {
    Record(BorrowedMessage<'q>),
    /// Everything before it has come out of the queue before.
    EndOfPartition(Option<NextOffset>),
    Nothing,
}

/// The records of one partition from a position on.
pub struct Intake {
    queue: PartitionQueue<Context>,
    /// The last applied record, read first, to prove that the topic is the one the position belongs to.
    expected: Option<LastRecord>,
    next_offset: NextOffset,
    /// Where the end of the partition was reached, if no record came since.
    end: Option<NextOffset>,
}

impl Intake {
    pub(super) fn new(position: &Position, queue: PartitionQueue<Context>) -> Self {
        Self {
            queue,
            expected: position.last_record,
            next_offset: position.next_offset,
            end: None,
        }
    }

    /// Takes what has arrived, without waiting, up to the limits. Nothing has arrived: an empty batch.
    ///
    /// # Errors
    /// [`IntakeError`]: the partition cannot be read on; records taken before that are lost to this intake and will be
    /// read again by the next.
    pub fn take(&mut self, limits: BatchLimits) -> Result<Batch<'_>, IntakeError> {
        let mut records = Vec::new();
        let mut bytes = 0;
        let mut drained = false;
        while records.len() < limits.records && bytes < limits.bytes {
            let proving = self.expected.is_some();
            let message = match Self::poll(&self.queue, self.next_offset, proving)? {
                Polled::Record(message) => message,
                Polled::EndOfPartition(end) => {
                    // Of a topic that may have been made again nothing is known yet.
                    self.end = end.filter(|_| !proving);
                    continue;
                }
                Polled::Nothing => {
                    drained = true;
                    break;
                }
            };
            self.end = None;
            let record = Record::from(message);
            if let Some(expected) = self.expected.take() {
                // A later record instead of it: it was compacted away, or another topic has none at that offset.
                if record.fingerprint() != expected {
                    return Err(IntakeError::Recreated(expected.offset));
                }
                continue;
            }
            if record.offset().next() <= self.next_offset {
                continue;
            }
            self.next_offset = record.offset().next();
            bytes += record.size_bytes();
            records.push(record);
        }
        Ok(Batch::new(records, drained, self.end))
    }

    fn poll(
        queue: &PartitionQueue<Context>,
        position: NextOffset,
        proving: bool,
    ) -> Result<Polled<'_>, IntakeError> {
        const NO_WAIT: Duration = Duration::ZERO;
        match queue.poll(NO_WAIT) {
            None => Ok(Polled::Nothing),
            Some(Ok(message)) => Ok(Polled::Record(message)),
            Some(Err(KafkaError::PartitionEOF(_))) => {
                Ok(Polled::EndOfPartition(take_reached_end()))
            }
            Some(Err(KafkaError::MessageConsumption(
                RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange,
            ))) => Err(if proving {
                IntakeError::Unproved
            } else {
                IntakeError::OutOfRange(position)
            }),
            Some(Err(error)) => Err(IntakeError::Kafka(error)),
        }
    }
}

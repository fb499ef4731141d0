//! A partition's records, waiting in librdkafka's own queue: the only buffer there is. Whoever owns the intake may take a
//! batch; as long as nobody does, the queue fills to its bound and fetching stops by itself.

use std::collections::VecDeque;
use std::time::Duration;

use common::ids::{NextOffset, Offset, Partition};
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, OwnedMessage};
use rdkafka::types::RDKafkaErrorCode;

use super::context::Context;
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
    #[error("the record at offset {0} is not the one that was applied: the topic was made again")]
    Recreated(Offset),
    #[error("{0}")]
    Kafka(KafkaError),
}

/// The records of one partition from a position on.
pub struct Intake {
    partition: Partition,
    /// Came over the main queue before the partition's own queue was split from it; they precede all that is in there.
    strays: VecDeque<OwnedMessage>,
    queue: PartitionQueue<Context>,
    /// The record before the position, read first, to prove that the topic is the one the position belongs to.
    expected: Option<LastRecord>,
    next_offset: NextOffset,
}

impl Intake {
    pub(super) fn new(
        partition: Partition,
        position: &Position,
        strays: VecDeque<OwnedMessage>,
        queue: PartitionQueue<Context>,
    ) -> Self {
        Self {
            partition,
            strays,
            queue,
            expected: position.last_record,
            next_offset: position.next_offset,
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
            let record = match self.strays.pop_front() {
                Some(message) => Record::from(message),
                None => match Self::poll(&self.queue, self.next_offset, self.expected.is_some())? {
                    Some(message) => Record::from(message),
                    None => {
                        drained = true;
                        break;
                    }
                },
            };
            if let Some(expected) = self.expected.take() {
                if record.offset() == expected.offset {
                    if record.fingerprint() != expected {
                        return Err(IntakeError::Recreated(expected.offset));
                    }
                    continue;
                }
                tracing::warn!(
                    kafka.partition = self.partition.0,
                    kafka.offset = expected.offset.0,
                    "the last applied record is no longer there to compare: going on unproved"
                );
            }
            if record.offset().next() <= self.next_offset {
                continue;
            }
            self.next_offset = record.offset().next();
            bytes += record.size_bytes();
            records.push(record);
        }
        Ok(Batch::new(records, drained))
    }

    fn poll(
        queue: &PartitionQueue<Context>,
        position: NextOffset,
        proving: bool,
    ) -> Result<Option<BorrowedMessage<'_>>, IntakeError> {
        const NO_WAIT: Duration = Duration::ZERO;
        match queue.poll(NO_WAIT) {
            None => Ok(None),
            Some(Ok(message)) => Ok(Some(message)),
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

//! Records taken together, to be applied in one transaction.

use common::ids::NextOffset;

use crate::source::Record;

/// How much one transaction may hold.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    pub records: usize,
    /// Counted before the record that crosses it: a batch may be larger by one record.
    pub bytes: usize,
}

/// Consecutive records of one partition.
#[derive(Debug)]
pub struct Batch<'q> {
    records: Vec<Record<'q>>,
    drained: bool,
    end: Option<NextOffset>,
}

impl<'q> Batch<'q> {
    #[must_use]
    pub fn new(records: Vec<Record<'q>>, drained: bool, end: Option<NextOffset>) -> Self {
        Self {
            records,
            drained,
            end,
        }
    }

    #[must_use]
    pub fn records(&self) -> &[Record<'q>] {
        &self.records
    }

    /// Nothing more had arrived when this batch was taken.
    #[must_use]
    pub fn drained(&self) -> bool {
        self.drained
    }

    /// Of an empty batch: the offset before which nothing is left to read, if that is known. It came out of the queue after
    /// every record before it. What librdkafka's statistics say will not do: they may know of records that a rebalance has
    /// removed from the queue since, to be fetched again.
    #[must_use]
    pub fn end_of_partition(&self) -> Option<NextOffset> {
        self.end.filter(|_| self.records.is_empty() && self.drained)
    }
}

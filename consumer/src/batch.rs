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
    at_end: bool,
}

impl<'q> Batch<'q> {
    #[must_use]
    pub fn new(records: Vec<Record<'q>>, drained: bool, at_end: bool) -> Self {
        Self {
            records,
            drained,
            at_end,
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

    /// Of an empty batch: the offset before which nothing is left to read, if that is known. `seen_end` was read before the
    /// batch was taken, so every record before it had been queued by then; and that the queue held none since its end was
    /// reached makes it an end of this very fetch, not of an earlier one.
    #[must_use]
    pub fn end_of_partition(&self, seen_end: Option<NextOffset>) -> Option<NextOffset> {
        seen_end.filter(|_| self.records.is_empty() && self.drained && self.at_end)
    }
}

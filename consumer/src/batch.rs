//! Records taken together, to be applied in one transaction.

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
}

impl<'q> Batch<'q> {
    #[must_use]
    pub fn new(records: Vec<Record<'q>>, drained: bool) -> Self {
        Self { records, drained }
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
}

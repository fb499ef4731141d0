//! What one transaction applies.

use common::ids::OrderId;

use crate::decode::Decoded;
use crate::position::LastRecord;
use crate::source::Record;

/// Consecutive records of a partition, decoded: what one transaction applies.
#[derive(Debug, Clone, Copy)]
pub struct Slice<'b> {
    pub(super) records: &'b [Record<'b>],
    pub(super) decoded: &'b [Decoded],
}

impl<'b> Slice<'b> {
    /// `decoded[i]` is what `records[i]` turned out to be; there is at least one.
    #[must_use]
    pub fn new(records: &'b [Record<'b>], decoded: &'b [Decoded]) -> Self {
        assert_eq!(records.len(), decoded.len(), "each record is decoded");
        assert!(!records.is_empty(), "a slice has a record");
        Self { records, decoded }
    }

    /// Both halves; `None` of a single record.
    #[must_use]
    pub fn halves(self) -> Option<(Self, Self)> {
        let middle = self.records.len() / 2;
        if middle == 0 {
            return None;
        }
        let (left, right) = self.records.split_at(middle);
        let (decoded_left, decoded_right) = self.decoded.split_at(middle);
        Some((
            Self::new(left, decoded_left),
            Self::new(right, decoded_right),
        ))
    }

    #[must_use]
    pub fn records(&self) -> &'b [Record<'b>] {
        self.records
    }

    #[must_use]
    pub fn first(&self) -> &'b Record<'b> {
        &self.records[0]
    }

    /// The id of the first record's order, if it is one.
    #[must_use]
    pub fn first_order_id(&self) -> Option<OrderId> {
        match &self.decoded[0] {
            Decoded::Order(received) => Some(received.order.order_id.clone()),
            Decoded::Poison(letter) => letter.order_id.clone(),
            Decoded::Known => None,
        }
    }

    pub(super) fn last_record(&self) -> LastRecord {
        self.records[self.records.len() - 1].fingerprint()
    }
}

//! Where a partition stands: what a claim found in the database, and what each committed transaction made of it.

use common::ids::{NextOffset, Offset};

/// The number of claims a partition has seen. Whoever writes with an older one is fenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub i64);

/// First 16 bytes of the SHA-256 of a record's timestamp, key and value. A topic that was deleted and made again holds
/// another record at the same offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 16]);

/// The newest record below a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastRecord {
    pub offset: Offset,
    pub fingerprint: Fingerprint,
}

/// A partition's row of `consumer_offsets`, as its owner knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub epoch: Epoch,
    pub next_offset: NextOffset,
    /// Absent before the first batch, and after an operator set the position.
    pub last_record: Option<LastRecord>,
}

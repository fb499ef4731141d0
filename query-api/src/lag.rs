//! How far the tables are behind the topic: where each partition is applied to, and where it ended when its consumer last
//! asked the broker.

use common::ids::NextOffset;
use common::time::Timestamp;

use crate::positions::Source;

/// The lag of every partition that was ever applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lag(Vec<PartitionLag>);

/// One partition's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionLag {
    pub source: Source,
    pub next_offset: NextOffset,
    /// `None` where no consumer has told: a source of changes that is no partition of a topic.
    pub end: Option<End>,
}

/// The end of a partition at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    pub offset: NextOffset,
    pub read_at: Timestamp,
}

impl PartitionLag {
    /// Records that were in the partition then and are not applied now.
    #[must_use]
    pub fn records(&self) -> Option<u64> {
        // The position may have passed an end that was read a moment before.
        let behind = self.end?.offset.0.saturating_sub(self.next_offset.0);
        Some(u64::try_from(behind).unwrap_or(0))
    }
}

impl Lag {
    /// Over all partitions whose end is known; `None` if that is none.
    #[must_use]
    pub fn records(&self) -> Option<u64> {
        let known = self.0.iter().filter_map(PartitionLag::records);
        known.reduce(u64::saturating_add)
    }

    /// When the ends were read: the earliest of them, as the sum is no newer.
    #[must_use]
    pub fn read_at(&self) -> Option<Timestamp> {
        let ends = self.0.iter().filter_map(|partition| partition.end);
        ends.map(|end| end.read_at).min()
    }

    pub fn partitions(&self) -> impl Iterator<Item = &PartitionLag> {
        self.0.iter()
    }
}

impl FromIterator<PartitionLag> for Lag {
    /// In order of the sources.
    fn from_iter<I: IntoIterator<Item = PartitionLag>>(partitions: I) -> Self {
        let mut partitions: Vec<_> = partitions.into_iter().collect();
        partitions.sort_unstable_by(|a, b| a.source.cmp(&b.source));
        Self(partitions)
    }
}

#[cfg(test)]
mod tests {
    use common::ids::Partition;

    use super::*;

    fn partition(number: i32, next_offset: i64, end: Option<(i64, &str)>) -> PartitionLag {
        PartitionLag {
            source: Source {
                group_id: "tally".into(),
                topic: "orders".into(),
                partition: Partition(number),
            },
            next_offset: NextOffset(next_offset),
            end: end.map(|(offset, read_at)| End {
                offset: NextOffset(offset),
                read_at: Timestamp::parse(read_at).unwrap(),
            }),
        }
    }

    #[test]
    fn what_is_unknown_is_not_counted_as_zero() {
        assert_eq!(Lag::from_iter([partition(0, 5, None)]).records(), None);
        assert_eq!(Lag::default().read_at(), None);
    }

    #[test]
    fn lags_add_up_and_a_position_beyond_an_older_end_is_no_lag() {
        let lag = Lag::from_iter([
            partition(1, 12, Some((10, "2026-01-01T00:00:02Z"))),
            partition(0, 5, Some((9, "2026-01-01T00:00:01Z"))),
            partition(2, 5, None),
        ]);
        assert_eq!(lag.records(), Some(4));
        assert_eq!(lag.read_at().unwrap().to_string(), "2026-01-01T00:00:01Z");
        let records: Vec<_> = lag.partitions().map(PartitionLag::records).collect();
        assert_eq!(records, [Some(4), Some(0), None]);
    }
}

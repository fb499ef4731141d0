//! How far each partition is applied, as `consumer_offsets` says, and what lies between two such states.

use std::collections::BTreeMap;
use std::fmt;

use common::ids::{NextOffset, Partition};

/// A partition of a topic as one consumer group reads it: the key of `consumer_offsets`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    pub group_id: String,
    pub topic: String,
    pub partition: Partition,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{} of group {}",
            self.topic, self.partition, self.group_id
        )
    }
}

/// Where a source stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Batches are numbered without gaps per source: the first that was applied is 1.
    pub batch_no: i64,
    pub next_offset: NextOffset,
}

/// Where all sources stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Positions(BTreeMap<Source, Position>);

/// Batches that were applied to one source between two states: those after `after`, up to `up_to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub source: Source,
    pub after: i64,
    pub up_to: i64,
}

impl Span {
    #[must_use]
    pub fn batches(&self) -> i64 {
        self.up_to - self.after
    }
}

/// Why what was known cannot be advanced to what is now, so that everything has to be loaded again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Gap {
    #[error("{0} has no position any more")]
    Disappeared(Source),
    #[error("{0} went back to an earlier position")]
    WentBack(Source),
    #[error("batches of {0} are not on record any more")]
    Pruned(Source),
    #[error("too much has changed to advance step by step")]
    TooFar,
    #[error("this is another database than before")]
    OtherDatabase,
}

impl Positions {
    /// What has to be read to get from here to `now`.
    ///
    /// # Errors
    /// [`Gap`] where no way leads there: a database that was restored, or positions that were set.
    pub fn until(&self, now: &Self) -> Result<Vec<Span>, Gap> {
        if let Some(source) = self.0.keys().find(|source| !now.0.contains_key(source)) {
            return Err(Gap::Disappeared(source.clone()));
        }
        let mut spans = Vec::new();
        for (source, position) in &now.0 {
            let known = self.0.get(source);
            let after = known.map_or(0, |known| known.batch_no);
            let same_batch_earlier = known.is_some_and(|known| {
                known.batch_no == position.batch_no && position.next_offset < known.next_offset
            });
            if position.batch_no < after || same_batch_earlier {
                return Err(Gap::WentBack(source.clone()));
            }
            if position.batch_no > after {
                spans.push(Span {
                    source: source.clone(),
                    after,
                    up_to: position.batch_no,
                });
            }
        }
        Ok(spans)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Source, &Position)> {
        self.0.iter()
    }
}

impl FromIterator<(Source, Position)> for Positions {
    fn from_iter<I: IntoIterator<Item = (Source, Position)>>(positions: I) -> Self {
        Self(positions.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(partition: i32) -> Source {
        Source {
            group_id: "tally".into(),
            topic: "orders".into(),
            partition: Partition(partition),
        }
    }

    fn positions(rows: &[(i32, i64, i64)]) -> Positions {
        let position = |&(partition, batch_no, offset): &(i32, i64, i64)| {
            (
                source(partition),
                Position {
                    batch_no,
                    next_offset: NextOffset(offset),
                },
            )
        };
        rows.iter().map(position).collect()
    }

    #[test]
    fn what_moved_is_a_span_and_what_is_new_one_from_its_beginning() {
        let known = positions(&[(0, 3, 30), (1, 5, 50)]);
        let now = positions(&[(0, 3, 30), (1, 7, 70), (2, 2, 20), (3, 0, 0)]);
        let spans = known.until(&now).unwrap();
        let expected = [
            Span {
                source: source(1),
                after: 5,
                up_to: 7,
            },
            Span {
                source: source(2),
                after: 0,
                up_to: 2,
            },
        ];
        assert_eq!(spans, expected);
        assert_eq!(now.until(&now), Ok(Vec::new()));
    }

    #[test]
    fn a_position_without_a_batch_may_only_move_forward() {
        let known = positions(&[(0, 3, 30)]);
        assert_eq!(known.until(&positions(&[(0, 3, 31)])), Ok(Vec::new()));
        assert_eq!(
            known.until(&positions(&[(0, 3, 29)])),
            Err(Gap::WentBack(source(0)))
        );
    }

    #[test]
    fn a_batch_that_sets_the_offset_back_is_a_batch_like_any() {
        let spans = positions(&[(0, 3, 30)])
            .until(&positions(&[(0, 4, 0)]))
            .unwrap();
        assert_eq!(
            spans,
            [Span {
                source: source(0),
                after: 3,
                up_to: 4
            }]
        );
    }

    #[test]
    fn what_disappears_or_goes_back_is_a_gap() {
        let known = positions(&[(0, 3, 30), (1, 5, 50)]);
        assert_eq!(
            known.until(&positions(&[(0, 3, 30)])),
            Err(Gap::Disappeared(source(1)))
        );
        assert_eq!(
            known.until(&positions(&[(0, 2, 30), (1, 5, 50)])),
            Err(Gap::WentBack(source(0)))
        );
    }
}

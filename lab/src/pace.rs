//! When each partition's position moved, and under whom: looked at again and again while something else happens.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_postgres::Client;
use tokio_util::task::AbortOnDropHandle;

use crate::TestDatabase;

/// Short against every bound that is measured.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// A watch over a group's positions, until it is dropped.
#[derive(Debug)]
pub struct Pace {
    moves: Arc<Mutex<BTreeMap<i32, Vec<Move>>>>,
    _looking: AbortOnDropHandle<()>,
}

/// A position that was seen to have changed.
#[derive(Debug, Clone)]
struct Move {
    at: Instant,
    next_offset: i64,
    owner: String,
}

impl Pace {
    /// Begins to look.
    pub async fn watch(database: &TestDatabase, group: &str) -> Self {
        let moves = Arc::default();
        let looking = look(
            database.client().await,
            group.to_owned(),
            Arc::clone(&moves),
        );
        Self {
            moves,
            _looking: AbortOnDropHandle::new(tokio::spawn(looking)),
        }
    }

    /// The longest time, from `since` until now, in which a partition's position stood still.
    #[must_use]
    pub fn longest_stall(&self, partition: i32, since: Instant) -> Duration {
        let moves = self.moves.lock().unwrap_or_else(PoisonError::into_inner);
        let moves = moves.get(&partition).map(Vec::as_slice).unwrap_or_default();
        let mut last = since;
        let mut longest = Duration::ZERO;
        for moved in moves.iter().filter(|moved| moved.at > since) {
            longest = longest.max(moved.at - last);
            last = moved.at;
        }
        longest.max(last.elapsed())
    }

    /// When, after `since`, each of the partitions first moved on under an owner of whom `is_owner` holds; `None` as long as
    /// one has not. The latest of them counts.
    #[must_use]
    pub fn all_moved(
        &self,
        partitions: &[i32],
        since: Instant,
        is_owner: impl Fn(&str) -> bool,
    ) -> Option<Instant> {
        let moves = self.moves.lock().unwrap_or_else(PoisonError::into_inner);
        let first = |partition: &i32| {
            let mut moves = moves.get(partition)?.iter();
            moves
                .find(|moved| moved.at > since && is_owner(&moved.owner))
                .map(|moved| moved.at)
        };
        let firsts: Option<Vec<Instant>> = partitions.iter().map(first).collect();
        firsts?.into_iter().max()
    }
}

async fn look(client: Client, group: String, moves: Arc<Mutex<BTreeMap<i32, Vec<Move>>>>) {
    const SQL: &str =
        "SELECT partition, next_offset, owner FROM consumer_offsets WHERE group_id = $1";
    let mut ticks = tokio::time::interval(LOOK_INTERVAL);
    loop {
        ticks.tick().await;
        // A database that is away shows as a stall, which it is.
        let Ok(rows) = client.query(SQL, &[&group]).await else {
            continue;
        };
        let mut moves = moves.lock().unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            let seen = Move {
                at: Instant::now(),
                next_offset: row.get(1),
                owner: row.get(2),
            };
            let of_partition: &mut Vec<Move> = moves.entry(row.get(0)).or_default();
            let last = of_partition.last().map_or(0, |last| last.next_offset);
            if seen.next_offset != last {
                of_partition.push(seen);
            }
        }
    }
}

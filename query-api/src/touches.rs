//! When what an answer is made of was last changed. With it an answer that was read before a change can always be told
//! from one that was read after it, whenever it comes to be stored.
//!
//! Ticks count the changes that the feed has seen. Whoever loads an answer notes the tick before it takes its snapshot;
//! the answer holds as long as nothing that it is made of was touched by a later tick.
//!
//! Users share a fixed number of slots by their hash, so this never grows and never forgets: a load that was held up for
//! an hour is still recognised. The price is that a user's answer is now and then loaded again because of another user.
//! Hours of sales do the same, so that what was counted over a past range holds while today's orders come in.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::analytics::Hour;

/// 2 MiB. At 1,000 touched users a second an untouched user's answer holds for four minutes on average.
const SLOTS: usize = 1 << 18;

/// Hours share slots, too: 512 KiB, and those that do are seven years apart.
const HOUR_SLOTS: usize = 1 << 16;

/// Where the touches of a user are noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(usize);

/// A number of changes seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(u64);

/// What an answer is made of.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// What one user ordered.
    User(&'a str),
    /// The same, where the id is not at hand any more.
    Slot(Slot),
    /// What was ordered from an hour, inclusive, to another, exclusive.
    Hours(Hour, Hour),
    /// Anything at all.
    Everything,
}

/// The last tick that touched each subject. One task writes ([`Touches::mark`], [`Touches::forget`]); all others read.
#[derive(Debug)]
pub struct Touches {
    now: AtomicU64,
    /// What was loaded before it holds no more, whatever it is.
    floor: AtomicU64,
    everything: AtomicU64,
    users: Box<[AtomicU64]>,
    hours: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl Default for Touches {
    fn default() -> Self {
        Self {
            now: AtomicU64::new(0),
            floor: AtomicU64::new(0),
            everything: AtomicU64::new(0),
            users: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            hours: (0..HOUR_SLOTS).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl Touches {
    /// The newest tick of which every touch is marked.
    #[must_use]
    pub fn now(&self) -> Tick {
        Tick(self.now.load(Ordering::Acquire))
    }

    /// Marks these users and hours, and [`Subject::Everything`], as touched by a new tick and returns it.
    pub fn mark<'a>(
        &self,
        user_ids: impl IntoIterator<Item = &'a str>,
        hours: impl IntoIterator<Item = Hour>,
    ) -> Tick {
        let tick = self.now.load(Ordering::Relaxed) + 1;
        for user_id in user_ids {
            self.users[self.slot(user_id).0].store(tick, Ordering::Relaxed);
        }
        for hour in hours {
            self.hours[hour_slot(hour)].store(tick, Ordering::Relaxed);
        }
        self.everything.store(tick, Ordering::Relaxed);
        self.begin(tick)
    }

    /// Marks everything, constants too, as touched by a new tick and returns it.
    pub fn forget(&self) -> Tick {
        let tick = self.now.load(Ordering::Relaxed) + 1;
        self.floor.store(tick, Ordering::Relaxed);
        self.begin(tick)
    }

    /// Whoever reads the new tick sees all that was marked before.
    fn begin(&self, tick: u64) -> Tick {
        self.now.store(tick, Ordering::Release);
        Tick(tick)
    }

    /// Whether nothing has touched `subject` after `tick`.
    #[must_use]
    pub fn untouched_since(&self, subject: Subject<'_>, tick: Tick) -> bool {
        let touched = match subject {
            Subject::User(user_id) => self.last(self.slot(user_id)),
            Subject::Slot(slot) => self.last(slot),
            Subject::Hours(from, to) => self.last_within(from, to),
            Subject::Everything => self.everything.load(Ordering::Acquire),
        };
        tick.0 >= touched.max(self.floor.load(Ordering::Acquire))
    }

    fn last(&self, slot: Slot) -> u64 {
        self.users[slot.0].load(Ordering::Acquire)
    }

    fn last_within(&self, from: Hour, to: Hour) -> u64 {
        let hours = from.until(to);
        if hours >= HOUR_SLOTS as u64 {
            return self.everything.load(Ordering::Acquire);
        }
        let mut last = 0;
        let mut hour = from;
        while hour < to {
            last = last.max(self.hours[hour_slot(hour)].load(Ordering::Acquire));
            hour = hour.next();
        }
        last
    }

    /// For who has the user's id now and not when it matters.
    #[must_use]
    pub fn slot(&self, user_id: &str) -> Slot {
        let hash = self.hasher.hash_one(user_id);
        Slot(index_below(SLOTS, hash))
    }
}

fn hour_slot(hour: Hour) -> usize {
    index_below(HOUR_SLOTS, hour.number())
}

/// `slots` is a power of two.
fn index_below(slots: usize, number: u64) -> usize {
    let mask = u64::try_from(slots - 1).expect("a small number");
    usize::try_from(number & mask).expect("below the number of slots")
}

#[cfg(test)]
mod tests {
    use common::time::Timestamp;

    use super::*;

    #[test]
    fn a_touch_ends_what_was_loaded_before_it_and_nothing_that_was_loaded_after() {
        let touches = Touches::default();
        let before = touches.now();
        assert!(touches.untouched_since(Subject::User("a"), before));
        let tick = touches.mark(["a"], []);
        assert_eq!(touches.now(), tick);
        assert!(!touches.untouched_since(Subject::User("a"), before));
        assert!(!touches.untouched_since(Subject::Everything, before));
        for subject in [Subject::User("a"), Subject::Everything] {
            assert!(touches.untouched_since(subject, tick));
        }
    }

    #[test]
    fn hours_are_touched_by_themselves() {
        let touches = Touches::default();
        let hour = |text: &str| Hour::of(Timestamp::parse(text).unwrap());
        let (first, second) = (hour("2026-01-01T00:00:00Z"), hour("2026-01-01T01:00:00Z"));
        let before = touches.now();
        touches.mark([], [second]);
        assert!(touches.untouched_since(Subject::Hours(first, second), before));
        assert!(!touches.untouched_since(Subject::Hours(first, second.next()), before));
        assert!(!touches.untouched_since(Subject::Hours(second, second.next()), before));
        // Longer than all slots, and an empty one.
        assert!(
            !touches.untouched_since(Subject::Hours(hour("1970-01-01T00:00:00Z"), first), before)
        );
        assert!(touches.untouched_since(Subject::Hours(second, second), before));
    }

    #[test]
    fn forgetting_ends_everything() {
        let touches = Touches::default();
        let before = touches.mark([], []);
        let tick = touches.forget();
        for subject in [Subject::User("a"), Subject::Everything] {
            assert!(!touches.untouched_since(subject, before));
            assert!(touches.untouched_since(subject, tick));
        }
    }
}

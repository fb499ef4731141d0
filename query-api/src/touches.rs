//! When what an answer is made of was last changed. With it an answer that was read before a change can always be told
//! from one that was read after it, whenever it comes to be stored.
//!
//! Ticks count the changes that the feed has seen. Whoever loads an answer notes the tick before it takes its snapshot;
//! the answer holds as long as nothing that it is made of was touched by a later tick.
//!
//! Users share a fixed number of slots by their hash, so this never grows and never forgets: a load that was held up for
//! an hour is still recognised. The price is that a user's answer is now and then loaded again because of another user.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// 2 MiB. At 1,000 touched users a second an untouched user's answer holds for four minutes on average.
const SLOTS: usize = 1 << 18;

/// A number of changes seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(u64);

/// What an answer is made of.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// Something that does not change once it is there.
    Constant,
    /// The orders of one user.
    User(&'a str),
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
    hasher: RandomState,
}

impl Default for Touches {
    fn default() -> Self {
        Self {
            now: AtomicU64::new(0),
            floor: AtomicU64::new(0),
            everything: AtomicU64::new(0),
            users: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
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

    /// Marks these users, and [`Subject::Everything`], as touched by a new tick and returns it.
    pub fn mark<'a>(&self, user_ids: impl IntoIterator<Item = &'a str>) -> Tick {
        let tick = self.now.load(Ordering::Relaxed) + 1;
        for user_id in user_ids {
            self.slot(user_id).store(tick, Ordering::Relaxed);
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
            Subject::Constant => 0,
            Subject::User(user_id) => self.slot(user_id).load(Ordering::Acquire),
            Subject::Everything => self.everything.load(Ordering::Acquire),
        };
        tick.0 >= touched.max(self.floor.load(Ordering::Acquire))
    }

    fn slot(&self, user_id: &str) -> &AtomicU64 {
        let hash = self.hasher.hash_one(user_id);
        let mask = u64::try_from(SLOTS - 1).expect("a small number");
        let index = usize::try_from(hash & mask).expect("below the number of slots");
        &self.users[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_touch_ends_what_was_loaded_before_it_and_nothing_that_was_loaded_after() {
        let touches = Touches::default();
        let before = touches.now();
        assert!(touches.untouched_since(Subject::User("a"), before));
        let tick = touches.mark(["a"]);
        assert_eq!(touches.now(), tick);
        assert!(!touches.untouched_since(Subject::User("a"), before));
        assert!(!touches.untouched_since(Subject::Everything, before));
        assert!(touches.untouched_since(Subject::Constant, before));
        for subject in [Subject::User("a"), Subject::Everything, Subject::Constant] {
            assert!(touches.untouched_since(subject, tick));
        }
    }

    #[test]
    fn forgetting_ends_everything_even_what_never_changes() {
        let touches = Touches::default();
        let before = touches.mark([]);
        let tick = touches.forget();
        for subject in [Subject::User("a"), Subject::Everything, Subject::Constant] {
            assert!(!touches.untouched_since(subject, before));
            assert!(touches.untouched_since(subject, tick));
        }
    }
}

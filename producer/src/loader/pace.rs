//! Sending no faster than asked.

use std::time::{Duration, Instant};

/// So many a second, evenly.
pub(super) struct Pace {
    interval: Duration,
    due: Instant,
}

impl Pace {
    pub(super) fn new(per_second: u32) -> Self {
        Self {
            interval: Duration::from_secs(1) / per_second,
            due: Instant::now(),
        }
    }

    /// How long to wait before the next one. Time that was lost is made up for within a second, no longer.
    pub(super) fn next_wait(&mut self) -> Duration {
        const MAKE_UP: Duration = Duration::from_secs(1);
        let now = Instant::now();
        self.due = self.due.max(now.checked_sub(MAKE_UP).unwrap_or(now));
        let wait = self.due.saturating_duration_since(now);
        self.due += self.interval;
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_a_second_are_a_millisecond_apart() {
        let mut pace = Pace::new(1000);
        pace.next_wait();
        let waits: Vec<_> = (0..100).map(|_| pace.next_wait()).collect();
        let last = waits.last().unwrap();
        assert!(
            *last > Duration::from_millis(80) && *last <= Duration::from_millis(100),
            "{last:?}"
        );
    }
}

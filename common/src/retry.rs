//! Waiting between attempts: jittered exponential backoff. The only module that knows the `backoff` crate, which is no
//! longer maintained; whoever replaces it replaces it here.

use std::time::Duration;

use backoff::backoff::Backoff as _;

/// How long to wait before the next attempt: from `first`, half as long again each time, up to `max`, each wait drawn from
/// ±50 % around that so that many who failed together do not return together. It never gives up: the caller decides
/// what ends an attempt.
#[derive(Debug)]
pub struct Backoff {
    #[expect(clippy::disallowed_types, reason = "this is the module that may")]
    policy: backoff::ExponentialBackoff,
}

impl Backoff {
    #[must_use]
    pub fn new(first: Duration, max: Duration) -> Self {
        #[expect(clippy::disallowed_types, reason = "this is the module that may")]
        let policy = backoff::ExponentialBackoff {
            current_interval: first,
            initial_interval: first,
            max_interval: max,
            // The default gives up after 15 minutes.
            max_elapsed_time: None,
            ..backoff::ExponentialBackoff::default()
        };
        Self { policy }
    }

    /// The wait before the next attempt.
    pub fn next_wait(&mut self) -> Duration {
        self.policy
            .next_backoff()
            .unwrap_or(self.policy.max_interval)
    }

    /// After a success: the next failure starts from `first` again.
    pub fn reset(&mut self) {
        self.policy.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_the_maximum_and_start_again_after_a_reset() {
        let (first, max) = (Duration::from_millis(10), Duration::from_millis(100));
        let mut backoff = Backoff::new(first, max);
        assert!(backoff.next_wait() <= first * 3 / 2);
        for _ in 0..1_000 {
            assert!(backoff.next_wait() <= max * 3 / 2);
        }
        assert!(backoff.next_wait() >= max / 2);
        backoff.reset();
        assert!(backoff.next_wait() <= first * 3 / 2);
    }
}

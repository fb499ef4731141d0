//! Waiting for what happens elsewhere: by looking again until a deadline, never by sleeping and hoping.

use std::fmt::Display;
use std::panic::Location;
use std::time::Duration;

use tokio::time::Instant;

/// Between two looks: short against every bound that a test states, long against the cost of a look.
const INTERVAL: Duration = Duration::from_millis(20);

/// Looks until `look` gives `Ok`, and returns that; panics with the last error, at the caller's line, when `patience` is
/// over. One look is always taken, and one that is under way when time is up may finish.
///
/// # Panics
/// Nothing came within `patience`.
#[track_caller]
pub fn eventually<T, E: Display>(
    patience: Duration,
    mut look: impl AsyncFnMut() -> Result<T, E>,
) -> impl Future<Output = T> {
    let caller = Location::caller();
    async move {
        let deadline = Instant::now() + patience;
        loop {
            let error = match look().await {
                Ok(seen) => return seen,
                Err(error) => error,
            };
            assert!(
                Instant::now() < deadline,
                "{caller}: not within {patience:?}: {error:#}"
            );
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_success_is_returned() {
        let mut looks = 0;
        let seen = eventually(Duration::from_secs(5), async || {
            looks += 1;
            if looks < 3 {
                Err("too early")
            } else {
                Ok(looks)
            }
        });
        assert_eq!(seen.await, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "still dark")]
    async fn the_last_error_is_told_when_time_is_up() {
        eventually(Duration::from_millis(50), async || {
            Err::<(), _>("still dark")
        })
        .await;
    }
}

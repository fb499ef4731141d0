//! How many may do something costly at once, and how many may wait for it. Who comes beyond that is sent away at once:
//! a queue that only grows answers nobody.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Too many came before, or it took too long until there was room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many ask for this at once")]
pub struct Crowded;

#[derive(Debug)]
pub struct Gate {
    inside: Arc<Semaphore>,
    before: Semaphore,
    patience: Duration,
}

impl Gate {
    /// `inside` at once, and `before` who wait for at most `patience`.
    #[must_use]
    pub fn new(inside: usize, before: usize, patience: Duration) -> Self {
        Self {
            inside: Arc::new(Semaphore::new(inside)),
            before: Semaphore::new(before),
            patience,
        }
    }

    /// Whoever holds what this returns is inside; it goes with the work, also where nobody waits for that any more.
    ///
    /// # Errors
    /// [`Crowded`].
    pub async fn enter(&self) -> Result<OwnedSemaphorePermit, Crowded> {
        let inside = Arc::clone(&self.inside);
        if let Ok(permit) = Arc::clone(&inside).try_acquire_owned() {
            return Ok(permit);
        }
        let _waiting = self.before.try_acquire().map_err(|_| Crowded)?;
        let entered = tokio::time::timeout(self.patience, inside.acquire_owned()).await;
        // It is never closed.
        entered.map_err(|_| Crowded)?.map_err(|_| Crowded)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn who_comes_beyond_the_queue_is_sent_away_and_nobody_waits_for_ever() {
        let gate = Arc::new(Gate::new(1, 1, Duration::from_millis(200)));
        let inside = gate.enter().await.unwrap();
        let waits = {
            let gate = Arc::clone(&gate);
            tokio::spawn(async move { gate.enter().await.map(drop) })
        };
        while gate.before.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        // At once: there is room for one who waits.
        assert_eq!(gate.enter().await.unwrap_err(), Crowded);
        drop(inside);
        assert_eq!(waits.await.unwrap(), Ok(()));

        let _inside = gate.enter().await.unwrap();
        assert_eq!(gate.enter().await.unwrap_err(), Crowded);
    }
}

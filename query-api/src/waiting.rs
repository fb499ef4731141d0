//! Who waits for orders that were accepted and are not stored yet. All of them together cost one statement after each
//! look of the feed, and none while nothing was committed.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::ids::OrderId;
use metrics::gauge;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::freshness::FreshnessReceiver;
use crate::repo::Repo;
use crate::touches::Tick;

/// No more may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many requests are waiting for orders")]
pub struct TooManyWaiting;

/// Those who wait, by the order they wait for.
#[derive(Debug)]
pub struct Waiting {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    by_order: HashMap<OrderId, Vec<oneshot::Sender<()>>>,
    count: usize,
    /// Somebody came since the last statement.
    is_new: bool,
    is_closed: bool,
}

impl State {
    /// Takes away who does not wait any more.
    fn sweep(&mut self) {
        self.by_order.retain(|_, waiters| {
            waiters.retain(|waiter| !waiter.is_closed());
            !waiters.is_empty()
        });
        self.count = self.by_order.values().map(Vec::len).sum();
    }
}

impl Waiting {
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            state: Mutex::default(),
        }
    }

    /// Resolves to `Ok` when the order is stored, to an error when the service stops. Dropping it ends the wait.
    ///
    /// # Errors
    /// [`TooManyWaiting`].
    pub fn wait_for(&self, order_id: &OrderId) -> Result<oneshot::Receiver<()>, TooManyWaiting> {
        let (waiter, stored) = oneshot::channel();
        let mut state = self.state();
        if state.count >= self.capacity {
            state.sweep();
        }
        if state.is_closed {
            return Ok(stored);
        }
        if state.count >= self.capacity {
            return Err(TooManyWaiting);
        }
        state
            .by_order
            .entry(order_id.clone())
            .or_default()
            .push(waiter);
        state.count += 1;
        state.is_new = true;
        Ok(stored)
    }

    /// Wakes those whose order is stored, until `stop`.
    pub async fn run(
        &self,
        repo: &Repo,
        mut freshness: FreshnessReceiver,
        stop: CancellationToken,
    ) {
        let mut looked_at = None;
        let watched = async {
            while freshness.changed().await.is_ok() {
                let tick = freshness
                    .borrow_and_update()
                    .seen
                    .as_ref()
                    .map(|seen| seen.tick);
                self.look(repo, tick, &mut looked_at).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = watched => {}
        }
        self.close();
    }

    async fn look(&self, repo: &Repo, tick: Option<Tick>, looked_at: &mut Option<Tick>) {
        let Some(order_ids) = self.order_ids(*looked_at != tick) else {
            return;
        };
        match repo.existing(&order_ids).await {
            Ok(stored) => {
                *looked_at = tick;
                self.wake(&stored);
            }
            // Everybody goes on waiting, and the next look tries again.
            Err(error) => {
                tracing::debug!(%error, "orders that are waited for could not be looked up");
                self.state().is_new = true;
            }
        }
    }

    /// What to look up: nothing if nobody waits, or if nothing has changed for those who do.
    fn order_ids(&self, moved: bool) -> Option<Vec<OrderId>> {
        let mut state = self.state();
        state.sweep();
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        gauge!("query_api_waiting_requests").set(state.count as f64);
        let due = moved || state.is_new;
        state.is_new = false;
        let order_ids: Vec<OrderId> = state.by_order.keys().cloned().collect();
        (due && !order_ids.is_empty()).then_some(order_ids)
    }

    fn wake(&self, stored: &[OrderId]) {
        let mut state = self.state();
        for order_id in stored {
            for waiter in state.by_order.remove(order_id).unwrap_or_default() {
                state.count -= 1;
                if waiter.send(()).is_err() {
                    tracing::trace!(order.id = %order_id, "who waited has gone");
                }
            }
        }
    }

    fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.by_order.clear();
        state.count = 0;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order_id(text: &str) -> OrderId {
        OrderId::parse(text).unwrap()
    }

    #[tokio::test]
    async fn those_whose_order_is_stored_wake_and_no_other() {
        let waiting = Waiting::new(10);
        let (first, second) = (
            waiting.wait_for(&order_id("a")).unwrap(),
            waiting.wait_for(&order_id("a")).unwrap(),
        );
        let mut other = waiting.wait_for(&order_id("b")).unwrap();
        waiting.wake(&[order_id("a")]);
        assert_eq!((first.await, second.await), (Ok(()), Ok(())));
        assert!(other.try_recv().is_err());
        assert_eq!(waiting.order_ids(true), Some(vec![order_id("b")]));
    }

    #[tokio::test]
    async fn nobody_is_looked_up_twice_unless_something_moved() {
        let waiting = Waiting::new(10);
        assert_eq!(waiting.order_ids(true), None);
        let _waits = waiting.wait_for(&order_id("a")).unwrap();
        assert_eq!(waiting.order_ids(false), Some(vec![order_id("a")]));
        assert_eq!(waiting.order_ids(false), None);
        assert_eq!(waiting.order_ids(true), Some(vec![order_id("a")]));
    }

    #[tokio::test]
    async fn who_goes_away_makes_room() {
        let waiting = Waiting::new(2);
        let first = waiting.wait_for(&order_id("a")).unwrap();
        let _second = waiting.wait_for(&order_id("b")).unwrap();
        assert_eq!(
            waiting.wait_for(&order_id("c")).unwrap_err(),
            TooManyWaiting
        );
        drop(first);
        assert!(waiting.wait_for(&order_id("c")).is_ok());
    }

    #[tokio::test]
    async fn a_stop_ends_every_wait() {
        let waiting = Waiting::new(2);
        let before = waiting.wait_for(&order_id("a")).unwrap();
        waiting.close();
        let after = waiting.wait_for(&order_id("a")).unwrap();
        assert!(before.await.is_err() && after.await.is_err());
    }
}

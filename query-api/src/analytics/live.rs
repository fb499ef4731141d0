//! The aggregates that all answers share: read by many, replaced or advanced by the feed alone.

use std::sync::PoisonError;

use crossbeam_utils::sync::ShardedLock;

use super::Analytics;

/// There are no aggregates to answer from: they are being loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the totals are being loaded")]
pub struct NotLoaded;

/// One [`Analytics`] behind a lock, or none while it is being loaded. Many cores read and one task writes twenty times a second:
/// each reading thread has a part of the lock for itself.
#[derive(Debug, Default)]
pub struct Live(ShardedLock<Option<Analytics>>);

impl Live {
    /// Looks at one state; nothing changes while `look` runs, so it should copy what it needs and print later.
    ///
    /// # Errors
    /// [`NotLoaded`] before the first load, and while everything is loaded again.
    pub fn read<T>(&self, look: impl FnOnce(&Analytics) -> T) -> Result<T, NotLoaded> {
        // A panic elsewhere while the lock was held stops the process: nothing half-changed is ever answered from.
        let guard = self.0.read().unwrap_or_else(PoisonError::into_inner);
        guard.as_ref().map(look).ok_or(NotLoaded)
    }

    /// Changes the state, unseen by readers until it is done. Nothing happens while there is none.
    pub fn advance(&self, change: impl FnOnce(&mut Analytics)) {
        if let Some(analytics) = self
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
        {
            change(analytics);
        }
    }

    /// Puts another state, or none, in the place of this one.
    pub fn replace(&self, analytics: Option<Analytics>) {
        let before = {
            let mut guard = self.0.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *guard, analytics)
        };
        // Freeing a million users takes a while: not under the lock.
        drop(before);
    }
}

//! Memory that requests take together: bodies while they arrive, large answers until their clients have them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that may be held at once.
#[derive(Debug)]
pub struct Room {
    free: AtomicUsize,
}

/// What one request holds of a [`Room`]; given back when it is dropped.
#[derive(Debug)]
pub struct Reserved {
    room: Arc<Room>,
    bytes: usize,
}

/// So much is not free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no room at the moment")]
pub struct NoRoom;

impl Room {
    #[must_use]
    pub fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            free: AtomicUsize::new(bytes),
        })
    }

    #[must_use]
    pub fn reserve_nothing(self: &Arc<Self>) -> Reserved {
        Reserved {
            room: Arc::clone(self),
            bytes: 0,
        }
    }

    /// # Errors
    /// [`NoRoom`], at once: nobody waits for room.
    pub fn reserve(self: &Arc<Self>, bytes: usize) -> Result<Reserved, NoRoom> {
        let mut reserved = self.reserve_nothing();
        reserved.grow_to(bytes)?;
        Ok(reserved)
    }
}

impl Reserved {
    /// Holds at least so many bytes.
    ///
    /// # Errors
    /// [`NoRoom`], at once: nobody waits for room while holding some, so nobody waits for ever. What was held still is.
    pub fn grow_to(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let more = bytes.saturating_sub(self.bytes);
        let take = |free: usize| free.checked_sub(more);
        let free = &self.room.free;
        free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .map_err(|_| NoRoom)?;
        self.bytes += more;
        Ok(())
    }

    /// Holds at most so many bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes);
        self.room.free.fetch_add(less, Ordering::Relaxed);
        self.bytes -= less;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_that_was_taken_is_given_back() {
        let room = Room::new(100);
        let mut first = room.reserve(60).unwrap();
        first.grow_to(80).unwrap();
        let mut second = room.reserve_nothing();
        assert_eq!(second.grow_to(21), Err(NoRoom));
        second.grow_to(20).unwrap();
        first.shrink_to(90);
        assert_eq!(second.grow_to(21), Err(NoRoom));
        first.shrink_to(50);
        second.grow_to(50).unwrap();
        drop(first);
        second.grow_to(100).unwrap();
    }
}

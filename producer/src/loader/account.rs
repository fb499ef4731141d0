//! What became of every line. Delivery reports arrive on the client's thread in any order; the frontier moves over lines
//! only in theirs.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::ids::{NextOffset, Partition};
use serde::{Deserialize, Serialize};

mod books;
#[cfg(test)]
mod tests;

use books::{Books, Entry};

use crate::publisher::{Delivered, Ledger, PublishError, Undelivered};

/// Where a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// By its position among the files.
    pub(super) file: usize,
    pub(super) line: u64,
}

/// A record that came back.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) number: u64,
    pub(super) place: Place,
    pub(super) error: PublishError,
    pub(super) record: Undelivered,
}

/// How far one file was settled, without a gap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileMark {
    pub(super) lines: u64,
    pub(super) accepted: u64,
    pub(super) rejected: u64,
    pub(super) complete: bool,
}

/// What all files together came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) lines: u64,
    pub(super) accepted: u64,
    pub(super) rejected: u64,
    /// Sent, and nothing known of them.
    pub(super) open: u64,
    /// Per partition, where to read on after the last record that was confirmed.
    pub(super) last_offsets: BTreeMap<Partition, NextOffset>,
}

/// The books of a load, shared by who sends and who hears of deliveries.
pub(super) struct Account {
    shared: Mutex<Shared>,
    changed: Condvar,
}

struct Shared {
    books: Books,
    /// Somebody waits for room, or for everything to be settled.
    awaited: bool,
}

impl Account {
    /// `marks` tells how far each file was settled by earlier loads.
    pub(super) fn new(marks: Vec<FileMark>) -> Self {
        let shared = Shared {
            books: Books::new(marks),
            awaited: false,
        };
        Self {
            shared: Mutex::new(shared),
            changed: Condvar::new(),
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a line that is being sent, and numbers it.
    pub(super) fn open(&self, place: Place, bytes: usize) -> u64 {
        self.shared().books.open(place, bytes)
    }

    /// Takes back the line that was entered last: it was not sent after all.
    pub(super) fn withdraw(&self) {
        self.shared().books.withdraw();
    }

    /// Enters an order that is only checked.
    pub(super) fn accepted_unsent(&self) {
        self.shared().books.enter_settled(Entry::Accepted);
    }

    pub(super) fn rejected(&self) {
        self.shared().books.enter_settled(Entry::Rejected);
    }

    pub(super) fn blank(&self) {
        self.shared().books.enter_settled(Entry::Blank);
    }

    pub(super) fn end_of_file(&self) {
        self.shared().books.enter_settled(Entry::EndOfFile);
    }

    /// A record that came back will never be taken.
    pub(super) fn reject_open(&self, number: u64) {
        self.shared().books.settle(number, Entry::Rejected);
    }

    /// Waits until one more may be entered, at most for `timeout`; false if there is still no room.
    pub(super) fn wait_for_room(&self, timeout: Duration) -> bool {
        self.wait_until(Books::has_room, timeout)
    }

    /// Waits until nothing is open, at most for `timeout`; false if something still is.
    pub(super) fn wait_until_settled(&self, timeout: Duration) -> bool {
        self.wait_until(Books::is_settled, timeout)
    }

    fn wait_until(&self, reached: impl Fn(&Books) -> bool, timeout: Duration) -> bool {
        let mut shared = self.shared();
        if reached(&shared.books) {
            return true;
        }
        shared.awaited = true;
        let (mut shared, _) = self
            .changed
            .wait_timeout(shared, timeout)
            .unwrap_or_else(PoisonError::into_inner);
        shared.awaited = false;
        reached(&shared.books)
    }

    /// Takes the records that came back.
    pub(super) fn take_failed(&self) -> Vec<Failed> {
        std::mem::take(&mut self.shared().books.failed)
    }

    pub(super) fn put_back(&self, failed: Vec<Failed>) {
        self.shared().books.failed.extend(failed);
    }

    /// For how long nothing has become known of what is open.
    pub(super) fn stalled(&self) -> Duration {
        self.shared().books.stalled()
    }

    /// Whether nothing is open.
    pub(super) fn is_settled(&self) -> bool {
        self.shared().books.is_settled()
    }

    /// Whether every file was read to its end.
    pub(super) fn is_complete(&self) -> bool {
        self.shared().books.is_complete()
    }

    pub(super) fn counts(&self) -> Counts {
        self.shared().books.counts.clone()
    }

    /// How far each file is settled.
    pub(super) fn marks(&self) -> Vec<FileMark> {
        self.shared().books.marks.clone()
    }
}

impl Ledger for Account {
    fn delivered(&self, number: u64, delivered: Delivered) {
        let mut shared = self.shared();
        shared.books.delivered(number, delivered);
        if shared.awaited && (shared.books.has_much_room() || shared.books.is_settled()) {
            self.changed.notify_one();
        }
    }

    fn failed(&self, number: u64, error: PublishError, record: &dyn Fn() -> Undelivered) {
        let record = record();
        let mut shared = self.shared();
        shared.books.came_back(number, error, record);
        if shared.awaited {
            self.changed.notify_one();
        }
    }
}

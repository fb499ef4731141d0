//! What became of every line: the loader's books. Delivery reports arrive on the client's thread in any order; the frontier
//! moves over lines only in theirs.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::ids::{NextOffset, Partition};
use serde::{Deserialize, Serialize};

use crate::publisher::{Delivered, Ledger, PublishError, Undelivered};

/// Records that may wait for their reports.
const MAX_OPEN_RECORDS: usize = 32_768;
/// Bytes of records that may wait for their reports.
const MAX_OPEN_BYTES: usize = 32 * 1024 * 1024;
/// Lines after the oldest one that is not settled.
const MAX_WINDOW: usize = 4 * MAX_OPEN_RECORDS;

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

pub(super) struct Account {
    books: Mutex<Books>,
    changed: Condvar,
}

struct Books {
    /// The number of the window's first entry.
    first: u64,
    /// From the oldest line that is not settled.
    window: VecDeque<Entry>,
    /// How far each file is settled, and which one the frontier is in.
    marks: Vec<FileMark>,
    current: usize,
    counts: Counts,
    open_bytes: usize,
    failed: Vec<Failed>,
    /// When something last became known, or began to be waited for.
    last_progress: Instant,
    /// Somebody waits for room, or for everything to be settled.
    awaited: bool,
}

enum Entry {
    Open { place: Place, bytes: usize },
    Accepted,
    Rejected,
    Blank,
    EndOfFile,
}

impl Account {
    /// `marks` tells how far each file was settled by earlier loads.
    pub(super) fn new(marks: Vec<FileMark>) -> Self {
        let mut counts = Counts::default();
        for mark in &marks {
            counts.lines += mark.lines;
            counts.accepted += mark.accepted;
            counts.rejected += mark.rejected;
        }
        let books = Books {
            first: 0,
            window: VecDeque::new(),
            current: next_incomplete(&marks, 0),
            marks,
            counts,
            open_bytes: 0,
            failed: Vec::new(),
            last_progress: Instant::now(),
            awaited: false,
        };
        Self {
            books: Mutex::new(books),
            changed: Condvar::new(),
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a line that is being sent, and numbers it.
    pub(super) fn open(&self, place: Place, bytes: usize) -> u64 {
        let mut books = self.books();
        if books.counts.open == 0 {
            books.last_progress = Instant::now();
        }
        books.counts.open += 1;
        books.open_bytes += bytes;
        books.enter(Entry::Open { place, bytes })
    }

    /// Takes back the line that was entered last: it was not sent after all.
    pub(super) fn withdraw(&self) {
        let mut books = self.books();
        if let Some(Entry::Open { bytes, .. }) = books.window.pop_back() {
            books.counts.lines -= 1;
            books.counts.open -= 1;
            books.open_bytes -= bytes;
        }
    }

    pub(super) fn accepted_unsent(&self) {
        self.settled(Entry::Accepted);
    }

    pub(super) fn rejected(&self) {
        self.settled(Entry::Rejected);
    }

    pub(super) fn blank(&self) {
        self.settled(Entry::Blank);
    }

    pub(super) fn end_of_file(&self) {
        self.settled(Entry::EndOfFile);
    }

    fn settled(&self, entry: Entry) {
        let mut books = self.books();
        match entry {
            Entry::Accepted => books.counts.accepted += 1,
            Entry::Rejected => books.counts.rejected += 1,
            Entry::Open { .. } | Entry::Blank | Entry::EndOfFile => {}
        }
        books.enter(entry);
        books.advance();
    }

    /// Waits until one more may be sent, at most for `timeout`; false if there is still no room.
    pub(super) fn wait_for_room(&self, timeout: Duration) -> bool {
        let books = self.books();
        if books.has_room() {
            return true;
        }
        self.wait(books, timeout).has_room()
    }

    /// Waits until nothing is open, at most for `timeout`; false if something still is.
    pub(super) fn wait_until_settled(&self, timeout: Duration) -> bool {
        let books = self.books();
        if books.counts.open == 0 {
            return true;
        }
        self.wait(books, timeout).counts.open == 0
    }

    fn wait<'a>(
        &self,
        mut books: MutexGuard<'a, Books>,
        timeout: Duration,
    ) -> MutexGuard<'a, Books> {
        books.awaited = true;
        let (mut books, _) = self
            .changed
            .wait_timeout(books, timeout)
            .unwrap_or_else(PoisonError::into_inner);
        books.awaited = false;
        books
    }

    /// Takes the records that came back.
    pub(super) fn take_failed(&self) -> Vec<Failed> {
        std::mem::take(&mut self.books().failed)
    }

    pub(super) fn put_back(&self, failed: impl IntoIterator<Item = Failed>) {
        self.books().failed.extend(failed);
    }

    /// For how long nothing has become known of what is open.
    pub(super) fn stalled(&self) -> Duration {
        self.books().last_progress.elapsed()
    }

    /// Whether every file was read to its end.
    pub(super) fn is_complete(&self) -> bool {
        let books = self.books();
        let ends = books
            .window
            .iter()
            .filter(|entry| matches!(entry, Entry::EndOfFile))
            .count();
        let incomplete = books.marks.iter().filter(|mark| !mark.complete).count();
        ends == incomplete
    }

    pub(super) fn counts(&self) -> Counts {
        self.books().counts.clone()
    }

    /// How far each file is settled.
    pub(super) fn marks(&self) -> Vec<FileMark> {
        self.books().marks.clone()
    }

    fn settle(&self, number: u64, change: impl FnOnce(&mut Books) -> Entry) {
        let mut books = self.books();
        let entry = change(&mut books);
        let index = books.index_of(number);
        let Entry::Open { bytes, .. } = std::mem::replace(&mut books.window[index], entry) else {
            unreachable!("a line is settled once");
        };
        books.counts.open -= 1;
        books.open_bytes -= bytes;
        books.last_progress = Instant::now();
        books.advance();
        if books.awaited && (books.has_much_room() || books.counts.open == 0) {
            self.changed.notify_one();
        }
    }

    /// A record that came back will never be taken.
    pub(super) fn reject_open(&self, number: u64) {
        self.settle(number, |books| {
            books.counts.rejected += 1;
            Entry::Rejected
        });
    }
}

impl Ledger for Account {
    fn delivered(&self, number: u64, Delivered { partition, offset }: Delivered) {
        self.settle(number, |books| {
            books.counts.accepted += 1;
            let next = books
                .counts
                .last_offsets
                .entry(partition)
                .or_insert_with(|| offset.next());
            *next = (*next).max(offset.next());
            Entry::Accepted
        });
    }

    fn failed(&self, number: u64, error: PublishError, record: &dyn Fn() -> Undelivered) {
        let record = record();
        let mut books = self.books();
        let index = books.index_of(number);
        let Entry::Open { place, .. } = books.window[index] else {
            unreachable!("a line is settled once");
        };
        books.failed.push(Failed {
            number,
            place,
            error,
            record,
        });
        if books.awaited {
            self.changed.notify_one();
        }
    }
}

/// Files that earlier loads completed are not read again.
fn next_incomplete(marks: &[FileMark], from: usize) -> usize {
    marks
        .iter()
        .skip(from)
        .position(|mark| !mark.complete)
        .map_or(marks.len(), |offset| from + offset)
}

impl Books {
    fn enter(&mut self, entry: Entry) -> u64 {
        if !matches!(entry, Entry::EndOfFile) {
            self.counts.lines += 1;
        }
        self.window.push_back(entry);
        self.first + u64::try_from(self.window.len()).expect("a count fits 64 bits") - 1
    }

    fn index_of(&self, number: u64) -> usize {
        usize::try_from(number - self.first).expect("a line that is open is in the window")
    }

    /// Moves the frontier over everything that is settled.
    fn advance(&mut self) {
        while let Some(entry) = self
            .window
            .pop_front_if(|entry| !matches!(entry, Entry::Open { .. }))
        {
            self.first += 1;
            let Some(mark) = self.marks.get_mut(self.current) else {
                continue;
            };
            match entry {
                Entry::EndOfFile => {
                    mark.complete = true;
                    self.current = next_incomplete(&self.marks, self.current + 1);
                    continue;
                }
                Entry::Accepted => mark.accepted += 1,
                Entry::Rejected => mark.rejected += 1,
                Entry::Blank | Entry::Open { .. } => {}
            }
            mark.lines += 1;
        }
    }

    fn open_records(&self) -> usize {
        usize::try_from(self.counts.open).unwrap_or(usize::MAX)
    }

    fn has_room(&self) -> bool {
        self.open_records() < MAX_OPEN_RECORDS
            && self.open_bytes < MAX_OPEN_BYTES
            && self.window.len() < MAX_WINDOW
    }

    /// Whoever waited is woken for more than one record.
    fn has_much_room(&self) -> bool {
        self.open_records() < MAX_OPEN_RECORDS * 3 / 4
            && self.open_bytes < MAX_OPEN_BYTES * 3 / 4
            && self.window.len() < MAX_WINDOW * 3 / 4
    }
}

#[cfg(test)]
mod tests {
    use common::ids::Offset;
    use proptest::prelude::*;

    use super::*;

    const PLACE: Place = Place { file: 0, line: 1 };

    fn delivered(offset: i64) -> Delivered {
        Delivered {
            partition: Partition(0),
            offset: Offset(offset),
        }
    }

    #[test]
    fn the_frontier_stops_at_the_oldest_line_that_is_open() {
        let account = Account::new(vec![FileMark::default()]);
        let first = account.open(PLACE, 10);
        account.rejected();
        let third = account.open(PLACE, 10);
        account.blank();
        account.delivered(third, delivered(7));
        assert_eq!(account.marks()[0], FileMark::default());
        account.delivered(first, delivered(6));
        assert_eq!(
            account.marks()[0],
            FileMark {
                lines: 4,
                accepted: 2,
                rejected: 1,
                complete: false
            }
        );
        assert_eq!(
            account.counts().last_offsets,
            BTreeMap::from([(Partition(0), NextOffset(8))])
        );
    }

    #[test]
    fn a_file_is_complete_when_its_end_is_behind_the_frontier() {
        let account = Account::new(vec![FileMark::default(), FileMark::default()]);
        let first = account.open(PLACE, 10);
        account.end_of_file();
        account.rejected();
        assert!(!account.marks()[0].complete);
        account.delivered(first, delivered(0));
        assert_eq!(
            account.marks(),
            [
                FileMark {
                    lines: 1,
                    accepted: 1,
                    rejected: 0,
                    complete: true
                },
                FileMark {
                    lines: 1,
                    accepted: 0,
                    rejected: 1,
                    complete: false
                },
            ]
        );
    }

    #[test]
    fn a_line_that_was_not_sent_leaves_no_trace() {
        let account = Account::new(vec![FileMark::default()]);
        account.open(PLACE, 10);
        account.withdraw();
        assert_eq!(account.counts(), Counts::default());
        assert!(account.wait_until_settled(Duration::ZERO));
    }

    #[test]
    fn earlier_loads_count() {
        let mark = FileMark {
            lines: 5,
            accepted: 3,
            rejected: 2,
            complete: false,
        };
        let account = Account::new(vec![mark]);
        let number = account.open(PLACE, 1);
        account.delivered(number, delivered(0));
        assert_eq!(account.marks()[0].lines, 6);
        assert_eq!(
            (account.counts().accepted, account.counts().rejected),
            (4, 2)
        );
    }

    proptest! {
        /// In whatever order reports come, the mark never claims a line after one that is open.
        #[test]
        fn a_mark_is_a_frontier_and_never_a_high_water_mark(
            order in Just((0..20_u64).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let account = Account::new(vec![FileMark::default()]);
            for _ in 0..20 {
                account.open(PLACE, 1);
            }
            let mut settled = [false; 20];
            for number in order {
                account.delivered(number, delivered(i64::try_from(number).unwrap()));
                settled[usize::try_from(number).unwrap()] = true;
                let without_gap = settled.iter().take_while(|settled| **settled).count();
                prop_assert_eq!(account.marks()[0].lines, without_gap as u64);
            }
        }
    }
}

//! The books themselves: plain data, one change a method. Locking and waiting are the account's.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Counts, Failed, FileMark, Place};
use crate::publisher::{Delivered, PublishError, Undelivered};

/// Records that may wait for their reports.
const MAX_OPEN_RECORDS: usize = 32_768;
/// Bytes of records that may wait for their reports.
const MAX_OPEN_BYTES: usize = 32 * 1024 * 1024;
/// Lines after the oldest one that is not settled.
const MAX_WINDOW: usize = 4 * MAX_OPEN_RECORDS;

pub(super) struct Books {
    /// The number of the window's first entry.
    first: u64,
    /// From the oldest line that is not settled.
    window: VecDeque<Entry>,
    /// How far each file is settled, and which one the frontier is in.
    pub(super) marks: Vec<FileMark>,
    current: usize,
    pub(super) counts: Counts,
    open_bytes: usize,
    pub(super) failed: Vec<Failed>,
    /// When something last became known, or began to be waited for.
    last_progress: Instant,
}

/// One line, or the end of a file.
pub(super) enum Entry {
    Open { place: Place, bytes: usize },
    Accepted,
    Rejected,
    Blank,
    EndOfFile,
}

impl Books {
    pub(super) fn new(marks: Vec<FileMark>) -> Self {
        let mut counts = Counts::default();
        for mark in &marks {
            counts.lines += mark.lines;
            counts.accepted += mark.accepted;
            counts.rejected += mark.rejected;
        }
        Self {
            first: 0,
            window: VecDeque::new(),
            current: next_incomplete(&marks, 0),
            marks,
            counts,
            open_bytes: 0,
            failed: Vec::new(),
            last_progress: Instant::now(),
        }
    }

    /// Enters a line that is being sent, and numbers it.
    pub(super) fn open(&mut self, place: Place, bytes: usize) -> u64 {
        if self.counts.open == 0 {
            self.last_progress = Instant::now();
        }
        self.counts.open += 1;
        self.open_bytes += bytes;
        self.push(Entry::Open { place, bytes })
    }

    /// Takes back the line that was entered last.
    pub(super) fn withdraw(&mut self) {
        if let Some(Entry::Open { bytes, .. }) = self.window.pop_back() {
            self.counts.lines -= 1;
            self.counts.open -= 1;
            self.open_bytes -= bytes;
        }
    }

    /// Enters what is settled from the beginning.
    pub(super) fn enter_settled(&mut self, entry: Entry) {
        self.count(&entry);
        self.push(entry);
        self.advance();
    }

    pub(super) fn delivered(&mut self, number: u64, Delivered { partition, offset }: Delivered) {
        let next = self
            .counts
            .last_offsets
            .entry(partition)
            .or_insert_with(|| offset.next());
        *next = (*next).max(offset.next());
        self.settle(number, Entry::Accepted);
    }

    pub(super) fn settle(&mut self, number: u64, entry: Entry) {
        self.count(&entry);
        let index = self.index_of(number);
        let Entry::Open { bytes, .. } = std::mem::replace(&mut self.window[index], entry) else {
            unreachable!("a line is settled once");
        };
        self.counts.open -= 1;
        self.open_bytes -= bytes;
        self.last_progress = Instant::now();
        self.advance();
    }

    /// Keeps a record that came back; its line stays open.
    pub(super) fn came_back(&mut self, number: u64, error: PublishError, record: Undelivered) {
        let Entry::Open { place, .. } = self.window[self.index_of(number)] else {
            unreachable!("a line is settled once");
        };
        self.failed.push(Failed {
            number,
            place,
            error,
            record,
        });
    }

    fn count(&mut self, entry: &Entry) {
        match entry {
            Entry::Accepted => self.counts.accepted += 1,
            Entry::Rejected => self.counts.rejected += 1,
            Entry::Open { .. } | Entry::Blank | Entry::EndOfFile => {}
        }
    }

    fn push(&mut self, entry: Entry) -> u64 {
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
        let is_settled = |entry: &mut Entry| !matches!(entry, Entry::Open { .. });
        while let Some(entry) = self.window.pop_front_if(is_settled) {
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

    /// Whether the end of every file was entered.
    pub(super) fn is_complete(&self) -> bool {
        let ends = self
            .window
            .iter()
            .filter(|entry| matches!(entry, Entry::EndOfFile))
            .count();
        let incomplete = self.marks.iter().filter(|mark| !mark.complete).count();
        ends == incomplete
    }

    pub(super) fn stalled(&self) -> Duration {
        self.last_progress.elapsed()
    }

    pub(super) fn is_settled(&self) -> bool {
        self.counts.open == 0
    }

    pub(super) fn has_room(&self) -> bool {
        self.is_below(1, 1)
    }

    /// Whoever waited is woken for more than one record.
    pub(super) fn has_much_room(&self) -> bool {
        self.is_below(3, 4)
    }

    /// Whether less than this share of what may be waited for is.
    fn is_below(&self, numerator: usize, denominator: usize) -> bool {
        let open = usize::try_from(self.counts.open).unwrap_or(usize::MAX);
        open < MAX_OPEN_RECORDS * numerator / denominator
            && self.open_bytes < MAX_OPEN_BYTES * numerator / denominator
            && self.window.len() < MAX_WINDOW * numerator / denominator
    }
}

/// Files that earlier loads completed are not read again.
fn next_incomplete(marks: &[FileMark], from: usize) -> usize {
    let offset = marks.iter().skip(from).position(|mark| !mark.complete);
    offset.map_or(marks.len(), |offset| from + offset)
}

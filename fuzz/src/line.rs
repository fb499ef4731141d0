//! A file of the loader: however it is cut into blocks, each of its lines is judged once and by itself.

use std::io::{self, Read};

use common::order::Rejection;
use producer::loader::judge::{Line, judge_block};
use producer::loader::lines::Lines;
use producer::request::{Arrival, LineSource, Record};

use super::body;

/// The first byte says how many bytes come at a time.
pub fn check(bytes: &[u8]) {
    let Some((at_a_time, file)) = bytes.split_first() else {
        return;
    };
    let arrival = body::arrival();
    let source = LineSource::named("fuzz");
    let expected = one_by_one(file);
    let mut judged = Vec::new();
    let trickle = Trickle {
        rest: file,
        at_a_time: usize::from(*at_a_time).max(1),
    };
    let mut lines = Lines::new(trickle, at_a_time % 2 == 1);
    while let Some(block) = lines.next_block().expect("memory can always be read") {
        judge_block(0, block, source, arrival, |piece| {
            judged.extend((piece.first_line..).zip(piece.lines));
            true
        });
    }
    assert_eq!(judged.len(), expected.len());
    for ((number, judged), (line, expected)) in judged.into_iter().zip((1..).zip(expected)) {
        assert_eq!(number, line);
        check_line(number, expected, judged, source, arrival);
    }
}

/// The lines without their ends; the last one may lack its own.
fn one_by_one(file: &[u8]) -> Vec<&[u8]> {
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    let mut lines: Vec<_> = file.split(|byte| *byte == b'\n').collect();
    if lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    lines
}

fn check_line(number: u64, line: &[u8], judged: Line, source: LineSource, arrival: Arrival) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match judged {
        Line::Blank => assert!(line.trim_ascii().is_empty()),
        Line::Order(record) => {
            let alone = Record::read(line, arrival, || source.order_id(number, line)).unwrap();
            assert_eq!(
                (alone.order_id, alone.value),
                (record.order_id.clone(), record.value.clone())
            );
            body::check_accepted(&record, arrival);
        }
        Line::Rejected(rejected) => {
            assert_eq!(rejected.line, number);
            assert_eq!(rejected.raw, String::from_utf8_lossy(line));
            let alone = Record::read(line, arrival, || source.order_id(number, line)).unwrap_err();
            let errors = match &alone {
                Rejection::NotJson { .. } => 1,
                Rejection::Invalid { errors, .. } => errors.len(),
            };
            assert_eq!(rejected.errors.len(), errors);
            body::check_refused(line, &alone);
        }
    }
}

/// So many bytes at a time.
struct Trickle<'a> {
    rest: &'a [u8],
    at_a_time: usize,
}

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.at_a_time.min(buffer.len()).min(self.rest.len());
        let (now, later) = self.rest.split_at(count);
        buffer[..count].copy_from_slice(now);
        self.rest = later;
        Ok(count)
    }
}

//! The threads that read and check: one reads lines, a few parse them, in turn, so that the order of the file is kept.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use common::order::{FieldError, MAX_ORDER_BYTES, Rejection};

use super::input::Input;
use super::lines::{Block, Lines};
use crate::request::{Arrival, LineSource, Record};

/// Blocks that may wait before and after each parsing thread.
const BLOCKS_WAITING: usize = 2;

/// A line as it was judged.
pub(super) enum Line {
    Blank,
    Order(Record),
    Rejected(RejectedLine),
}

/// A line that is no order.
#[derive(Debug)]
pub(super) struct RejectedLine {
    pub(super) line: u64,
    pub(super) errors: Vec<FieldError>,
    /// As it was, or the beginning of what is too long.
    pub(super) raw: String,
}

/// What comes out of the threads, in the order of the files.
pub(super) enum Piece {
    Lines {
        file: usize,
        first_line: u64,
        lines: Vec<Line>,
        bytes: usize,
    },
    EndOfFile,
    /// The file could not be read on after this line. Nothing follows.
    Broken {
        file: usize,
        after_line: u64,
        error: io::Error,
    },
}

/// What goes into a parsing thread.
enum Task {
    Block {
        file: usize,
        block: Block,
        source: LineSource,
    },
    EndOfFile,
    Broken {
        file: usize,
        after_line: u64,
        error: io::Error,
    },
}

/// An input, its position among the files, and how many of its lines to pass over.
pub(super) struct Reading {
    pub(super) file: usize,
    pub(super) input: Input,
    pub(super) skip_lines: u64,
}

/// The pieces of all inputs. Dropping it ends the threads.
pub(super) struct Pieces {
    parsed: Vec<Receiver<Piece>>,
    turn: usize,
}

impl Pieces {
    /// Starts the threads. `progress` counts bytes as they are stored.
    pub(super) fn of(
        inputs: Vec<Reading>,
        parsers: u8,
        max_future_skew: Duration,
        progress: Arc<AtomicU64>,
    ) -> io::Result<Self> {
        let mut tasks = Vec::new();
        let mut parsed = Vec::new();
        for number in 0..parsers {
            let (task_in, task_out) = sync_channel(BLOCKS_WAITING);
            let (piece_in, piece_out) = sync_channel(BLOCKS_WAITING);
            tasks.push(task_in);
            parsed.push(piece_out);
            // None of these threads is waited for: each ends when its channel does, and whoever drops the receivers is
            // about to end the process. The reader may be waiting for an input that never ends.
            let name = format!("loader-parse-{number}");
            thread::Builder::new()
                .name(name)
                .spawn(move || parse_all(&task_out, &piece_in, max_future_skew))?;
        }
        thread::Builder::new()
            .name("loader-read".into())
            .spawn(move || read_all(inputs, &tasks, &progress))?;
        Ok(Self { parsed, turn: 0 })
    }
}

impl Iterator for Pieces {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let piece = self.parsed[self.turn].recv().ok();
        self.turn = (self.turn + 1) % self.parsed.len();
        piece
    }
}

/// Deals blocks out to the parsing threads in turn, until nobody wants them any more.
fn read_all(inputs: Vec<Reading>, tasks: &[SyncSender<Task>], progress: &Arc<AtomicU64>) {
    let mut turns = tasks.iter().cycle();
    let mut deal = |task: Task| turns.next().is_some_and(|parser| parser.send(task).is_ok());
    for Reading {
        file,
        input,
        skip_lines,
    } in inputs
    {
        let (source, eager) = (input.source, input.eager);
        let unpacked = match input.unpack(Arc::clone(progress)) {
            Ok(unpacked) => unpacked,
            Err(error) => {
                deal(Task::Broken {
                    file,
                    after_line: 0,
                    error,
                });
                return;
            }
        };
        let mut lines = Lines::new(unpacked, eager);
        let goes_on = loop {
            match lines.next() {
                Ok(Some(block)) => {
                    let Some(block) = block.after(skip_lines) else {
                        continue;
                    };
                    if !deal(Task::Block {
                        file,
                        block,
                        source,
                    }) {
                        break false;
                    }
                }
                Ok(None) => break deal(Task::EndOfFile),
                Err(error) => {
                    deal(Task::Broken {
                        file,
                        after_line: lines.count(),
                        error,
                    });
                    break false;
                }
            }
        };
        if !goes_on {
            return;
        }
    }
}

fn parse_all(tasks: &Receiver<Task>, pieces: &SyncSender<Piece>, max_future_skew: Duration) {
    for task in tasks {
        let piece = match task {
            Task::Block {
                file,
                block,
                source,
            } => parse(file, block, source, Arrival::now(max_future_skew)),
            Task::EndOfFile => Piece::EndOfFile,
            Task::Broken {
                file,
                after_line,
                error,
            } => Piece::Broken {
                file,
                after_line,
                error,
            },
        };
        if pieces.send(piece).is_err() {
            return;
        }
    }
}

fn parse(file: usize, block: Block, source: LineSource, arrival: Arrival) -> Piece {
    let (first_line, text) = match block {
        Block::Lines { first_line, text } => (first_line, text),
        Block::TooLong {
            line,
            length,
            beginning,
        } => {
            let bytes = usize::try_from(length).unwrap_or(usize::MAX);
            let lines = vec![Line::Rejected(too_long(line, length, &beginning))];
            return Piece::Lines {
                file,
                first_line: line,
                lines,
                bytes,
            };
        }
    };
    let whole_lines = text.strip_suffix(b"\n").unwrap_or(&text);
    let lines = (first_line..).zip(whole_lines.split(|&byte| byte == b'\n'));
    let lines = lines
        .map(|(number, line)| judge(number, line, source, arrival))
        .collect();
    Piece::Lines {
        file,
        first_line,
        lines,
        bytes: text.len(),
    }
}

fn judge(number: u64, line: &[u8], source: LineSource, arrival: Arrival) -> Line {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.trim_ascii().is_empty() {
        return Line::Blank;
    }
    match Record::read(line, arrival, || source.order_id(number, line)) {
        Ok(record) => Line::Order(record),
        Err(rejection) => {
            let raw = String::from_utf8_lossy(line).into_owned();
            Line::Rejected(RejectedLine {
                line: number,
                errors: errors(rejection),
                raw,
            })
        }
    }
}

fn errors(rejection: Rejection) -> Vec<FieldError> {
    match rejection {
        Rejection::NotJson { detail } => {
            vec![FieldError {
                pointer: String::new(),
                detail: format!("is not JSON: {detail}"),
            }]
        }
        Rejection::Invalid { errors, .. } => errors,
    }
}

fn too_long(line: u64, length: u64, beginning: &[u8]) -> RejectedLine {
    let detail = format!("has {length} bytes, at most {MAX_ORDER_BYTES} are allowed");
    let errors = vec![FieldError {
        pointer: String::new(),
        detail,
    }];
    RejectedLine {
        line,
        errors,
        raw: String::from_utf8_lossy(beginning).into_owned(),
    }
}

impl Block {
    /// What remains of it behind the first `skip` lines of the file.
    fn after(self, skip: u64) -> Option<Self> {
        match self {
            Self::TooLong { line, .. } if line <= skip => None,
            Self::Lines {
                first_line,
                mut text,
            } if first_line <= skip => {
                let passed_over = usize::try_from(skip - first_line + 1).unwrap_or(usize::MAX);
                let mut ends = text
                    .iter()
                    .enumerate()
                    .filter(|(_, byte)| **byte == b'\n')
                    .map(|(end, _)| end + 1);
                let rest = text.split_off(ends.nth(passed_over - 1).unwrap_or(text.len()));
                (!rest.is_empty()).then_some(Self::Lines {
                    first_line: skip + 1,
                    text: rest,
                })
            }
            block => Some(block),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str) -> Vec<String> {
        let block = Block::Lines {
            first_line: 1,
            text: text.into(),
        };
        let arrival = Arrival::now(Duration::from_secs(3600));
        let Piece::Lines { lines, .. } = parse(0, block, LineSource::named("t"), arrival) else {
            panic!("lines")
        };
        let describe = |line| match line {
            Line::Blank => "blank".to_owned(),
            Line::Order(record) => record.order_id.to_string(),
            Line::Rejected(rejected) => format!("rejected {}", rejected.line),
        };
        lines.into_iter().map(describe).collect()
    }

    #[test]
    fn every_line_is_judged_by_itself() {
        let text = "{\"id\":\"a\",\"user_id\":\"u\",\"amount\":1}\r\n\nrubbish\n \n{\"id\":\"b\",\"user_id\":\"u\",\"amount\":1}";
        assert_eq!(judged(text), ["a", "blank", "rejected 3", "blank", "b"]);
        assert_eq!(judged("\n"), ["blank"]);
    }

    #[test]
    fn lines_that_were_settled_before_are_passed_over() {
        let block = || Block::Lines {
            first_line: 11,
            text: b"a\nb\nc".to_vec(),
        };
        let rest = |skip| match block().after(skip) {
            Some(Block::Lines { first_line, text }) => {
                (first_line, String::from_utf8(text).unwrap())
            }
            Some(Block::TooLong { .. }) | None => (0, String::new()),
        };
        assert_eq!(rest(10), (11, "a\nb\nc".into()));
        assert_eq!(rest(11), (12, "b\nc".into()));
        assert_eq!(rest(12), (13, "c".into()));
        assert_eq!(rest(13), (0, String::new()));
        assert_eq!(rest(1000), (0, String::new()));
    }
}

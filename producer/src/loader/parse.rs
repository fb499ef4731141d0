//! The threads that read and check: one reads lines, a few parse them, in turn, so that the order of the file is kept.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use super::input::Input;
use super::judge::{Judged, judge_block};
use super::lines::{Block, Lines};
use crate::request::{Arrival, LineSource};

/// Blocks that may wait before, and pieces that may wait behind each parsing thread.
const WAITING: usize = 2;

/// What comes out of the threads, in the order of the files.
pub(super) enum Piece {
    Lines(Judged),
    EndOfFile,
    /// The file could not be read on after this line. Nothing follows.
    Broken {
        file: usize,
        after_line: u64,
        error: io::Error,
    },
}

/// What waiting for a piece came to.
pub(super) enum Next {
    Piece(Piece),
    NotYet,
    Ended,
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
            let (task_in, task_out) = sync_channel(WAITING);
            let (piece_in, piece_out) = sync_channel(WAITING);
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

    /// Waits for the next piece, at most for `timeout`: an input may be silent for as long as it likes.
    pub(super) fn next(&mut self, timeout: Duration) -> Next {
        let piece = match self.parsed[self.turn].recv_timeout(timeout) {
            Ok(piece) => piece,
            Err(RecvTimeoutError::Timeout) => return Next::NotYet,
            Err(RecvTimeoutError::Disconnected) => return Next::Ended,
        };
        let goes_on = matches!(&piece, Piece::Lines(judged) if judged.goes_on);
        if !goes_on {
            self.turn = (self.turn + 1) % self.parsed.len();
        }
        Next::Piece(piece)
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
            match lines.next_block() {
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
        let wanted = match task {
            Task::Block {
                file,
                block,
                source,
            } => judge_block(
                file,
                block,
                source,
                Arrival::now(max_future_skew),
                |judged| pieces.send(Piece::Lines(judged)).is_ok(),
            ),
            Task::EndOfFile => pieces.send(Piece::EndOfFile).is_ok(),
            Task::Broken {
                file,
                after_line,
                error,
            } => pieces
                .send(Piece::Broken {
                    file,
                    after_line,
                    error,
                })
                .is_ok(),
        };
        if !wanted {
            return;
        }
    }
}

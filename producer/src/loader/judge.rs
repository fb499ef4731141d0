//! Judging lines: each by itself is an order, blank, or rejected with every reason.

use common::order::{FieldError, MAX_ORDER_BYTES, Rejection};

use super::lines::Block;
use crate::request::{Arrival, LineSource, Record};

/// Lines in a piece: what is kept of a rejected line is many times longer than the shortest lines.
const LINES_IN_PIECE: usize = 1024;

/// A line as it was judged.
pub enum Line {
    Blank,
    Order(Record),
    Rejected(RejectedLine),
}

/// A line that is no order.
#[derive(Debug)]
pub struct RejectedLine {
    pub line: u64,
    pub errors: Vec<FieldError>,
    /// As it was, or the beginning of what is too long.
    pub raw: String,
}

/// Some lines in a row.
pub struct Judged {
    pub file: usize,
    pub first_line: u64,
    pub lines: Vec<Line>,
    pub bytes: usize,
    /// Whether the next piece is of the same block, and so of the same thread.
    pub goes_on: bool,
}

/// Judges a block's lines and emits them in pieces, for as long as they are wanted.
pub fn judge_block(
    file: usize,
    block: Block,
    source: LineSource,
    arrival: Arrival,
    mut emit: impl FnMut(Judged) -> bool,
) -> bool {
    let (mut first_line, text) = match block {
        Block::Lines { first_line, text } => (first_line, text),
        Block::TooLong {
            line,
            length,
            beginning,
        } => {
            let bytes = usize::try_from(length).unwrap_or(usize::MAX);
            let lines = vec![Line::Rejected(too_long(line, length, &beginning))];
            return emit(Judged {
                file,
                first_line: line,
                lines,
                bytes,
                goes_on: false,
            });
        }
    };
    let whole_lines = text.strip_suffix(b"\n").unwrap_or(&text);
    let mut numbered = (first_line..)
        .zip(whole_lines.split(|&byte| byte == b'\n'))
        .peekable();
    while numbered.peek().is_some() {
        let (mut lines, mut bytes) = (Vec::new(), 0);
        for (number, line) in numbered.by_ref().take(LINES_IN_PIECE) {
            bytes += line.len() + 1;
            lines.push(judge(number, line, source, arrival));
        }
        let next_line = first_line + u64::try_from(lines.len()).expect("a count fits 64 bits");
        let goes_on = numbered.peek().is_some();
        // A last line may lack its line feed.
        bytes -= usize::from(!goes_on && !text.ends_with(b"\n"));
        if !emit(Judged {
            file,
            first_line,
            lines,
            bytes,
            goes_on,
        }) {
            return false;
        }
        first_line = next_line;
    }
    true
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn pieces(text: &str) -> Vec<Judged> {
        let block = Block::Lines {
            first_line: 1,
            text: text.into(),
        };
        let arrival = Arrival::now(Duration::from_secs(3600));
        let mut pieces = Vec::new();
        judge_block(0, block, LineSource::named("t"), arrival, |judged| {
            pieces.push(judged);
            true
        });
        pieces
    }

    fn judged(text: &str) -> Vec<String> {
        let describe = |line| match line {
            Line::Blank => "blank".to_owned(),
            Line::Order(record) => record.order_id.to_string(),
            Line::Rejected(rejected) => format!("rejected {}", rejected.line),
        };
        pieces(text)
            .into_iter()
            .flat_map(|piece| piece.lines)
            .map(describe)
            .collect()
    }

    #[test]
    fn a_block_of_many_short_lines_comes_in_several_pieces() {
        let text = "x\n".repeat(2 * LINES_IN_PIECE) + "x";
        let pieces = pieces(&text);
        let shapes: Vec<_> = pieces
            .iter()
            .map(|piece| (piece.first_line, piece.lines.len(), piece.goes_on))
            .collect();
        assert_eq!(
            shapes,
            [(1, 1024, true), (1025, 1024, true), (2049, 1, false)]
        );
        assert_eq!(
            pieces.iter().map(|piece| piece.bytes).sum::<usize>(),
            text.len()
        );
    }

    #[test]
    fn every_line_is_judged_by_itself() {
        let text = "{\"id\":\"a\",\"user_id\":\"u\",\"amount\":1}\r\n\nrubbish\n \n{\"id\":\"b\",\"user_id\":\"u\",\"amount\":1}";
        assert_eq!(judged(text), ["a", "blank", "rejected 3", "blank", "b"]);
        assert_eq!(judged("\n"), ["blank"]);
    }
}

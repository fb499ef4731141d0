//! Cuts an input into blocks of whole lines. A line that is too long for an order is passed over without being held.

use std::io::{self, ErrorKind, Read};

use common::order::MAX_ORDER_BYTES;

/// About how long a block is.
const BLOCK_BYTES: usize = 256 * 1024;
/// How much of a line that is too long is kept to show it.
const BEGINNING_BYTES: usize = 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A stretch of one input. Line numbers begin with 1.
#[derive(Debug, PartialEq, Eq)]
pub enum Block {
    /// Whole lines, each but perhaps the last with its line feed.
    Lines { first_line: u64, text: Vec<u8> },
    /// One line that no order can fill.
    TooLong {
        line: u64,
        length: u64,
        beginning: Vec<u8>,
    },
}

impl Block {
    /// What remains of it behind the first `skip` lines of the file.
    pub fn after(self, skip: u64) -> Option<Self> {
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

/// Reads blocks until the input ends or fails. What was read before a failure comes first, apart from a line that the
/// failure cut.
pub struct Lines<R> {
    input: R,
    eager: bool,
    next_line: u64,
    /// The beginning of a line whose end was not read yet.
    carried: Vec<u8>,
    state: State,
}

enum State {
    Beginning,
    Reading,
    Failed(io::Error),
    Ended,
}

impl<R: Read> Lines<R> {
    /// `eager` hands lines on as soon as they arrive.
    pub fn new(input: R, eager: bool) -> Self {
        Self {
            input,
            eager,
            next_line: 1,
            carried: Vec::new(),
            state: State::Beginning,
        }
    }

    /// Lines read so far.
    pub fn count(&self) -> u64 {
        self.next_line - 1
    }

    /// The next block, `None` at the end.
    pub fn next_block(&mut self) -> io::Result<Option<Block>> {
        let mut text = std::mem::take(&mut self.carried);
        loop {
            let more = self.read_more(&mut text);
            match text.iter().rposition(|&byte| byte == b'\n') {
                Some(last) if !more || self.eager || text.len() >= BLOCK_BYTES => {
                    self.carried = text.split_off(last + 1);
                    return Ok(Some(self.block(text)));
                }
                None if !more => return self.finish(text),
                None if text.len() > MAX_ORDER_BYTES => return self.pass_over(text),
                Some(_) | None => {}
            }
        }
    }

    /// Reads once, or up to a block; false when there is nothing more.
    fn read_more(&mut self, text: &mut Vec<u8>) -> bool {
        if matches!(self.state, State::Failed(_) | State::Ended) {
            return false;
        }
        let wanted = BLOCK_BYTES.saturating_sub(text.len()).max(BLOCK_BYTES / 4);
        let start = text.len();
        text.resize(start + wanted, 0);
        let (read, state) = self.fill(&mut text[start..]);
        text.truncate(start + read);
        let at_beginning = matches!(self.state, State::Beginning);
        if at_beginning && text.starts_with(BYTE_ORDER_MARK) {
            text.drain(..BYTE_ORDER_MARK.len());
        }
        self.state = state;
        matches!(self.state, State::Reading)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> (usize, State) {
        let mut read = 0;
        while read < buffer.len() {
            match self.input.read(&mut buffer[read..]) {
                Ok(0) => return (read, State::Ended),
                Ok(count) => read += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return (read, State::Failed(error)),
            }
            if self.eager {
                break;
            }
        }
        (read, State::Reading)
    }

    /// At the end, the last line may lack its line feed; what a failure cut is forgotten.
    fn finish(&mut self, text: Vec<u8>) -> io::Result<Option<Block>> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Failed(error) => Err(error),
            _ if text.is_empty() => Ok(None),
            _ => Ok(Some(self.block(text))),
        }
    }

    fn block(&mut self, text: Vec<u8>) -> Block {
        let first_line = self.next_line;
        let line_feeds = text.iter().filter(|&&byte| byte == b'\n').count();
        let unended = usize::from(text.last().is_some_and(|&byte| byte != b'\n'));
        self.next_line += u64::try_from(line_feeds + unended).expect("a count fits 64 bits");
        Block::Lines { first_line, text }
    }

    /// Reads on to the end of a line, of which only the beginning and the length are kept.
    fn pass_over(&mut self, mut text: Vec<u8>) -> io::Result<Option<Block>> {
        let mut beginning = text.clone();
        beginning.truncate(BEGINNING_BYTES);
        let mut length = text.len();
        loop {
            text.clear();
            let more = self.read_more(&mut text);
            if let Some(end) = text.iter().position(|&byte| byte == b'\n') {
                length += end;
                self.carried = text.split_off(end + 1);
                break;
            }
            length += text.len();
            match (more, &self.state) {
                (true, _) => {}
                (false, State::Failed(_)) => return self.finish(Vec::new()),
                (false, _) => break,
            }
        }
        let line = self.next_line;
        self.next_line += 1;
        let length = u64::try_from(length).expect("a length fits 64 bits");
        Ok(Some(Block::TooLong {
            line,
            length,
            beginning,
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives its pieces one read at a time, then perhaps an error.
    struct Pieces(std::collections::VecDeque<io::Result<Vec<u8>>>);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.pop_front() {
                None => Ok(0),
                Some(Err(error)) => Err(error),
                Some(Ok(mut piece)) => {
                    let count = piece.len().min(buffer.len());
                    buffer[..count].copy_from_slice(&piece[..count]);
                    if count < piece.len() {
                        self.0.push_front(Ok(piece.split_off(count)));
                    }
                    Ok(count)
                }
            }
        }
    }

    fn blocks(input: impl Read, eager: bool) -> (Vec<Block>, io::Result<()>, u64) {
        let mut lines = Lines::new(input, eager);
        let mut blocks = Vec::new();
        loop {
            match lines.next_block() {
                Ok(Some(block)) => blocks.push(block),
                Ok(None) => return (blocks, Ok(()), lines.count()),
                Err(error) => return (blocks, Err(error), lines.count()),
            }
        }
    }

    fn text(blocks: &[Block]) -> Vec<u8> {
        let texts = blocks.iter().flat_map(|block| match block {
            Block::Lines { text, .. } => text.clone(),
            Block::TooLong { .. } => b"<too long>\n".to_vec(),
        });
        texts.collect()
    }

    proptest! {
        #[test]
        fn blocks_are_whole_lines_and_nothing_is_lost(
            pieces in prop::collection::vec("[ab\n\r]{0,9}", 0..20),
            eager: bool,
        ) {
            let whole = pieces.concat();
            let input = Pieces(pieces.iter().filter(|piece| !piece.is_empty()).map(|piece| Ok(piece.clone().into())).collect());
            let (blocks, end, count) = blocks(input, eager);
            prop_assert!(end.is_ok());
            prop_assert_eq!(text(&blocks), whole.as_bytes());
            prop_assert_eq!(count, u64::try_from(whole.lines().count()).unwrap());
            for block in &blocks[..blocks.len().saturating_sub(1)] {
                let Block::Lines { text, .. } = block else { panic!("no line is too long") };
                prop_assert!(text.ends_with(b"\n"));
            }
        }
    }

    #[test]
    fn line_numbers_go_on_over_blocks() {
        let long = "x".repeat(1000) + "\n";
        let (blocks, _, count) = blocks(long.repeat(1000).as_bytes(), false);
        assert!(blocks.len() > 3);
        let mut expected = 1;
        for block in blocks {
            let Block::Lines { first_line, text } = block else {
                panic!("no line is too long")
            };
            assert_eq!(first_line, expected);
            expected += text.len() as u64 / 1001;
        }
        assert_eq!(count, 1000);
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_and_its_neighbours_are_not() {
        let long = "x".repeat(3 * MAX_ORDER_BYTES);
        for ending in ["\nlast\n", "\nlast", "\n", ""] {
            let input = format!("first\n{long}{ending}");
            let (blocks, end, _) = blocks(input.as_bytes(), false);
            assert!(end.is_ok());
            let expected = format!("first\n<too long>\n{}", ending.trim_start());
            assert_eq!(String::from_utf8(text(&blocks)).unwrap(), expected);
            let length = 3 * MAX_ORDER_BYTES as u64;
            let passed_over = blocks.iter().any(
                |block| matches!(block, Block::TooLong { line: 2, length: l, .. } if *l == length),
            );
            assert!(passed_over);
        }
    }

    #[test]
    fn a_failure_ends_after_the_lines_before_it_and_without_the_one_it_cut() {
        let pieces = [
            Ok(b"one\ntwo\nthr".to_vec()),
            Err(io::Error::other("cut off")),
        ];
        let (blocks, end, count) = blocks(Pieces(pieces.into()), false);
        assert_eq!(text(&blocks), b"one\ntwo\n");
        assert_eq!(end.unwrap_err().to_string(), "cut off");
        assert_eq!(count, 2);
    }

    #[test]
    fn a_byte_order_mark_at_the_beginning_is_no_part_of_the_first_line() {
        let (blocks, _, _) = blocks(&b"\xef\xbb\xbf{}\n"[..], false);
        assert_eq!(text(&blocks), b"{}\n");
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

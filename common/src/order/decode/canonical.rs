//! Objects on their way to canonical text.
//!
//! All of them are written into one buffer that is used as a stack, because objects nest: an item's attributes begin
//! and end while the order's own are still being collected.

use super::reader::{Reader, Value};
use crate::order::Attributes;
use crate::order::text::write_string;

/// Bytes of text to begin with, where an order has attributes at all.
const MOST_ORDERS_NEED: usize = 512;

/// The stack of objects being written.
#[derive(Default)]
pub(super) struct Canonical {
    text: Vec<u8>,
    members: Vec<Member>,
    /// For putting members in order.
    sorted: Vec<u8>,
}

/// An object that is being written.
#[derive(Clone, Copy)]
pub(super) struct Open {
    /// Where its text begins.
    text: usize,
    /// Where its members begin.
    members: usize,
    /// How deep it lies in the normalised order; the order itself is at 1.
    pub(super) depth: usize,
}

/// One member of an object: `"key":value` in the text.
#[derive(Clone, Copy)]
pub(super) struct Member {
    start: usize,
    key_end: usize,
    end: usize,
    sent: Sent,
}

/// Where a member of an object's attributes was sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// As a field of the object.
    Beside,
    /// As a member of its `attributes`.
    Inside,
}

/// A key that an object holds twice, and where.
pub(super) struct Duplicate {
    pub(super) key: String,
    pub(super) sent: [Sent; 2],
}

impl Member {
    /// The key's bytes as written, without the quotes.
    fn key<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        &text[self.start + 1..self.key_end - 1]
    }
}

impl Canonical {
    pub(super) fn open(&self, depth: usize) -> Open {
        Open {
            text: self.text.len(),
            members: self.members.len(),
            depth,
        }
    }

    pub(super) fn is_empty(&self, open: Open) -> bool {
        self.members.len() == open.members
    }

    /// Begins a member, whose value is then to be written.
    pub(super) fn begin_member(&mut self, open: Open, key: &str, sent: Sent) -> Member {
        if self.text.is_empty() {
            self.text.reserve(MOST_ORDERS_NEED);
        }
        self.text
            .push(if self.is_empty(open) { b'{' } else { b',' });
        let start = self.text.len();
        write_string(&mut self.text, key);
        let key_end = self.text.len();
        self.text.push(b':');
        Member {
            start,
            key_end,
            end: key_end,
            sent,
        }
    }

    pub(super) fn end_member(&mut self, member: Member) {
        self.members.push(Member {
            end: self.text.len(),
            ..member
        });
    }

    /// Ends the object, its members in the order of their keys' bytes.
    pub(super) fn close(&mut self, open: Open) -> Vec<Duplicate> {
        if self.is_empty(open) {
            self.text.extend_from_slice(b"{}");
            return Vec::new();
        }
        let (text, members) = (&mut self.text, &mut self.members[open.members..]);
        let mut duplicates = Vec::new();
        if !members.is_sorted_by(|one, next| one.key(text) < next.key(text)) {
            members.sort_by(|one, other| one.key(text).cmp(other.key(text)));
            for pair in members
                .windows(2)
                .filter(|pair| pair[0].key(text) == pair[1].key(text))
            {
                let key = unescaped(&text[pair[0].start..pair[0].key_end]);
                duplicates.push(Duplicate {
                    key,
                    sent: [pair[0].sent, pair[1].sent],
                });
            }
            self.sorted.clear();
            for (index, member) in members.iter().enumerate() {
                if index > 0 {
                    self.sorted.push(b',');
                }
                self.sorted
                    .extend_from_slice(&text[member.start..member.end]);
            }
            text.truncate(open.text + 1);
            text.extend_from_slice(&self.sorted);
        }
        text.push(b'}');
        self.members.truncate(open.members);
        duplicates
    }

    /// Where values are written.
    pub(super) fn text(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    /// Takes an object that was closed off the stack.
    pub(super) fn take(&mut self, open: Open) -> Attributes {
        let canonical =
            std::str::from_utf8(&self.text[open.text..]).expect("made of whole strings");
        let attributes = Attributes::from_canonical(canonical);
        self.text.truncate(open.text);
        attributes
    }
}

/// The key whose canonical text this is.
fn unescaped(key: &[u8]) -> String {
    let text = std::str::from_utf8(key).expect("made of whole strings");
    match Reader::new(text).value() {
        Ok(Value::Text(key)) => key
            .content()
            .expect("only what can be stored is written")
            .into_owned(),
        _ => unreachable!("a key is written as a string"),
    }
}

//! Where in what was sent something is, and the errors found there.

use std::fmt;

use crate::order::rejection::{FieldError, MAX_ERRORS};

/// Keys are the sender's, and so is their length: without a bound, a hundred errors under a long key would make an
/// answer a hundred times as long as what it answers.
const MAX_POINTER_BYTES: usize = 1024;

/// A path from the whole order to a value, kept on the stack of those who read it: it costs nothing until an error
/// needs it written out.
#[derive(Clone, Copy)]
pub(super) enum Place<'p> {
    Whole,
    Member(&'p Place<'p>, &'p str),
    Element(&'p Place<'p>, usize),
}

impl<'p> Place<'p> {
    pub(super) fn member(&'p self, key: &'p str) -> Self {
        Self::Member(self, key)
    }

    pub(super) fn element(&'p self, index: usize) -> Self {
        Self::Element(self, index)
    }

    /// The pointer to this place (RFC 6901: each step behind a slash, `~` and `/` in keys as `~0` and `~1`) or, where
    /// it would be longer than an error may be, to the nearest place around it that fits.
    fn pointer(&self) -> String {
        let mut pointer = String::new();
        self.append_to(&mut pointer);
        pointer
    }

    /// Whether all of it fitted.
    fn append_to(&self, pointer: &mut String) -> bool {
        let (around, step) = match self {
            Self::Whole => return true,
            Self::Member(around, key) if key.len() > MAX_POINTER_BYTES => (around, None),
            Self::Member(around, key) => (around, Some(key.replace('~', "~0").replace('/', "~1"))),
            Self::Element(around, index) => (around, Some(index.to_string())),
        };
        if !around.append_to(pointer) {
            return false;
        }
        match step {
            Some(step) if pointer.len() + 1 + step.len() <= MAX_POINTER_BYTES => {
                pointer.push('/');
                pointer.push_str(&step);
                true
            }
            _ => false,
        }
    }
}

/// What was found wrong so far.
#[derive(Default)]
pub(super) struct Errors {
    listed: Vec<FieldError>,
    count: usize,
}

impl Errors {
    pub(super) fn add(&mut self, at: &Place<'_>, detail: fmt::Arguments<'_>) {
        self.count += 1;
        if self.listed.len() < MAX_ERRORS {
            self.listed.push(FieldError {
                pointer: at.pointer(),
                detail: detail.to_string(),
            });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The errors, the last one saying how many more there are than were listed.
    pub(super) fn into_list(mut self) -> Vec<FieldError> {
        let more = self.count - self.listed.len();
        if more > 0 {
            let detail = format!("has {more} more errors");
            self.listed.push(FieldError {
                pointer: String::new(),
                detail,
            });
        }
        self.listed
    }
}

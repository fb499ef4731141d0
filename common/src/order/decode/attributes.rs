//! What an object holds beyond the fields that are known, read into canonical text.

use std::borrow::Cow;

use super::Decoder;
use super::canonical::{Duplicate, Open, Sent};
use super::number;
use super::place::Place;
use super::reader::{NotJson, Value};
use super::scalar::OBJECT;
use super::spelling::ATTRIBUTES;
use super::string::Text;
use crate::order::rejection::json_excerpt;
use crate::order::text::write_string;
use crate::order::{Attributes, MAX_DEPTH};

impl Decoder<'_> {
    /// Begins the attributes of an object; `depth` is where they lie in the normalised order.
    pub(super) fn begin_attributes(&mut self, depth: usize) -> Open {
        self.canonical.open(depth)
    }

    /// A field that the table does not name, its value next.
    pub(super) fn attribute(
        &mut self,
        open: Open,
        around: &Place<'_>,
        key: Text<'_>,
    ) -> Result<(), NotJson> {
        self.canonical_member(open, around, key, Sent::Beside)
    }

    /// The member `attributes` of an object, its value next: its own members are taken as they are.
    pub(super) fn explicit_attributes(
        &mut self,
        open: Open,
        at: &Place<'_>,
    ) -> Result<(), NotJson> {
        if self.enter(b'{', OBJECT, at)?.given().is_some() {
            self.canonical_members(open, at, Sent::Inside)?;
        }
        Ok(())
    }

    /// Ends the attributes of the object at `around`.
    pub(super) fn end_attributes(&mut self, open: Open, around: &Place<'_>) -> Attributes {
        if self.canonical.is_empty(open) {
            return Attributes::default();
        }
        self.close(open, around);
        let attributes = self.canonical.take(open);
        self.attributes_bytes += attributes.as_json().len();
        attributes
    }

    fn close(&mut self, open: Open, around: &Place<'_>) {
        for Duplicate { key, sent } in self.canonical.close(open) {
            let inside = around.member(ATTRIBUTES);
            let (around, detail) = match sent {
                [Sent::Beside, Sent::Beside] => (around, "is there twice"),
                [Sent::Inside, Sent::Inside] => (&inside, "is there twice"),
                [Sent::Beside, Sent::Inside] | [Sent::Inside, Sent::Beside] => (
                    &inside,
                    "is a field beside `attributes`, too: send one of them",
                ),
            };
            self.errors
                .add(&around.member(&key), format_args!("{detail}"));
        }
    }

    /// The members of the object at `around`, which was entered.
    pub(super) fn canonical_members(
        &mut self,
        open: Open,
        around: &Place<'_>,
        sent: Sent,
    ) -> Result<(), NotJson> {
        let mut first = true;
        while let Some(key) = self.reader.key(&mut first)? {
            self.canonical_member(open, around, key, sent)?;
        }
        Ok(())
    }

    fn canonical_member(
        &mut self,
        open: Open,
        around: &Place<'_>,
        key: Text<'_>,
        sent: Sent,
    ) -> Result<(), NotJson> {
        let key = key.content().unwrap_or_else(|defect| {
            self.errors
                .add(around, format_args!("has a key that {defect}"));
            Cow::Borrowed("")
        });
        let member = self.canonical.begin_member(open, &key, sent);
        self.canonical_value(&around.member(&key), open.depth + 1)?;
        self.canonical.end_member(member);
        Ok(())
    }

    /// Recurses once for each level, of which there are at most [`MAX_DEPTH`].
    fn canonical_value(&mut self, at: &Place<'_>, depth: usize) -> Result<(), NotJson> {
        match self.reader.peek() {
            Some(b'{' | b'[') if depth > MAX_DEPTH => {
                let detail =
                    format_args!("nests deeper than {MAX_DEPTH} levels in the normalised order");
                self.errors.add(at, detail);
                self.reader.skip()
            }
            Some(b'{') => self.canonical_object(at, depth),
            Some(b'[') => self.canonical_array(at, depth),
            _ => self.canonical_scalar(at),
        }
    }

    fn canonical_object(&mut self, at: &Place<'_>, depth: usize) -> Result<(), NotJson> {
        self.reader.enter();
        let open = self.canonical.open(depth);
        self.canonical_members(open, at, Sent::Beside)?;
        self.close(open, at);
        Ok(())
    }

    fn canonical_array(&mut self, at: &Place<'_>, depth: usize) -> Result<(), NotJson> {
        self.reader.enter();
        self.canonical.text().push(b'[');
        let mut first = true;
        for index in 0.. {
            if !self.reader.element(&mut first)? {
                break;
            }
            if index > 0 {
                self.canonical.text().push(b',');
            }
            self.canonical_value(&at.element(index), depth + 1)?;
        }
        self.canonical.text().push(b']');
        Ok(())
    }

    fn canonical_scalar(&mut self, at: &Place<'_>) -> Result<(), NotJson> {
        let start = self.reader.position();
        let value = self.reader.value()?;
        let sent = self.reader.since(start);
        let out = self.canonical.text();
        match value {
            Value::Null | Value::Other => out.extend_from_slice(sent.as_bytes()),
            Value::Text(text) => match text.content() {
                Ok(content) => write_string(out, &content),
                Err(defect) => self
                    .errors
                    .add(at, format_args!("{defect} (got {})", json_excerpt(sent))),
            },
            Value::Number(number) => match number::write(number, out) {
                // Some hundred bytes of exponents would come back as hundreds of megabytes.
                Ok(saved) => self.attributes_bytes += saved,
                Err(refused) => self
                    .errors
                    .add(at, format_args!("{refused} (got {})", json_excerpt(sent))),
            },
        }
        Ok(())
    }
}

//! Decoding: JSON that anyone sent becomes an order in normalised form, or everything that is wrong with it.
//!
//! One pass over the text, by hand: derived deserialisers cannot tell two spellings from one field, lose a number's
//! digits in a float, stop at the first error, and buffer what they do not know.
//!
//! ```text
//! reader (JSON's grammar) → members (which field is it? spelling) → scalar, item, parts (its rule)
//!                                                                 ↘ attributes, canonical (none of ours)
//! ```
//!
//! What is not JSON ends the reading at once ([`NotJson`]). Whatever else is wrong is noted with its place, and reading
//! goes on.

use crate::order::{Attributes, MAX_ORDER_BYTES, Order, Rejection};
use crate::time::Timestamp;

mod attributes;
mod canonical;
mod item;
mod number;
mod order;
mod parts;
mod place;
mod reader;
mod scalar;
mod spelling;
mod string;

pub use spelling::is_order_id_key;

use canonical::{Canonical, Open, Sent};
use place::{Errors, Place};
use reader::{NotJson, Reader};
use spelling::{ATTRIBUTES, Claims, Fields};

/// Where the attributes of each kind of object lie in the normalised order, which itself is at 1.
mod depth {
    pub(super) const ORDER_ATTRIBUTES: usize = 2;
    pub(super) const PART_ATTRIBUTES: usize = 3;
    pub(super) const ITEM_ATTRIBUTES: usize = 4;
}

impl Order {
    /// Reads and normalises one order of any accepted spelling. What was created after `latest_created_at` is refused.
    ///
    /// Of the same bytes comes the same order at any time, but for that limit; of [`Order::to_json`]'s bytes the order
    /// that was printed.
    ///
    /// # Errors
    /// [`Rejection`] with everything that is wrong.
    pub fn parse(json: &[u8], latest_created_at: Timestamp) -> Result<Self, Rejection> {
        if json.len() > MAX_ORDER_BYTES {
            let detail = format!(
                "has {} bytes, at most {MAX_ORDER_BYTES} are allowed",
                json.len()
            );
            return Err(Rejection::of_the_whole(detail));
        }
        let text = utf8(json)?;
        let mut decoder = Decoder::new(text, latest_created_at);
        let draft = decoder.whole(text, Decoder::order)?;
        let order = decoder.finish(draft)?;
        fits_when_printed(json, &order)?;
        Ok(order)
    }
}

/// Reads one object of any formatting into canonical form.
pub(super) fn attributes(json: &str) -> Result<Attributes, Rejection> {
    let mut decoder = Decoder::new(json, Timestamp::MAX);
    let here = Place::Whole;
    let attributes = decoder.whole(json, |decoder| {
        let open = decoder.begin_attributes(depth::ORDER_ATTRIBUTES);
        if decoder.enter_object(&here)? {
            decoder.canonical_members(open, &here, Sent::Beside)?;
        }
        Ok(decoder.end_attributes(open, &here))
    })?;
    if decoder.errors.is_empty() {
        Ok(attributes)
    } else {
        Err(Rejection::Invalid {
            order_id: None,
            errors: decoder.errors.into_list(),
        })
    }
}

/// One text being read.
struct Decoder<'a> {
    reader: Reader<'a>,
    errors: Errors,
    canonical: Canonical,
    /// How long all attributes together are, in canonical form.
    attributes_bytes: usize,
    latest_created_at: Timestamp,
}

impl<'a> Decoder<'a> {
    fn new(text: &'a str, latest_created_at: Timestamp) -> Self {
        Self {
            reader: Reader::new(text),
            errors: Errors::default(),
            canonical: Canonical::default(),
            attributes_bytes: 0,
            latest_created_at,
        }
    }

    /// Reads a text that is `value` and nothing more.
    fn whole<T>(
        &mut self,
        text: &str,
        value: impl FnOnce(&mut Self) -> Result<T, NotJson>,
    ) -> Result<T, Rejection> {
        if self.reader.peek().is_none() {
            return Err(Rejection::not_json("empty"));
        }
        value(self)
            .and_then(|value| self.reader.end().map(|()| value))
            .map_err(|not_json| Rejection::not_json(not_json.describe(text)))
    }

    /// Reads the members of the object that was entered. `known` gets each field of the table, its value next, and
    /// the key under which it was sent; the others become attributes.
    fn members<F: Fields>(
        &mut self,
        around: &Place<'_>,
        open: Open,
        mut known: impl FnMut(&mut Self, F, &'static str) -> Result<(), NotJson>,
    ) -> Result<(), NotJson> {
        let mut claims = Claims::default();
        let mut has_attributes = false;
        let mut first = true;
        while let Some(key) = self.reader.key(&mut first)? {
            let content = key.content();
            let content = content.as_deref().unwrap_or_default();
            if content == ATTRIBUTES {
                let at = around.member(ATTRIBUTES);
                if std::mem::replace(&mut has_attributes, true) {
                    self.errors.add(&at, format_args!("is there twice"));
                    self.reader.skip()?;
                } else {
                    self.explicit_attributes(open, &at)?;
                }
            } else if let Some((field, spelling)) = F::of(content) {
                if claims.claim(&mut self.errors, around, field, spelling) {
                    known(self, field, spelling)?;
                } else {
                    self.reader.skip()?;
                }
            } else {
                self.attribute(open, around, key)?;
            }
        }
        Ok(())
    }
}

fn utf8(json: &[u8]) -> Result<&str, Rejection> {
    const BYTE_ORDER_MARK: char = '\u{feff}';
    let text = std::str::from_utf8(json).map_err(|error| {
        Rejection::not_json(format!("not UTF-8 at byte {}", error.valid_up_to()))
    })?;
    if text.starts_with(BYTE_ORDER_MARK) {
        return Err(Rejection::not_json(
            "begins with a byte order mark, which JSON must not have",
        ));
    }
    Ok(text)
}

/// Canonical names and prices are longer than some of those that may be sent, and what is printed must be an order
/// again. At worst it is less than four times as long.
fn fits_when_printed(json: &[u8], order: &Order) -> Result<(), Rejection> {
    const MOST_GROWTH: usize = 4;
    if json.len() <= MAX_ORDER_BYTES / MOST_GROWTH {
        return Ok(());
    }
    let printed = order.to_json().len();
    if printed > MAX_ORDER_BYTES {
        let detail = format!(
            "has {printed} bytes in normalised form, at most {MAX_ORDER_BYTES} are allowed"
        );
        return Err(Rejection::of_the_whole(detail));
    }
    Ok(())
}

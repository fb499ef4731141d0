//! Why an order was refused: everything that is wrong with it, each with the place where it stands in what was sent.

use std::fmt;

use serde::Serialize;

use crate::ids::OrderId;

/// The most errors one rejection lists; a last entry then says how many more there are.
pub(super) const MAX_ERRORS: usize = 100;
/// How much of what was sent an error repeats.
const EXCERPT_CHARACTERS: usize = 60;

/// One thing that is wrong with an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct FieldError {
    /// RFC 6901, in the sender's own spelling; empty for the whole order.
    pub pointer: String,
    /// Reads on after the pointer: `has 5 decimals, at most 4 are allowed (got 0.00001)`.
    pub detail: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() {
            "the order"
        } else {
            &self.pointer
        };
        write!(f, "{place} {}", self.detail)
    }
}

/// Why what was sent is no order. The display is one line with everything that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Empty, not UTF-8, or not JSON: nothing in it can be pointed at. The detail says where it stops being JSON.
    #[error("not JSON: {detail}")]
    NotJson { detail: String },
    /// JSON that is no order.
    #[error("no order: {}", Listed(errors))]
    Invalid {
        /// The order's id, where one that can be read was sent.
        order_id: Option<OrderId>,
        /// At least one, in the order in which they were found.
        errors: Vec<FieldError>,
    },
}

impl Rejection {
    /// The id of the order that was refused, where one that can be read was sent.
    #[must_use]
    pub fn order_id(&self) -> Option<&OrderId> {
        match self {
            Self::NotJson { .. } => None,
            Self::Invalid { order_id, .. } => order_id.as_ref(),
        }
    }

    /// Everything that is wrong, on one line.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::NotJson { detail } => detail.clone(),
            Self::Invalid { errors, .. } => Listed(errors).to_string(),
        }
    }

    pub(super) fn not_json(detail: impl Into<String>) -> Self {
        Self::NotJson {
            detail: detail.into(),
        }
    }

    /// One error about the order as a whole.
    pub(super) fn of_the_whole(detail: String) -> Self {
        let error = FieldError {
            pointer: String::new(),
            detail,
        };
        Self::Invalid {
            order_id: None,
            errors: vec![error],
        }
    }
}

/// Errors one after the other on a line.
struct Listed<'a>(&'a [FieldError]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

/// A text as errors repeat it: quoted, what cannot be seen escaped, cut short with `…`.
#[must_use]
pub fn excerpt(text: &str) -> String {
    let (start, cut) = beginning(text);
    format!("{start:?}{cut}")
}

/// JSON as errors repeat it: as it was sent, but what cannot be seen escaped, and cut short with `…`.
pub(super) fn json_excerpt(json: &str) -> String {
    let (start, cut) = beginning(json);
    let mut text = String::with_capacity(start.len() + cut.len());
    for character in start.chars() {
        match character {
            '"' | '\\' | '\'' => text.push(character),
            _ => text.extend(character.escape_debug()),
        }
    }
    text + cut
}

/// What an excerpt shows, and what it shows in place of the rest.
fn beginning(text: &str) -> (&str, &'static str) {
    match text.char_indices().nth(EXCERPT_CHARACTERS) {
        Some((end, _)) => (&text[..end], "…"),
        None => (text, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_quoted_cut_short_and_hides_nothing() {
        assert_eq!(excerpt("a\"b\n\u{202e}"), r#""a\"b\n\u{202e}""#);
        let long = excerpt(&"é".repeat(61));
        assert_eq!(long, format!("\"{}\"…", "é".repeat(60)));
        assert_eq!(json_excerpt("{\"a\":\n'\u{7f}'}"), r#"{"a":\n'\u{7f}'}"#);
    }

    #[test]
    fn a_rejection_reads_as_one_line() {
        let error = |pointer: &str, detail: &str| FieldError {
            pointer: pointer.into(),
            detail: detail.into(),
        };
        let rejection = Rejection::Invalid {
            order_id: None,
            errors: vec![
                error("", "needs an amount"),
                error("/user_id", "is required"),
            ],
        };
        assert_eq!(
            rejection.to_string(),
            "no order: the order needs an amount; /user_id is required"
        );
    }
}

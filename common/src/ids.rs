//! Identifiers: each can only be had by parsing, so that whoever holds one holds a valid one.

use std::fmt;

use arrayvec::ArrayString;
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

/// Why a text is no identifier; its display is the rule and, cut short, what was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule} (got {got})")]
pub struct InvalidId {
    rule: &'static str,
    got: String,
}

impl InvalidId {
    fn new(rule: &'static str, got: &str) -> Self {
        Self {
            rule,
            got: crate::order::excerpt(got),
        }
    }
}

/// An order's identity: 1–64 of `A-Z a-z 0-9 . _ ~ : -`, the first a letter or a digit.
///
/// It is short, and every order and every look-up has one: it lies where it is held and not on the heap.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderId(ArrayString<{ OrderId::MAX_LENGTH }>);

impl OrderId {
    pub const MAX_LENGTH: usize = 64;
    const RULE: &'static str =
        "must be 1 to 64 of A-Z a-z 0-9 . _ ~ : - and begin with a letter or a digit";

    /// # Errors
    /// [`InvalidId`] names the rule.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        match ArrayString::from(text) {
            Ok(id) if Self::allows(text) => Ok(Self(id)),
            _ => Err(InvalidId::new(Self::RULE, text)),
        }
    }

    /// Whether the text is an order's id.
    #[must_use]
    pub fn allows(text: &str) -> bool {
        let bytes = text.as_bytes();
        let starts_well = bytes.first().is_some_and(u8::is_ascii_alphanumeric);
        let allowed = |byte: u8| {
            byte.is_ascii_alphanumeric() | matches!(byte, b'.' | b'_' | b'~' | b':' | b'-')
        };
        starts_well
            && bytes.len() <= Self::MAX_LENGTH
            // No early end, so that many bytes are compared at a time.
            && bytes.iter().fold(true, |all, &byte| all & allowed(byte))
    }

    /// A UUID's hyphenated form is always a valid id.
    #[must_use]
    pub fn from_uuid(uuid: Uuid) -> Self {
        let mut buffer = Uuid::encode_buffer();
        let text: &str = uuid.hyphenated().encode_lower(&mut buffer);
        Self(ArrayString::from(text).expect("a UUID is shorter"))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A customer's identity and the Kafka key: 1–128 characters, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Box<str>);

impl UserId {
    pub const MAX_CHARACTERS: usize = 128;
    const RULE: &'static str = "must be 1 to 128 characters, none of them a control character";

    /// # Errors
    /// [`InvalidId`] names the rule.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        // Bytes bound characters from above; count only where that does not decide.
        let short =
            text.len() <= Self::MAX_CHARACTERS || text.chars().nth(Self::MAX_CHARACTERS).is_none();
        if !text.is_empty() && short && !text.chars().any(char::is_control) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId::new(Self::RULE, text))
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An ISO 4217 code: three upper-case ASCII letters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency([u8; 3]);

impl Currency {
    const RULE: &'static str = "must be an ISO 4217 code of 3 upper-case letters";

    /// # Errors
    /// [`InvalidId`] names the rule.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        match <[u8; 3]>::try_from(text.as_bytes()) {
            Ok(code) if code.iter().all(u8::is_ascii_uppercase) => Ok(Self(code)),
            _ => Err(InvalidId::new(Self::RULE, text)),
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a currency is ASCII letters")
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Currency({self})")
    }
}

macro_rules! text_id {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    )*};
}
text_id!(OrderId, UserId, Currency);

/// A partition's number within its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Partition(pub i32);

/// The position of one record in its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Offset(pub i64);

impl Offset {
    /// The position after this record: the only place where one is added.
    #[must_use]
    pub fn next(self) -> NextOffset {
        NextOffset(self.0 + 1)
    }
}

/// The position from which a partition is read on: what is committed, never what was read last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NextOffset(pub i64);

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for NextOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_id_is_64_of_the_allowed_characters_and_starts_with_a_letter_or_digit() {
        for good in ["a", "9", "A.b_c~d:e-f", &"x".repeat(64)] {
            assert_eq!(OrderId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", ".", "a b", "a/b", "é", "a\0", &"x".repeat(65)] {
            assert!(OrderId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_user_id_is_counted_in_characters_and_holds_no_control_character() {
        for good in ["u", "Zoë Ω", &"ü".repeat(128)] {
            assert_eq!(UserId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "a\nb", "\u{85}", "a\0", &"ü".repeat(129)] {
            assert!(UserId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_currency_is_three_upper_case_letters() {
        assert_eq!(Currency::parse("GBP").unwrap().to_string(), "GBP");
        for bad in ["", "gbp", "GB", "GBPX", "G1P", "ÄÖ"] {
            assert!(Currency::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_long_text_is_cut_short_in_the_error() {
        let error = Currency::parse(&"x".repeat(1000)).unwrap_err().to_string();
        assert!(error.len() < 160, "{error}");
    }

    #[test]
    fn the_next_offset_follows_the_record() {
        assert_eq!(Offset(41).next(), NextOffset(42));
    }
}

//! Single values of the order's types, each with its rule.

use std::borrow::Cow;
use std::fmt;

use super::place::Place;
use super::reader::{NotJson, Value};
use super::string::Defect;
use super::{Decoder, number};
use crate::ids::{Currency, InvalidId, OrderId, UserId};
use crate::money::{Amount, InvalidAmount};
use crate::order::rejection::json_excerpt;
use crate::time::{InvalidTimestamp, Timestamp};

/// What came of a field.
#[derive(Debug, Default)]
pub(super) enum Field<T> {
    /// Not sent, or sent as `null`, which for a field of the table is the same.
    #[default]
    Absent,
    /// Sent, and an error noted.
    Refused,
    Given(T),
}

impl<T> Field<T> {
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    pub(super) fn given(self) -> Option<T> {
        match self {
            Self::Given(value) => Some(value),
            Self::Absent | Self::Refused => None,
        }
    }

    pub(super) fn as_given(&self) -> Option<&T> {
        match self {
            Self::Given(value) => Some(value),
            Self::Absent | Self::Refused => None,
        }
    }
}

/// Why a value was refused.
pub(super) enum Refused {
    /// A rule; what was sent is added.
    Rule(&'static str),
    Amount(InvalidAmount),
    Defect(Defect),
    /// Says itself what was sent.
    Complete(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(rule) => rule.fmt(f),
            Self::Amount(rule) => rule.fmt(f),
            Self::Defect(defect) => defect.fmt(f),
            Self::Complete(detail) => detail.fmt(f),
        }
    }
}

impl From<InvalidId> for Refused {
    fn from(error: InvalidId) -> Self {
        Self::Complete(error.to_string())
    }
}

impl From<InvalidTimestamp> for Refused {
    fn from(error: InvalidTimestamp) -> Self {
        Self::Complete(error.to_string())
    }
}

pub(super) const OBJECT: Refused = Refused::Rule("must be an object");
pub(super) const ARRAY: Refused = Refused::Rule("must be an array");
const TEXT: Refused = Refused::Rule("must be a string");
const IDENTIFIER: Refused = Refused::Rule("must be a string or an integer from 0");
const INSTANT: Refused =
    Refused::Rule("must be an RFC 3339 instant with a zone, like 2026-01-31T12:00:00Z");
const QUANTITY: Refused = Refused::Rule("must be an integer from 1 to 2147483647");
const UNIX_SECONDS: Refused = Refused::Rule("must be unix seconds, an integer of 64 bits");

impl<'a> Value<'a> {
    fn text(self) -> Result<Cow<'a, str>, Refused> {
        match self {
            Self::Text(text) => text.content().map_err(Refused::Defect),
            Self::Null | Self::Number(_) | Self::Other => Err(TEXT),
        }
    }

    /// What identifies something may be sent as an integer and is its digits; `4.0`, `4e1` and `-4` are no digits.
    fn identifier(self) -> Result<Cow<'a, str>, Refused> {
        match self {
            Self::Text(_) => self.text(),
            Self::Number(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                Ok(number.into())
            }
            Self::Null | Self::Number(_) | Self::Other => Err(IDENTIFIER),
        }
    }

    fn amount(self) -> Result<Amount, Refused> {
        let amount = match self {
            Self::Text(text) => Amount::parse(&text.content().map_err(Refused::Defect)?),
            Self::Number(number) => Amount::parse(number),
            Self::Null | Self::Other => Err(InvalidAmount::NotANumber),
        };
        amount.map_err(Refused::Amount)
    }

    fn integer(self) -> Option<i64> {
        match self {
            Self::Number(number) => number::integer(number),
            Self::Null | Self::Text(_) | Self::Other => None,
        }
    }
}

/// Each of these reads the value that is next; an error is noted at the place it is given.
impl<'a> Decoder<'a> {
    pub(super) fn text(&mut self, at: &Place<'_>) -> Result<Field<String>, NotJson> {
        self.scalar(at, |value| value.text().map(Cow::into_owned))
    }

    pub(super) fn identifier(&mut self, at: &Place<'_>) -> Result<Field<String>, NotJson> {
        self.scalar(at, |value| value.identifier().map(Cow::into_owned))
    }

    pub(super) fn order_id(&mut self, at: &Place<'_>) -> Result<Field<OrderId>, NotJson> {
        self.scalar(at, |value| Ok(OrderId::parse(&value.identifier()?)?))
    }

    pub(super) fn user_id(&mut self, at: &Place<'_>) -> Result<Field<UserId>, NotJson> {
        self.scalar(at, |value| Ok(UserId::parse(&value.identifier()?)?))
    }

    pub(super) fn currency(&mut self, at: &Place<'_>) -> Result<Field<Currency>, NotJson> {
        self.scalar(at, |value| Ok(Currency::parse(&value.text()?)?))
    }

    pub(super) fn amount(&mut self, at: &Place<'_>) -> Result<Field<Amount>, NotJson> {
        self.scalar(at, Value::amount)
    }

    pub(super) fn quantity(&mut self, at: &Place<'_>) -> Result<Field<i32>, NotJson> {
        self.scalar(at, |value| {
            let quantity = value
                .integer()
                .and_then(|quantity| i32::try_from(quantity).ok());
            quantity.filter(|&quantity| quantity >= 1).ok_or(QUANTITY)
        })
    }

    pub(super) fn unix_seconds(&mut self, at: &Place<'_>) -> Result<Field<i64>, NotJson> {
        self.scalar(at, |value| value.integer().ok_or(UNIX_SECONDS))
    }

    pub(super) fn created_at(&mut self, at: &Place<'_>) -> Result<Field<Timestamp>, NotJson> {
        let latest = self.latest_created_at;
        self.scalar(at, |value| {
            let Value::Text(text) = value else {
                return Err(INSTANT);
            };
            let instant = Timestamp::parse(&text.content().map_err(Refused::Defect)?)?;
            if instant > latest {
                let detail = format!("must not be later than {latest} (got {instant})");
                return Err(Refused::Complete(detail));
            }
            Ok(instant)
        })
    }

    /// Goes into the object or the array that is next, as `opening` says, unless something else is.
    pub(super) fn enter(
        &mut self,
        opening: u8,
        rule: Refused,
        at: &Place<'_>,
    ) -> Result<Field<()>, NotJson> {
        if self.reader.peek() == Some(opening) {
            self.reader.enter();
            return Ok(Field::Given(()));
        }
        self.scalar(at, |_| Err(rule))
    }

    /// As [`Decoder::enter`], but nothing else will do, not even `null`. Whether it was there.
    pub(super) fn enter_object(&mut self, at: &Place<'_>) -> Result<bool, NotJson> {
        let entered = self.enter(b'{', OBJECT, at)?;
        if entered.is_absent() {
            self.errors.add(at, format_args!("{OBJECT} (got null)"));
        }
        Ok(entered.given().is_some())
    }

    fn scalar<T>(
        &mut self,
        at: &Place<'_>,
        read: impl FnOnce(Value<'a>) -> Result<T, Refused>,
    ) -> Result<Field<T>, NotJson> {
        self.reader.peek();
        let start = self.reader.position();
        let refused = match self.reader.value()? {
            Value::Null => return Ok(Field::Absent),
            value => match read(value) {
                Ok(value) => return Ok(Field::Given(value)),
                Err(refused) => refused,
            },
        };
        match refused {
            Refused::Complete(detail) => self.errors.add(at, format_args!("{detail}")),
            Refused::Rule(_) | Refused::Amount(_) | Refused::Defect(_) => {
                let sent = json_excerpt(self.reader.since(start));
                self.errors.add(at, format_args!("{refused} (got {sent})"));
            }
        }
        Ok(Field::Refused)
    }
}

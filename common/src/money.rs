//! Exact money. An [`Amount`] is one sum on an order, a [`Total`] a sum of many: integers of ten-thousandths, read from
//! digits and written as digits. No float is anywhere on the way.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

use arrayvec::ArrayString;
use serde::{Serialize, Serializer};

/// Decimals kept: PostgreSQL's NUMERIC(19,4).
pub const DECIMALS: usize = 4;
/// Digits before the decimal point.
pub const INTEGER_DIGITS: usize = 15;
const UNITS_PER_ONE: u64 = 10_000;

/// Why a text is no amount. The display names the rule; the caller adds what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAmount {
    #[error("must be a decimal number like 12.50")]
    NotANumber,
    #[error("must not be negative")]
    Negative,
    #[error("has {0} decimals, at most 4 are allowed")]
    TooManyDecimals(usize),
    #[error("has {0} digits before the decimal point, at most 15 are allowed")]
    TooLarge(usize),
}

/// A sum of money ≥ 0 with up to 15 digits before the decimal point and 4 after it, in ten-thousandths.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Amount(u64);

impl Amount {
    pub const ZERO: Self = Self(0);
    pub const MAX: Self = Self(9_999_999_999_999_999_999);

    /// Ten-thousandths; `None` above [`Amount::MAX`].
    #[must_use]
    pub fn from_units(units: u64) -> Option<Self> {
        (units <= Self::MAX.0).then_some(Self(units))
    }

    #[must_use]
    pub fn units(self) -> u64 {
        self.0
    }

    /// Reads a JSON number's text or the same digits from a string: `12.5`, `1.5e3`, `0.10000`. The value is exact;
    /// what does not fit is refused, never rounded.
    ///
    /// # Errors
    /// [`InvalidAmount`] names the rule.
    pub fn parse(text: &str) -> Result<Self, InvalidAmount> {
        match Self::parse_plain(text.as_bytes()) {
            Some(amount) => Ok(amount),
            None => Decimal::read(text)?.to_amount(),
        }
    }

    /// The short way for what nearly all amounts look like: digits, perhaps with a point and up to four decimals.
    /// Knows no errors: whatever else is left to [`Decimal`].
    #[inline]
    fn parse_plain(text: &[u8]) -> Option<Self> {
        if text.len() > INTEGER_DIGITS + DECIMALS {
            return None;
        }
        let mut units: u64 = 0;
        let mut point = None;
        for (at, &byte) in text.iter().enumerate() {
            match byte {
                b'0'..=b'9' => units = units * 10 + u64::from(byte - b'0'),
                b'.' if point.is_none() => point = Some(at),
                _ => return None,
            }
        }
        let (integer_digits, decimals) = match point {
            Some(point) => (point, text.len() - point - 1),
            None => (text.len(), 0),
        };
        let integer_fits = match integer_digits {
            0 => false,
            1 => true,
            _ => integer_digits <= INTEGER_DIGITS && text[0] != b'0',
        };
        let decimals_fit = decimals <= DECIMALS && (decimals > 0 || point.is_none());
        // At most 19 digits in all: neither the sum above nor this product can overflow 64 bits.
        let scale = [10_000, 1_000, 100, 10, 1];
        (integer_fits && decimals_fit).then(|| Self(units * scale[decimals]))
    }

    /// Appends what the display shows.
    pub fn write_digits(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.text().as_bytes());
    }

    fn text(self) -> Text {
        text(false, u128::from(self.0))
    }

    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(Self::from_units)
    }

    /// `None` where the product has more than 15 digits before the decimal point.
    #[must_use]
    pub fn checked_mul(self, quantity: u32) -> Option<Self> {
        self.0
            .checked_mul(u64::from(quantity))
            .and_then(Self::from_units)
    }
}

/// The parts of a decimal as written: sign, digits before and after the point, exponent.
struct Decimal<'a> {
    negative: bool,
    integer: &'a str,
    fraction: &'a str,
    exponent: i64,
}

impl<'a> Decimal<'a> {
    /// JSON's number grammar, to which a string's content is held too: no `+1`, `.5`, `1.`, `01` or spaces.
    fn read(text: &'a str) -> Result<Self, InvalidAmount> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Self::read_exponent(exponent)?),
            None => (unsigned, 0),
        };
        let (integer, fraction) = match mantissa.split_once('.') {
            Some((_, "")) => return Err(InvalidAmount::NotANumber),
            Some(parts) => parts,
            None => (mantissa, ""),
        };
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let leading_zero = integer.len() > 1 && integer.starts_with('0');
        if integer.is_empty() || leading_zero || !digits(integer) || !digits(fraction) {
            return Err(InvalidAmount::NotANumber);
        }
        Ok(Self {
            negative,
            integer,
            fraction,
            exponent,
        })
    }

    fn read_exponent(text: &str) -> Result<i64, InvalidAmount> {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidAmount::NotANumber);
        }
        // Beyond a million the value is out of range or zero, whichever it is exactly.
        const CLAMP: i64 = 1_000_000;
        let magnitude = digits
            .parse::<i64>()
            .map_or(CLAMP, |value| value.min(CLAMP));
        Ok(if text.starts_with('-') {
            -magnitude
        } else {
            magnitude
        })
    }

    fn to_amount(&self) -> Result<Amount, InvalidAmount> {
        // The value is 0.d₁d₂d₃… × 10^point over its significant digits.
        let all = || self.integer.bytes().chain(self.fraction.bytes());
        let leading = all().take_while(|&digit| digit == b'0').count();
        let length = self.integer.len() + self.fraction.len();
        if leading == length {
            return Ok(Amount::ZERO);
        }
        if self.negative {
            return Err(InvalidAmount::Negative);
        }
        let trailing = all().rev().take_while(|&digit| digit == b'0').count();
        let significant = length - leading - trailing;
        let point = signed(self.integer.len()) - signed(leading) + self.exponent;
        let integer_digits = usize::try_from(point).unwrap_or(0);
        if integer_digits > INTEGER_DIGITS {
            return Err(InvalidAmount::TooLarge(integer_digits));
        }
        let decimals = usize::try_from(signed(significant) - point).unwrap_or(0);
        if decimals > DECIMALS {
            return Err(InvalidAmount::TooManyDecimals(decimals));
        }
        let units = all()
            .skip(leading)
            .take(significant)
            .fold(0_u64, |units, digit| units * 10 + u64::from(digit - b'0'));
        // At most 19 digits in all, so neither the fold nor this product can overflow.
        let zeros = signed(DECIMALS) - (signed(significant) - point);
        let scale = 10_u64.pow(u32::try_from(zeros).expect("no more decimals than are kept"));
        Ok(Amount(units * scale))
    }
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).expect("a text's length fits 64 bits")
}

/// A sum of amounts, or a difference of such sums, in ten-thousandths.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Total(i128);

impl Total {
    pub const ZERO: Self = Self(0);

    #[must_use]
    pub fn from_units(units: i128) -> Self {
        Self(units)
    }

    #[must_use]
    pub fn units(self) -> i128 {
        self.0
    }

    fn text(self) -> Text {
        text(self.0 < 0, self.0.unsigned_abs())
    }

    /// This sum divided by how many it is of, to 4 decimals, half to even. `None` of none.
    #[must_use]
    pub fn average(self, count: u64) -> Option<Self> {
        let count = i128::from(count);
        if count == 0 {
            return None;
        }
        let (quotient, remainder) = (self.0.div_euclid(count), self.0.rem_euclid(count));
        let up = match (remainder * 2).cmp(&count) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => quotient % 2 != 0,
            std::cmp::Ordering::Greater => true,
        };
        Some(Self(quotient + i128::from(up)))
    }
}

impl From<Amount> for Total {
    fn from(amount: Amount) -> Self {
        Self(i128::from(amount.0))
    }
}

// 2⁶³ of the largest amounts fit: sums cannot overflow before ids run out.
impl Add for Total {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Total {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl AddAssign for Total {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sum for Total {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Add::add)
    }
}

/// Room for every total, its sign and its point.
type Text = ArrayString<41>;

/// Trailing zeros cut, at least two decimals. By hand: each record and each answer carries several, and the formatter takes
/// several times as long.
fn text(negative: bool, units: u128) -> Text {
    let mut text = Text::new();
    if negative {
        text.push('-');
    }
    let fraction = if let Ok(units) = u64::try_from(units) {
        text.push_str(itoa::Buffer::new().format(units / UNITS_PER_ONE));
        units % UNITS_PER_ONE
    } else {
        let one = u128::from(UNITS_PER_ONE);
        text.push_str(itoa::Buffer::new().format(units / one));
        u64::try_from(units % one).expect("less than one")
    };
    let digit = |value: u64| b'0' + u8::try_from(value % 10).expect("a digit");
    let decimals = [
        b'.',
        digit(fraction / 1000),
        digit(fraction / 100),
        digit(fraction / 10),
        digit(fraction),
    ];
    let shown = match fraction {
        _ if fraction % 100 == 0 => 3,
        _ if fraction % 10 == 0 => 4,
        _ => 5,
    };
    text.push_str(str::from_utf8(&decimals[..shown]).expect("digits"));
    text
}

macro_rules! as_digits {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text())
            }
        }

        /// A string, so that no reader's float touches it.
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.text())
            }
        }
    )*};
}
as_digits!(Amount, Total);

#[cfg(feature = "pg")]
mod sql;

#[cfg(test)]
mod tests;

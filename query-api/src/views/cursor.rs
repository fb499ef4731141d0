//! Where a page of orders ends and the next one begins.

use std::fmt;
use std::str::FromStr;

use common::time::Timestamp;

use crate::repo::OrderNo;

/// The last order of a page. Orders that come in later do not move it: what follows a page is always the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// In a user's orders.
    OfUser {
        created_at: Timestamp,
        order_no: OrderNo,
    },
    /// In all orders.
    Newest { order_no: OrderNo },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the next_cursor of a page of the same list")]
pub struct InvalidCursor;

const OF_USER: u8 = b'u';
const NEWEST: u8 = b'n';

/// Opaque: hexadecimal digits of a letter and numbers.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OfUser {
                created_at,
                order_no,
            } => {
                write!(
                    f,
                    "{OF_USER:02x}{:016x}{:016x}",
                    created_at.as_micros(),
                    order_no.0
                )
            }
            Self::Newest { order_no } => write!(f, "{NEWEST:02x}{:016x}", order_no.0),
        }
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let well_formed = text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let (Some(kind), true) = (text.get(..2), well_formed) else {
            return Err(InvalidCursor);
        };
        let number = |range: std::ops::Range<usize>| {
            let digits = text.get(range).ok_or(InvalidCursor)?;
            i64::from_str_radix(digits, 16).map_err(|_| InvalidCursor)
        };
        match (u8::from_str_radix(kind, 16), text.len()) {
            (Ok(OF_USER), 34) => Ok(Self::OfUser {
                created_at: Timestamp::from_micros(number(2..18)?).ok_or(InvalidCursor)?,
                order_no: OrderNo(number(18..34)?),
            }),
            (Ok(NEWEST), 18) => Ok(Self::Newest {
                order_no: OrderNo(number(2..18)?),
            }),
            _ => Err(InvalidCursor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_the_way_there_and_back() {
        for cursor in [
            Cursor::OfUser {
                created_at: Timestamp::MAX,
                order_no: OrderNo::MAX,
            },
            Cursor::OfUser {
                created_at: Timestamp::EPOCH,
                order_no: OrderNo(0),
            },
            Cursor::Newest {
                order_no: OrderNo(7),
            },
        ] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
    }

    #[test]
    fn what_was_never_given_out_is_no_cursor() {
        let good = Cursor::Newest {
            order_no: OrderNo(7),
        }
        .to_string();
        let upper = Cursor::Newest {
            order_no: OrderNo(255),
        }
        .to_string()
        .to_uppercase();
        let cases = [
            "",
            "x",
            "6",
            "é",
            "75",
            &good[1..],
            &format!("{good}0"),
            &good.replace('6', "9"),
            &upper,
        ];
        for bad in cases {
            assert_eq!(bad.parse::<Cursor>(), Err(InvalidCursor), "{bad}");
        }
        // Beyond the largest timestamp, and beyond 63 bits.
        assert!(
            format!("75{:016x}{:016x}", i64::MAX, 1)
                .parse::<Cursor>()
                .is_err()
        );
        assert!(format!("6e{}", "f".repeat(16)).parse::<Cursor>().is_err());
    }
}

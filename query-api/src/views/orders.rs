//! Orders in lists, and the cursor that leads from one page to the next.

use std::fmt;
use std::ops::ControlFlow;
use std::str::FromStr;

use common::time::Timestamp;

use crate::repo::{OrderNo, StoredOrder};

/// A page ends early rather than grow beyond this; the rest is behind its cursor.
const MAX_PAGE_BYTES: usize = 8 * 1024 * 1024;

/// The last order of a page. Orders that come in later do not move it: what follows a page is always the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// In a user's orders.
    OfUser { created_at: Timestamp, order_no: OrderNo },
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
            Self::OfUser { created_at, order_no } => {
                write!(f, "{OF_USER:02x}{:016x}{:016x}", created_at.as_micros(), order_no.0)
            }
            Self::Newest { order_no } => write!(f, "{NEWEST:02x}{:016x}", order_no.0),
        }
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let well_formed = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let (Some(kind), true) = (text.get(..2), well_formed) else { return Err(InvalidCursor) };
        let number = |range: std::ops::Range<usize>| {
            let digits = text.get(range).ok_or(InvalidCursor)?;
            i64::from_str_radix(digits, 16).map_err(|_| InvalidCursor)
        };
        match (u8::from_str_radix(kind, 16), text.len()) {
            (Ok(OF_USER), 34) => Ok(Self::OfUser {
                created_at: Timestamp::from_micros(number(2..18)?).ok_or(InvalidCursor)?,
                order_no: OrderNo(number(18..34)?),
            }),
            (Ok(NEWEST), 18) => Ok(Self::Newest { order_no: OrderNo(number(2..18)?) }),
            _ => Err(InvalidCursor),
        }
    }
}

/// Which list a page is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum List {
    OfUser,
    Newest,
}

/// A page while it is being put together: `{"orders": […], "next_cursor": …}`.
#[derive(Debug)]
pub struct OrdersPage {
    list: List,
    limit: usize,
    json: Vec<u8>,
    count: usize,
    last: Option<Cursor>,
    is_cut: bool,
}

impl OrdersPage {
    #[must_use]
    pub fn of_user(limit: u16) -> Self {
        Self::new(List::OfUser, limit)
    }

    #[must_use]
    pub fn newest(limit: u16) -> Self {
        Self::new(List::Newest, limit)
    }

    fn new(list: List, limit: u16) -> Self {
        let json = br#"{"orders":["#.to_vec();
        Self { list, limit: limit.into(), json, count: 0, last: None, is_cut: false }
    }

    /// One more than the page may hold shows that there are more.
    #[must_use]
    pub fn rows_to_read(&self) -> i64 {
        i64::try_from(self.limit + 1).expect("a small number")
    }

    /// Takes the list's next order, until the page is full.
    pub fn take(&mut self, stored: StoredOrder) -> ControlFlow<()> {
        if self.count == self.limit || (self.count > 0 && self.json.len() >= MAX_PAGE_BYTES) {
            self.is_cut = true;
            return ControlFlow::Break(());
        }
        if self.count > 0 {
            self.json.push(b',');
        }
        stored.order.write_json(&mut self.json);
        self.count += 1;
        let StoredOrder { order_no, created_at, .. } = stored;
        self.last = Some(match self.list {
            List::OfUser => Cursor::OfUser { created_at, order_no },
            List::Newest => Cursor::Newest { order_no },
        });
        ControlFlow::Continue(())
    }

    #[must_use]
    pub fn into_json(mut self) -> Vec<u8> {
        self.json.extend_from_slice(br#"],"next_cursor":"#);
        match self.last.filter(|_| self.is_cut) {
            Some(cursor) => self.json.extend_from_slice(format!("\"{cursor}\"").as_bytes()),
            None => self.json.extend_from_slice(b"null"),
        }
        self.json.push(b'}');
        self.json
    }
}

#[cfg(test)]
mod tests {
    use common::ids::UserId;
    use common::order::{Attributes, Order};

    use super::*;

    fn stored(number: i64, track_number: usize) -> StoredOrder {
        let order = Order {
            order_id: None,
            user_id: UserId::parse("u").unwrap(),
            created_at: None,
            currency: None,
            amount: None,
            items: Vec::new(),
            delivery: None,
            payment: None,
            track_number: Some("x".repeat(track_number)),
            attributes: Attributes::default(),
        };
        StoredOrder { order_no: OrderNo(number), created_at: Timestamp::EPOCH, order }
    }

    fn page(limit: u16, rows: impl IntoIterator<Item = StoredOrder>) -> serde_json::Value {
        let mut page = OrdersPage::newest(limit);
        for row in rows {
            if page.take(row).is_break() {
                break;
            }
        }
        serde_json::from_slice(&page.into_json()).unwrap()
    }

    #[test]
    fn a_cursor_survives_the_way_there_and_back() {
        for cursor in [
            Cursor::OfUser { created_at: Timestamp::MAX, order_no: OrderNo::MAX },
            Cursor::OfUser { created_at: Timestamp::EPOCH, order_no: OrderNo(0) },
            Cursor::Newest { order_no: OrderNo(7) },
        ] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
    }

    #[test]
    fn what_was_never_given_out_is_no_cursor() {
        let good = Cursor::Newest { order_no: OrderNo(7) }.to_string();
        let upper = Cursor::Newest { order_no: OrderNo(255) }.to_string().to_uppercase();
        let cases = ["", "x", "6", "é", "75", &good[1..], &format!("{good}0"), &good.replace('6', "9"), &upper];
        for bad in cases {
            assert_eq!(bad.parse::<Cursor>(), Err(InvalidCursor), "{bad}");
        }
        // Beyond the largest timestamp, and beyond 63 bits.
        assert!(format!("75{:016x}{:016x}", i64::MAX, 1).parse::<Cursor>().is_err());
        assert!(format!("6e{}", "f".repeat(16)).parse::<Cursor>().is_err());
    }

    #[test]
    fn the_last_page_has_no_cursor_and_the_others_end_with_theirs() {
        let empty = page(2, []);
        assert_eq!(empty, serde_json::json!({"orders": [], "next_cursor": null}));
        assert_eq!(page(2, [stored(9, 1), stored(8, 1)])["next_cursor"], serde_json::Value::Null);
        let cut = page(2, [stored(9, 1), stored(8, 1), stored(7, 1)]);
        assert_eq!(cut["orders"].as_array().unwrap().len(), 2);
        assert_eq!(cut["next_cursor"], Cursor::Newest { order_no: OrderNo(8) }.to_string());
    }

    #[test]
    fn a_page_of_large_orders_ends_early_and_never_empty() {
        let rows = (1..100).rev().map(|number| stored(number, MAX_PAGE_BYTES / 3));
        let cut = page(50, rows);
        assert_eq!(cut["orders"].as_array().unwrap().len(), 3);
        assert_eq!(cut["next_cursor"], Cursor::Newest { order_no: OrderNo(97) }.to_string());
        let huge = page(50, [stored(2, MAX_PAGE_BYTES * 2), stored(1, 1)]);
        assert_eq!(huge["orders"].as_array().unwrap().len(), 1);
    }
}

//! Orders in lists, a page at a time.

use std::ops::ControlFlow;

use super::Cursor;
use crate::repo::StoredOrder;

/// A page ends early rather than grow beyond this; the rest is behind its cursor.
const MAX_PAGE_BYTES: usize = 8 * 1024 * 1024;

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
        Self {
            list,
            limit: limit.into(),
            json,
            count: 0,
            last: None,
            is_cut: false,
        }
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
        let StoredOrder {
            order_no,
            created_at,
            ..
        } = stored;
        self.last = Some(match self.list {
            List::OfUser => Cursor::OfUser {
                created_at,
                order_no,
            },
            List::Newest => Cursor::Newest { order_no },
        });
        ControlFlow::Continue(())
    }

    #[must_use]
    pub fn into_json(mut self) -> Vec<u8> {
        self.json.extend_from_slice(br#"],"next_cursor":"#);
        match self.last.filter(|_| self.is_cut) {
            Some(cursor) => self
                .json
                .extend_from_slice(format!("\"{cursor}\"").as_bytes()),
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
    use common::time::Timestamp;

    use super::*;
    use crate::repo::OrderNo;

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
        StoredOrder {
            order_no: OrderNo(number),
            created_at: Timestamp::EPOCH,
            order,
        }
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
    fn the_last_page_has_no_cursor_and_the_others_end_with_theirs() {
        let empty = page(2, []);
        assert_eq!(
            empty,
            serde_json::json!({"orders": [], "next_cursor": null})
        );
        assert_eq!(
            page(2, [stored(9, 1), stored(8, 1)])["next_cursor"],
            serde_json::Value::Null
        );
        let cut = page(2, [stored(9, 1), stored(8, 1), stored(7, 1)]);
        assert_eq!(cut["orders"].as_array().unwrap().len(), 2);
        assert_eq!(
            cut["next_cursor"],
            Cursor::Newest {
                order_no: OrderNo(8)
            }
            .to_string()
        );
    }

    #[test]
    fn a_page_of_large_orders_ends_early_and_never_empty() {
        let rows = (1..100)
            .rev()
            .map(|number| stored(number, MAX_PAGE_BYTES / 3));
        let cut = page(50, rows);
        assert_eq!(cut["orders"].as_array().unwrap().len(), 3);
        assert_eq!(
            cut["next_cursor"],
            Cursor::Newest {
                order_no: OrderNo(97)
            }
            .to_string()
        );
        let huge = page(50, [stored(2, MAX_PAGE_BYTES * 2), stored(1, 1)]);
        assert_eq!(huge["orders"].as_array().unwrap().len(), 1);
    }
}

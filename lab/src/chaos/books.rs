//! What each client has sent and was told, written down as it happens: readers hold answers against it meanwhile, the
//! verdict at the end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::ledger::Ledger;
use crate::orders::TestOrder;

/// What tells one content of an id from another: an attribute, so that no sum depends on which one stands.
pub(super) const EDITION: &str = "edition";

/// Where the broker put an order, as a 202 said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Receipt {
    pub order_id: String,
    pub edition: u64,
    pub partition: i64,
    pub offset: i64,
}

/// One order in a book.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub order: TestOrder,
    /// Any content of it was answered 202, or loaded and acknowledged.
    pub acknowledged: bool,
    /// How many contents were sent.
    pub editions: u64,
}

impl Entry {
    fn new(order: TestOrder) -> Self {
        Self {
            order,
            acknowledged: false,
            editions: 1,
        }
    }

    /// Which content of the order an answer shows; `None` if it is none that was sent.
    pub(super) fn shown(&self, answer: &Value) -> Option<u64> {
        let edition = match &answer["attributes"][EDITION] {
            Value::Null => 0,
            edition => edition.as_u64()?,
        };
        (edition < self.editions && *answer == canonical(&self.order, edition)).then_some(edition)
    }
}

/// What `GET /orders/{order_id}` must answer for one content of an order.
pub(super) fn canonical(order: &TestOrder, edition: u64) -> Value {
    let mut canonical = order.canonical.clone();
    if edition > 0 {
        canonical["attributes"][EDITION] = json!(edition);
    }
    canonical
}

/// What one stream of orders has come to.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// By id, which are in the order of sending. An order is entered before it is sent.
    pub orders: BTreeMap<String, Entry>,
    /// What all of them would add up to.
    pub sent: Ledger,
    pub receipts: Vec<Receipt>,
    pub violations: Vec<String>,
}

/// A book that its client writes while others read.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedBook(Arc<Mutex<Book>>);

impl SharedBook {
    pub(super) fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take(&self) -> Book {
        std::mem::take(&mut *self.lock())
    }
}

impl Book {
    /// Before it is sent.
    pub(super) fn enter(&mut self, order: TestOrder) {
        self.sent.enter(&order);
        self.orders
            .insert(order.order_id.clone(), Entry::new(order));
    }

    /// How many orders were acknowledged, and how many were left open.
    pub(super) fn counts(&self) -> (usize, usize) {
        let acknowledged = self.orders.values().filter(|entry| entry.acknowledged);
        let acknowledged = acknowledged.count();
        (acknowledged, self.orders.len() - acknowledged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::Orders;

    #[test]
    fn an_answer_shows_a_content_that_was_sent_or_none() {
        let order = Orders::seeded(1).next().unwrap();
        let mut entry = Entry::new(order);
        entry.editions = 2;
        let first = canonical(&entry.order, 0);
        let second = canonical(&entry.order, 1);
        assert_eq!(entry.shown(&first), Some(0));
        assert_eq!(entry.shown(&second), Some(1));
        let never_sent = canonical(&entry.order, 2);
        assert_eq!(entry.shown(&never_sent), None);
        let mut altered = first;
        altered["amount"] = json!("0.01");
        assert_eq!(entry.shown(&altered), None);
    }
}

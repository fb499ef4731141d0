//! The books kept by the test: what every total must be, summed from the orders that were sent.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::orders::{TestOrder, hour_of};

/// Sums per user and per hour, each per currency.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// By currency and user.
    pub users: BTreeMap<(String, String), UserLine>,
    /// By currency and the start of the hour.
    pub hours: BTreeMap<(String, DateTime<Utc>), HourLine>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserLine {
    pub order_count: i128,
    /// Ten-thousandths.
    pub total_amount: i128,
    pub first_order_at: DateTime<Utc>,
    pub last_order_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HourLine {
    pub order_count: i128,
    pub item_count: i128,
    /// Ten-thousandths.
    pub amount: i128,
}

impl Ledger {
    #[must_use]
    pub fn of<'a>(orders: impl IntoIterator<Item = &'a TestOrder>) -> Self {
        let mut ledger = Self::default();
        for order in orders {
            ledger.enter(order);
        }
        ledger
    }

    pub(crate) fn enter(&mut self, order: &TestOrder) {
        let time = order.created_at;
        let user = self
            .users
            .entry((order.currency.clone(), order.user_id.clone()))
            .or_insert(UserLine {
                order_count: 0,
                total_amount: 0,
                first_order_at: time,
                last_order_at: time,
            });
        user.order_count += 1;
        user.total_amount += order.amount;
        user.first_order_at = user.first_order_at.min(time);
        user.last_order_at = user.last_order_at.max(time);
        let hour = self
            .hours
            .entry((order.currency.clone(), hour_of(time)))
            .or_default();
        hour.order_count += 1;
        hour.item_count += i128::try_from(order.item_count).expect("an order has few items");
        hour.amount += order.amount;
    }

    /// The users of one currency with their lines.
    pub fn users_of(&self, currency: &str) -> impl Iterator<Item = (&str, &UserLine)> {
        self.users
            .iter()
            .filter(move |((of, _), _)| of == currency)
            .map(|((_, user), line)| (user.as_str(), line))
    }

    /// The currencies that occur, in order.
    #[must_use]
    pub fn currencies(&self) -> Vec<&str> {
        let mut currencies: Vec<&str> = self
            .users
            .keys()
            .map(|(currency, _)| currency.as_str())
            .collect();
        currencies.dedup();
        currencies
    }
}

//! Sums over the new orders of a batch: pure, and in the order of their keys, so that two transactions that touch the same
//! rows touch them in the same order and cannot deadlock.

use std::collections::BTreeMap;

use common::ids::Currency;
use common::money::Total;
use common::order::CompleteOrder;
use common::time::Timestamp;

/// What a batch adds to one user's row of `user_stats`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserSum {
    pub order_count: i64,
    pub total_amount: Total,
    pub first_order_at: Timestamp,
    pub last_order_at: Timestamp,
}

/// What a batch adds to one row of `sales_hourly`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HourSum {
    pub order_count: i64,
    pub item_count: i64,
    pub amount: Total,
}

/// The sums of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally<'o> {
    pub users: BTreeMap<(&'o str, Currency), UserSum>,
    /// By the start of the hour in UTC.
    pub hours: BTreeMap<(Timestamp, Currency), HourSum>,
}

impl<'o> Tally<'o> {
    #[must_use]
    pub fn of(orders: impl IntoIterator<Item = &'o CompleteOrder>) -> Self {
        let mut tally = Self::default();
        for order in orders {
            tally.add(order);
        }
        tally
    }

    fn add(&mut self, order: &'o CompleteOrder) {
        let amount = Total::from(order.amount);
        self.users
            .entry((order.user_id.as_str(), order.currency))
            .and_modify(|sum| {
                sum.order_count += 1;
                sum.total_amount += amount;
                sum.first_order_at = sum.first_order_at.min(order.created_at);
                sum.last_order_at = sum.last_order_at.max(order.created_at);
            })
            .or_insert(UserSum {
                order_count: 1,
                total_amount: amount,
                first_order_at: order.created_at,
                last_order_at: order.created_at,
            });
        let hour = self
            .hours
            .entry((order.created_at.hour(), order.currency))
            .or_default();
        hour.order_count += 1;
        hour.item_count +=
            i64::try_from(order.items.len()).expect("an order has at most 5,000 items");
        hour.amount += amount;
    }
}

//! One currency's users in order of what they spent and of how often they ordered.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use common::ids::Currency;
use common::money::Total;

use super::moments::Moments;
use super::{CurrencySummary, UserStats};

/// What users are ranked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum By {
    Amount,
    Orders,
}

/// A user in a ranking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranked {
    pub user_id: Arc<str>,
    pub order_count: u64,
    pub total_amount: Total,
}

/// A place in an ordered index: the largest first, equal ones by user id.
type Place<T> = (Reverse<T>, Arc<str>);

/// Two ordered indexes over the same users, each entry with the other's value, and the moments of both.
#[derive(Debug, Default)]
pub(super) struct Ranking {
    pub(super) by_amount: BTreeMap<Place<Total>, u64>,
    pub(super) by_orders: BTreeMap<Place<u64>, Total>,
    pub(super) amounts: Moments,
    pub(super) orders: Moments,
}

impl Ranking {
    pub(super) fn of(users: Vec<(Arc<str>, UserStats)>) -> Self {
        let (mut amounts, mut orders) = (Moments::default(), Moments::default());
        for (_, stats) in &users {
            amounts.add(stats.total_amount.units());
            orders.add(i128::from(stats.order_count));
        }
        let amount = |(user, stats): &(Arc<str>, UserStats)| {
            (
                (Reverse(stats.total_amount), Arc::clone(user)),
                stats.order_count,
            )
        };
        let by_amount = users.iter().map(amount).collect();
        let count = |(user, stats): (Arc<str>, UserStats)| {
            ((Reverse(stats.order_count), user), stats.total_amount)
        };
        let by_orders = users.into_iter().map(count).collect();
        Self {
            by_amount,
            by_orders,
            amounts,
            orders,
        }
    }

    pub(super) fn insert(&mut self, user: &Arc<str>, stats: &UserStats) {
        self.by_amount.insert(
            (Reverse(stats.total_amount), Arc::clone(user)),
            stats.order_count,
        );
        self.by_orders.insert(
            (Reverse(stats.order_count), Arc::clone(user)),
            stats.total_amount,
        );
        self.amounts.add(stats.total_amount.units());
        self.orders.add(i128::from(stats.order_count));
    }

    pub(super) fn remove(&mut self, user: &Arc<str>, stats: &UserStats) {
        self.by_amount
            .remove(&(Reverse(stats.total_amount), Arc::clone(user)));
        self.by_orders
            .remove(&(Reverse(stats.order_count), Arc::clone(user)));
        self.amounts.remove(stats.total_amount.units());
        self.orders.remove(i128::from(stats.order_count));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_amount.is_empty()
    }

    pub(super) fn order_count(&self) -> u64 {
        u64::try_from(self.orders.sum()).expect("there are fewer orders than 64 bits can number")
    }

    pub(super) fn top(&self, by: By, limit: usize) -> Vec<Ranked> {
        match by {
            By::Amount => {
                let users = self.by_amount.iter().take(limit);
                users
                    .map(|((total, user), &count)| ranked(user, count, total.0))
                    .collect()
            }
            By::Orders => {
                let users = self.by_orders.iter().take(limit);
                users
                    .map(|((count, user), &total)| ranked(user, count.0, total))
                    .collect()
            }
        }
    }

    pub(super) fn summary(&self, currency: Currency) -> CurrencySummary {
        CurrencySummary {
            currency,
            order_count: self.order_count(),
            user_count: self.orders.count(),
            total_amount: Total::from_units(self.amounts.sum()),
        }
    }
}

pub(super) fn ranked(user_id: &Arc<str>, order_count: u64, total_amount: Total) -> Ranked {
    Ranked {
        user_id: Arc::clone(user_id),
        order_count,
        total_amount,
    }
}

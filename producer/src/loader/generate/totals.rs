//! What must come out when everything that was generated has been loaded.

use std::collections::{BTreeMap, HashSet};

use common::ids::{Currency, UserId};
use common::money::Total;
use common::order::Order;
use serde::Serialize;

/// Sums over what is counted: each order once, as it came first.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Totals {
    pub orders: u64,
    pub items: u64,
    /// Lines that repeat an order unchanged.
    pub duplicates: u64,
    /// Lines that repeat an order with other content.
    pub conflicts: u64,
    /// Lines that are no order.
    pub rejected: u64,
    #[serde(serialize_with = "count")]
    users: HashSet<UserId>,
    currencies: BTreeMap<Currency, CurrencyTotals>,
}

#[derive(Debug, Clone, Default, Serialize)]
struct CurrencyTotals {
    order_count: u64,
    #[serde(rename = "user_count", serialize_with = "count")]
    users: HashSet<UserId>,
    total_amount: Total,
}

impl Totals {
    pub(super) fn add(&mut self, order: &Order) {
        self.orders += 1;
        self.items += u64::try_from(order.items.len()).unwrap_or(u64::MAX);
        self.users.insert(order.user_id.clone());
        let (Some(currency), Some(amount)) = (order.currency, order.amount) else {
            unreachable!("a generated order names its currency and its amount");
        };
        let totals = self.currencies.entry(currency).or_default();
        totals.order_count += 1;
        totals.total_amount += amount.into();
        totals.users.insert(order.user_id.clone());
    }

    /// Orders and their sum in each currency.
    pub fn currencies(&self) -> impl Iterator<Item = (Currency, u64, Total)> {
        self.currencies
            .iter()
            .map(|(code, totals)| (*code, totals.order_count, totals.total_amount))
    }
}

fn count<S: serde::Serializer>(users: &HashSet<UserId>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(users.len()).unwrap_or(u64::MAX))
}

//! One user's statistics.

use common::ids::{Currency, UserId};
use common::money::Total;
use common::time::Timestamp;
use serde::Serialize;

use super::json;
use crate::analytics::UserStats;

#[derive(Serialize)]
struct User<'a> {
    user_id: &'a UserId,
    currencies: Vec<InCurrency>,
}

#[derive(Serialize)]
struct InCurrency {
    currency: Currency,
    order_count: u64,
    total_amount: Total,
    average_amount: Total,
    first_order_at: Timestamp,
    last_order_at: Timestamp,
}

/// `{"user_id", "currencies": [{"currency", "order_count", "total_amount", "average_amount", "first_order_at",
/// "last_order_at"}]}`
#[must_use]
pub fn user(user_id: &UserId, stats: &[(Currency, UserStats)]) -> Vec<u8> {
    let currencies = stats.iter().map(|&(currency, stats)| InCurrency {
        currency,
        order_count: stats.order_count,
        total_amount: stats.total_amount,
        average_amount: stats
            .total_amount
            .average(stats.order_count)
            .unwrap_or_default(),
        first_order_at: stats.first_order_at,
        last_order_at: stats.last_order_at,
    });
    json(&User {
        user_id,
        currencies: currencies.collect(),
    })
}

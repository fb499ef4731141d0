//! The shapes that clients of earlier systems know. Who is unknown has zero orders; amounts are JSON numbers.

use common::ids::{Currency, UserId};
use common::money::Total;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{json, number};
use crate::analytics::{Anomalies, Ranked};

/// `{"user_id", "total_orders", "message"}`; `currency` is the one asked for, if any.
#[must_use]
pub fn total_orders(user_id: &UserId, currency: Option<Currency>, order_count: u64) -> Vec<u8> {
    #[derive(Serialize)]
    struct View<'a> {
        user_id: &'a UserId,
        total_orders: u64,
        message: String,
    }
    let orders = if order_count == 1 { "order" } else { "orders" };
    let currency = currency
        .map(|currency| format!(" in {currency}"))
        .unwrap_or_default();
    let message = format!("user {user_id} has {order_count} {orders}{currency}");
    json(&View {
        user_id,
        total_orders: order_count,
        message,
    })
}

/// `{"user_id", "total_spent", "message"}`
#[must_use]
pub fn total_spendings(user_id: &UserId, currency: Currency, total_amount: Total) -> Vec<u8> {
    #[derive(Serialize)]
    struct View<'a> {
        user_id: &'a UserId,
        total_spent: Box<RawValue>,
        message: String,
    }
    let message = format!("user {user_id} has spent {total_amount} {currency}");
    json(&View {
        user_id,
        total_spent: number(total_amount),
        message,
    })
}

/// `[{"user_id", "total_orders", "total_spent"}]`
pub(super) fn top_users(users: &[Ranked]) -> Vec<u8> {
    #[derive(Serialize)]
    struct View<'a> {
        user_id: &'a str,
        total_orders: u64,
        total_spent: Box<RawValue>,
    }
    let users = users.iter().map(|user| View {
        user_id: &user.user_id,
        total_orders: user.order_count,
        total_spent: number(user.total_amount),
    });
    json(&users.collect::<Vec<_>>())
}

/// `[{"user_id", "total_orders", "total_spent", "order_anomaly", "spending_anomaly"}]`
pub(super) fn anomalies(found: &Anomalies) -> Vec<u8> {
    #[derive(Serialize)]
    struct View<'a> {
        user_id: &'a str,
        total_orders: u64,
        total_spent: Box<RawValue>,
        order_anomaly: bool,
        spending_anomaly: bool,
    }
    let users = found.users.iter().map(|user| View {
        user_id: &user.user_id,
        total_orders: user.order_count,
        total_spent: number(user.total_amount),
        order_anomaly: user.order_anomaly,
        spending_anomaly: user.spending_anomaly,
    });
    json(&users.collect::<Vec<_>>())
}

//! The order as a whole: every accepted shape, everything that is refused, and what holds for all orders.

use super::{Order, Rejection};
use crate::time::Timestamp;

mod arbitrary;
mod limits;
mod malformed;
mod malformed_table;
mod properties;
mod shapes;
mod variations;

/// The limit that these tests set to `created_at`.
fn latest() -> Timestamp {
    Timestamp::parse("2026-01-01T01:00:00Z").unwrap()
}

fn parse(json: impl AsRef<[u8]>) -> Result<Order, Rejection> {
    Order::parse(json.as_ref(), latest())
}

fn normalised(json: impl AsRef<[u8]>) -> String {
    let order = parse(json).unwrap_or_else(|rejection| panic!("{rejection}"));
    String::from_utf8(order.to_json()).unwrap()
}

/// Pointer and detail of each error.
fn invalid(json: impl AsRef<[u8]>) -> Vec<(String, String)> {
    match parse(json) {
        Err(Rejection::Invalid { errors, .. }) => errors
            .into_iter()
            .map(|error| (error.pointer, error.detail))
            .collect(),
        other => panic!("expected errors, got {other:?}"),
    }
}

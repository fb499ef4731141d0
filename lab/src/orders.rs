//! Orders to send, the same for the same seed, in every spelling; with each what must come back, worked out here.

use std::path::PathBuf;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::place;

mod stream;

pub use stream::Orders;

/// An order as it is sent, and what a reader must be told of it.
#[derive(Debug, Clone)]
pub struct TestOrder {
    /// As it is sent.
    pub body: Value,
    /// As `GET /orders/{order_id}` must answer.
    pub canonical: Value,
    pub order_id: String,
    pub user_id: String,
    pub currency: String,
    /// Ten-thousandths.
    pub amount: i128,
    pub created_at: DateTime<Utc>,
    pub item_count: usize,
}

/// As the APIs write an instant: UTC, with as many of 0, 3 or 6 decimals as it needs.
#[must_use]
pub fn canonical_time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// The start of the UTC hour that holds `time`.
#[must_use]
pub fn hour_of(time: DateTime<Utc>) -> DateTime<Utc> {
    let into_the_hour = time.timestamp_micros().rem_euclid(3_600_000_000);
    time - TimeDelta::microseconds(into_the_hour)
}

/// One order a line.
#[must_use]
pub fn ndjson<'a>(orders: impl IntoIterator<Item = &'a TestOrder>) -> String {
    orders
        .into_iter()
        .map(|order| format!("{}\n", order.body))
        .collect()
}

/// A new file of [`ndjson`], gone when `scripts/test` ends.
///
/// # Errors
/// It cannot be written.
pub fn file<'a>(orders: impl IntoIterator<Item = &'a TestOrder>) -> std::io::Result<PathBuf> {
    let path = place::make("orders").join("orders.ndjson");
    std::fs::write(&path, ndjson(orders))?;
    Ok(path)
}

/// A seeded source of choices for tests: when to kill, whom.
#[must_use]
pub fn choices(seed: u64) -> impl Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_begins_on_the_hour() {
        let time = DateTime::parse_from_rfc3339("2024-02-29T23:59:59.999999Z")
            .unwrap()
            .to_utc();
        assert_eq!(canonical_time(hour_of(time)), "2024-02-29T23:00:00Z");
    }
}

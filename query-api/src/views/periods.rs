//! Series that are counted where the orders are stored.

use common::ids::{Currency, UserId};
use common::money::Total;
use common::time::Timestamp;
use serde::Serialize;

use super::json;
use crate::analytics::{Frame, Grain, Hour};
use crate::repo::Ordered;

#[derive(Serialize)]
struct View<'a, B> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a UserId>,
    currency: Currency,
    grain: Grain,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    buckets: Vec<B>,
}

impl<'a, B> View<'a, B> {
    fn new(
        user_id: Option<&'a UserId>,
        currency: Currency,
        grain: Grain,
        frame: &Frame,
        buckets: impl Iterator<Item = B>,
    ) -> Self {
        Self {
            user_id,
            currency,
            grain,
            from: frame.from.and_then(Hour::start),
            to: frame.to.and_then(Hour::start),
            buckets: buckets.collect(),
        }
    }
}

/// `{"user_id", "currency", "grain", "from", "to", "buckets": [{"bucket", "order_count", "amount"}]}`
#[must_use]
pub fn series_of_user(
    user_id: &UserId,
    currency: Currency,
    grain: Grain,
    frame: &Frame,
    ordered: &[(Hour, Ordered)],
) -> Vec<u8> {
    #[derive(Serialize)]
    struct Bucket {
        bucket: Option<Timestamp>,
        order_count: u64,
        amount: Total,
    }
    let filled = frame.filled(ordered);
    let buckets = filled.into_iter().map(|(hour, ordered)| Bucket {
        bucket: hour.start(),
        order_count: ordered.order_count,
        amount: ordered.amount,
    });
    json(&View::new(Some(user_id), currency, grain, frame, buckets))
}

/// `{"currency", "grain", "from", "to", "buckets": [{"bucket", "user_count"}]}`
#[must_use]
pub fn active_users(
    currency: Currency,
    grain: Grain,
    frame: &Frame,
    counted: &[(Hour, u64)],
) -> Vec<u8> {
    #[derive(Serialize)]
    struct Bucket {
        bucket: Option<Timestamp>,
        user_count: u64,
    }
    let filled = frame.filled(counted);
    let buckets = filled.into_iter().map(|(hour, user_count)| Bucket {
        bucket: hour.start(),
        user_count,
    });
    json(&View::new(None, currency, grain, frame, buckets))
}

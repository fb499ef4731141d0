//! Users whose number of orders or total amount is far above everybody's.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use common::money::{Amount, Total};

use super::ranking::Ranking;

/// How many standard deviations above the mean is far: a decimal from 0 to 100 with up to 4 decimals, kept exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sigma(Amount);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a decimal from 0 to 100 with at most 4 decimals, like 2 or 2.5")]
pub struct InvalidSigma;

impl Sigma {
    const MAX: u64 = 100;
    const UNITS_PER_ONE: u64 = 10_000;

    /// Numerator and denominator.
    pub(super) fn ratio(self) -> (u64, u64) {
        (self.0.units(), Self::UNITS_PER_ONE)
    }
}

/// Two: of values that spread as most do, one in forty is that far above.
impl Default for Sigma {
    fn default() -> Self {
        Self(Amount::from_units(2 * Self::UNITS_PER_ONE).expect("far below the largest amount"))
    }
}

impl FromStr for Sigma {
    type Err = InvalidSigma;

    fn from_str(text: &str) -> Result<Self, InvalidSigma> {
        // An amount is a decimal of the same precision, and its digits are read exactly.
        let value = Amount::parse(text).map_err(|_| InvalidSigma)?;
        let in_range = value.units() <= Self::MAX * Self::UNITS_PER_ONE;
        in_range.then_some(Self(value)).ok_or(InvalidSigma)
    }
}

/// As a JSON number would read: `2`, `2.5`.
impl fmt::Display for Sigma {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// Who stands out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Anomalies {
    /// All of them.
    pub count: usize,
    /// The first of them, by number of orders, then amount (the largest first), then user id.
    pub users: Vec<Anomaly>,
}

/// A user who stands out, and in what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anomaly {
    pub user_id: Arc<str>,
    pub order_count: u64,
    pub total_amount: Total,
    pub order_anomaly: bool,
    pub spending_anomaly: bool,
}

/// A user who stands out, while the indexes are being read.
struct Candidate<'a> {
    user_id: &'a Arc<str>,
    order_count: u64,
    total_amount: Total,
}

impl Candidate<'_> {
    fn order(&self, other: &Self) -> Ordering {
        let by_orders = other.order_count.cmp(&self.order_count);
        let by_amount = || other.total_amount.cmp(&self.total_amount);
        by_orders
            .then_with(by_amount)
            .then_with(|| self.user_id.cmp(other.user_id))
    }
}

impl Ranking {
    /// Reads both indexes from the top, only as far as somebody stands out.
    pub(super) fn anomalies(&self, sigma: Sigma, limit: usize) -> Anomalies {
        let least_orders = self.orders.least_above(sigma);
        let least_amount = self.amounts.least_above(sigma);
        let orders_stand_out =
            |count: u64| least_orders.is_some_and(|least| i128::from(count) >= least);
        let amount_stands_out =
            |total: Total| least_amount.is_some_and(|least| total.units() >= least);

        let by_orders = self
            .by_orders
            .iter()
            .map(|((count, user_id), &total_amount)| Candidate {
                user_id,
                order_count: count.0,
                total_amount,
            });
        let by_amount = self
            .by_amount
            .iter()
            .map(|((total, user_id), &order_count)| Candidate {
                user_id,
                order_count,
                total_amount: total.0,
            });
        let mut found: Vec<Candidate<'_>> = by_orders
            .take_while(|user| orders_stand_out(user.order_count))
            .collect();
        let rich = by_amount.take_while(|user| amount_stands_out(user.total_amount));
        found.extend(rich.filter(|user| !orders_stand_out(user.order_count)));

        let count = found.len();
        keep_first(&mut found, limit);
        let users = found.into_iter().map(|user| Anomaly {
            user_id: Arc::clone(user.user_id),
            order_count: user.order_count,
            total_amount: user.total_amount,
            order_anomaly: orders_stand_out(user.order_count),
            spending_anomaly: amount_stands_out(user.total_amount),
        });
        Anomalies {
            count,
            users: users.collect(),
        }
    }
}

/// The first `limit`, in order; what is beyond them is never sorted.
fn keep_first(found: &mut Vec<Candidate<'_>>, limit: usize) {
    if limit < found.len() {
        found.select_nth_unstable_by(limit, Candidate::order);
        found.truncate(limit);
    }
    found.sort_unstable_by(Candidate::order);
}

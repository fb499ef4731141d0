//! Orders by period, counted where they are stored: what the aggregates in memory do not tell. Purged orders count.
//!
//! A user's periods are found by an index over his orders. Who ordered in a period takes a scan over every order of the
//! period, some five million a second ([`super::scans`]).

use common::ids::{Currency, UserId};
use common::money::Total;
use common::time::Timestamp;
use tokio_postgres::Row;

use super::{Repo, RepoError, rows};
use crate::analytics::{Grain, Hour};

/// What a user ordered in one period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ordered {
    pub order_count: u64,
    pub amount: Total,
}

/// From an hour, inclusive, to another, exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hours {
    pub from: Hour,
    pub to: Hour,
}

impl Repo {
    /// What a user ordered in each period of the range that has an order; in order of time.
    ///
    /// # Errors
    /// See [`RepoError`].
    pub async fn ordered_by_user(
        &self,
        user_id: &UserId,
        currency: Currency,
        grain: Grain,
        hours: Hours,
    ) -> Result<Vec<(Hour, Ordered)>, RepoError> {
        const SQL: &str = "
            SELECT date_trunc($3, created_at, 'UTC') AS period, count(*), sum(amount)
              FROM (SELECT created_at, amount FROM orders
                     WHERE user_id = $1 AND currency = $2 AND created_at >= $4 AND created_at < $5
                    UNION ALL
                    SELECT created_at, amount FROM purged_orders
                     WHERE user_id = $1 AND currency = $2 AND created_at >= $4 AND created_at < $5) AS all_orders
             GROUP BY period ORDER BY period";
        let (from, to) = hours.instants();
        let currency = currency.as_str();
        let rows = self
            .connections
            .rows(
                SQL,
                &[&user_id.as_str(), &currency, &grain.name(), &from, &to],
            )
            .await?;
        let ordered = rows.iter().map(|row| {
            let ordered = Ordered {
                order_count: count(row, 1)?,
                amount: row.try_get(2)?,
            };
            Ok((Hour::of(row.try_get(0)?), ordered))
        });
        ordered.collect()
    }

    /// How many users ordered in each period of the range in which anybody did; in order of time.
    ///
    /// # Errors
    /// See [`RepoError`].
    pub async fn users_by_period(
        &self,
        currency: Currency,
        grain: Grain,
        hours: Hours,
    ) -> Result<Vec<(Hour, u64)>, RepoError> {
        const SQL: &str = "
            SELECT period, count(*)
              FROM (SELECT DISTINCT date_trunc($2, created_at, 'UTC') AS period, user_id
                      FROM (SELECT created_at, user_id FROM orders
                             WHERE currency = $1 AND created_at >= $3 AND created_at < $4
                            UNION ALL
                            SELECT created_at, user_id FROM purged_orders
                             WHERE currency = $1 AND created_at >= $3 AND created_at < $4) AS all_orders) AS users
             GROUP BY period ORDER BY period";
        let (from, to) = hours.instants();
        let (currency, grain) = (currency.as_str().to_owned(), grain.name());
        let rows = self
            .scans
            .rows(
                SQL,
                vec![
                    Box::new(currency),
                    Box::new(grain),
                    Box::new(from),
                    Box::new(to),
                ],
            )
            .await?;
        let counted = rows
            .iter()
            .map(|row| Ok((Hour::of(row.try_get(0)?), count(row, 1)?)));
        counted.collect()
    }
}

impl Hours {
    /// The year 10000 has no instant: there is no order from the last one on.
    fn instants(self) -> (Timestamp, Timestamp) {
        let instant = |hour: Hour| hour.start().unwrap_or(Timestamp::MAX);
        (instant(self.from), instant(self.to))
    }
}

fn count(row: &Row, index: usize) -> Result<u64, RepoError> {
    u64::try_from(row.try_get::<_, i64>(index)?).map_err(rows::corrupt)
}

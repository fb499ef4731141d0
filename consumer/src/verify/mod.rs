//! Proves the aggregates: recomputes every sum from the orders themselves, in one snapshot, while the system runs.
//!
//! An order that retention removed is in `purged_orders` with what the sums need, so it still counts.

use std::fmt;

use common::money::Total;
use common::time::Timestamp;
use deadpool_postgres::{Client, Pool, PoolError};
use tokio_postgres::IsolationLevel;

mod repair;
mod snapshot;

pub use repair::{RepairError, repair};

use crate::tally::{HourSum, UserSum};

#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("database: {0}")]
    Database(#[from] tokio_postgres::Error),
    #[error("database: {0}")]
    Pool(#[from] PoolError),
}

/// A stored sum that is not what the orders say. What is not there is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    User(UserDifference),
    Hour(HourDifference),
    /// What no transaction of the consumer writes: NaN, an infinity, a fifth decimal. Sums that it is part of are compared with
    /// nothing.
    NoAmount {
        /// A row of `user_stats` or `sales_hourly`, or an order.
        row: String,
        amount: String,
    },
    /// Children without their order.
    Orphans {
        table: &'static str,
        rows: i64,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserDifference {
    pub user_id: String,
    pub currency: String,
    pub stored: Option<UserSum>,
    pub recomputed: Option<UserSum>,
}

/// Over all partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HourDifference {
    pub bucket: Timestamp,
    pub currency: String,
    pub stored: Option<HourSum>,
    pub recomputed: Option<HourSum>,
}

/// What is stored in all, per currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrencyTotal {
    pub currency: String,
    pub order_count: i64,
    pub user_count: i64,
    pub amount: Total,
}

/// What one snapshot showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    pub totals: Vec<CurrencyTotal>,
    pub differences: Vec<Difference>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(difference) => difference.fmt(f),
            Self::Hour(difference) => difference.fmt(f),
            Self::NoAmount { row, amount } => {
                write!(f, "{}: {amount} is no amount of money", row.escape_debug())
            }
            Self::Orphans { table, rows } => write!(f, "{table}: {rows} rows belong to no order"),
        }
    }
}

impl fmt::Display for UserDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |sum: Option<UserSum>| {
            sum.map_or((0, Total::ZERO), |sum| (sum.order_count, sum.total_amount))
        };
        let (stored, recomputed) = (sum(self.stored), sum(self.recomputed));
        let (user, currency) = (self.user_id.escape_debug(), self.currency.escape_debug());
        if stored == recomputed {
            return write!(
                f,
                "user {user} in {currency}: the time of the first or the last order is wrong"
            );
        }
        write!(
            f,
            "user {user} in {currency}: {} orders, {} stored; the orders say {}, {}",
            stored.0, stored.1, recomputed.0, recomputed.1
        )
    }
}

impl fmt::Display for HourDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |sum: Option<HourSum>| {
            let HourSum {
                order_count,
                item_count,
                amount,
            } = sum.unwrap_or_default();
            format!("{order_count} orders, {item_count} items, {amount}")
        };
        write!(
            f,
            "hour {} in {}: stored {}; the orders say {}",
            self.bucket,
            self.currency.escape_debug(),
            sum(self.stored),
            sum(self.recomputed)
        )
    }
}

/// Recomputes everything in one snapshot.
///
/// # Errors
/// The database cannot be reached.
pub async fn verify(pool: &Pool) -> Result<Findings, VerifyError> {
    look(&mut pool.get().await?).await
}

async fn look(client: &mut Client) -> Result<Findings, VerifyError> {
    // Reading every order takes as long as it takes.
    client.batch_execute("SET statement_timeout = 0").await?;
    let snapshot = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    let totals = snapshot::totals(&snapshot).await?;
    let users = snapshot::users(&snapshot).await?;
    let hours = snapshot::hours(&snapshot).await?;
    let no_amounts = snapshot::no_amounts(&snapshot).await?;
    let orphans = snapshot::orphans(&snapshot).await?;
    snapshot.commit().await?;
    let differences = users.into_iter().map(Difference::User);
    let differences = differences.chain(hours.into_iter().map(Difference::Hour));
    Ok(Findings {
        totals,
        differences: differences.chain(no_amounts).chain(orphans).collect(),
    })
}

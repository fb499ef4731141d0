//! Proves the aggregates: recomputes every sum from the orders themselves, in one snapshot, while the system runs.
//!
//! An order that retention removed is in `purged_orders` with what the sums need, so it still counts.

use std::fmt;

use common::money::Total;
use common::time::Timestamp;
use deadpool_postgres::{Pool, PoolError, Transaction};
use tokio_postgres::{IsolationLevel, Row};

/// Every order with what the sums need, wherever it is kept.
const COUNTED: &str = "
    SELECT user_id, currency, amount, created_at,
           (SELECT count(*) FROM order_items i WHERE i.order_no = o.order_no) AS item_count
      FROM orders o
    UNION ALL
    SELECT user_id, currency, amount, created_at, item_count FROM purged_orders";

#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("database: {0}")]
    Database(#[from] tokio_postgres::Error),
    #[error("database: {0}")]
    Pool(#[from] PoolError),
}

/// A stored sum that is not what the orders say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    User {
        user_id: String,
        currency: String,
        stored: Sum,
        recomputed: Sum,
    },
    Hour {
        bucket: Timestamp,
        currency: String,
        stored: Sum,
        recomputed: Sum,
    },
    /// Children without their order.
    Orphans { table: &'static str, rows: i64 },
}

/// Counts and money of one aggregate; `item_count` is zero for users, who have none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    pub order_count: i64,
    pub item_count: i64,
    pub amount: Total,
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

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} orders, {} items, {}",
            self.order_count, self.item_count, self.amount
        )
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User {
                user_id,
                currency,
                stored,
                recomputed,
            } if stored == recomputed => {
                let user = user_id.escape_debug();
                write!(
                    f,
                    "user {user} in {currency}: the time of the first or the last order is wrong"
                )
            }
            Self::User {
                user_id,
                currency,
                stored,
                recomputed,
            } => write!(
                f,
                "user {} in {currency}: {} orders, {} stored; the orders say {}, {}",
                user_id.escape_debug(),
                stored.order_count,
                stored.amount,
                recomputed.order_count,
                recomputed.amount
            ),
            Self::Hour {
                bucket,
                currency,
                stored,
                recomputed,
            } => {
                write!(
                    f,
                    "hour {bucket} in {currency}: stored {stored}; the orders say {recomputed}"
                )
            }
            Self::Orphans { table, rows } => write!(f, "{table}: {rows} rows belong to no order"),
        }
    }
}

/// Recomputes everything in one snapshot.
///
/// # Errors
/// The database cannot be reached.
pub async fn verify(pool: &Pool) -> Result<Findings, VerifyError> {
    let mut client = pool.get().await?;
    // Reading every order takes as long as it takes.
    client.batch_execute("SET statement_timeout = 0").await?;
    let snapshot = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    let totals = totals(&snapshot).await?;
    let mut differences = users(&snapshot).await?;
    differences.extend(hours(&snapshot).await?);
    differences.extend(orphans(&snapshot).await?);
    snapshot.commit().await?;
    Ok(Findings {
        totals,
        differences,
    })
}

async fn totals(snapshot: &Transaction<'_>) -> Result<Vec<CurrencyTotal>, VerifyError> {
    const SQL: &str = "
        SELECT currency, sum(order_count)::bigint, count(*), sum(total_amount) FROM user_stats
         GROUP BY currency ORDER BY currency";
    let rows = snapshot.query(SQL, &[]).await?;
    let total = |row: &Row| CurrencyTotal {
        currency: row.get(0),
        order_count: row.get(1),
        user_count: row.get(2),
        amount: row.get(3),
    };
    Ok(rows.iter().map(total).collect())
}

async fn users(snapshot: &Transaction<'_>) -> Result<Vec<Difference>, VerifyError> {
    let sql = format!(
        "WITH counted AS ({COUNTED}), recomputed AS (
             SELECT user_id, currency, count(*) AS orders, sum(amount) AS amount,
                    min(created_at) AS first, max(created_at) AS last
               FROM counted GROUP BY user_id, currency)
         SELECT user_id, currency, coalesce(s.order_count, 0), coalesce(s.total_amount, 0),
                coalesce(r.orders, 0), coalesce(r.amount, 0)
           FROM user_stats s FULL JOIN recomputed r USING (user_id, currency)
          WHERE (s.order_count, s.total_amount, s.first_order_at, s.last_order_at)
                IS DISTINCT FROM (r.orders, r.amount, r.first, r.last)
          ORDER BY user_id, currency"
    );
    let rows = snapshot.query(&sql, &[]).await?;
    let sum = |order_count, amount| Sum {
        order_count,
        item_count: 0,
        amount,
    };
    let difference = |row: &Row| Difference::User {
        user_id: row.get(0),
        currency: row.get(1),
        stored: sum(row.get(2), row.get(3)),
        recomputed: sum(row.get(4), row.get(5)),
    };
    Ok(rows.iter().map(difference).collect())
}

async fn hours(snapshot: &Transaction<'_>) -> Result<Vec<Difference>, VerifyError> {
    let sql = format!(
        "WITH counted AS ({COUNTED}), recomputed AS (
             SELECT date_trunc('hour', created_at, 'UTC') AS bucket, currency, count(*) AS orders,
                    sum(item_count)::bigint AS items, sum(amount) AS amount
               FROM counted GROUP BY 1, 2),
         stored AS (
             SELECT bucket, currency, sum(order_count)::bigint AS orders, sum(item_count)::bigint AS items,
                    sum(amount) AS amount
               FROM sales_hourly GROUP BY 1, 2)
         SELECT bucket, currency, coalesce(s.orders, 0), coalesce(s.items, 0), coalesce(s.amount, 0),
                coalesce(r.orders, 0), coalesce(r.items, 0), coalesce(r.amount, 0)
           FROM stored s FULL JOIN recomputed r USING (bucket, currency)
          WHERE (s.orders, s.items, s.amount) IS DISTINCT FROM (r.orders, r.items, r.amount)
          ORDER BY bucket, currency"
    );
    let rows = snapshot.query(&sql, &[]).await?;
    let sum = |row: &Row, at: usize| Sum {
        order_count: row.get(at),
        item_count: row.get(at + 1),
        amount: row.get(at + 2),
    };
    let difference = |row: &Row| Difference::Hour {
        bucket: row.get(0),
        currency: row.get(1),
        stored: sum(row, 2),
        recomputed: sum(row, 5),
    };
    Ok(rows.iter().map(difference).collect())
}

async fn orphans(snapshot: &Transaction<'_>) -> Result<Vec<Difference>, VerifyError> {
    let mut found = Vec::new();
    for table in ["order_items", "deliveries", "payments"] {
        let sql = format!(
            "SELECT count(*) FROM {table} c WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.order_no = c.order_no)"
        );
        let rows: i64 = snapshot.query_one(&sql, &[]).await?.get(0);
        if rows > 0 {
            found.push(Difference::Orphans { table, rows });
        }
    }
    Ok(found)
}

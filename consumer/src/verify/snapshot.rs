//! What one snapshot says: stored sums beside recomputed ones.

use deadpool_postgres::Transaction;
use tokio_postgres::{Error, Row};

use super::{CurrencyTotal, Difference, HourDifference, UserDifference};
use crate::tally::{HourSum, UserSum};

/// Every order with what the sums need, wherever it is kept.
const COUNTED: &str = "
    SELECT user_id, currency, amount, created_at,
           (SELECT count(*) FROM order_items i WHERE i.order_no = o.order_no) AS item_count
      FROM orders o
    UNION ALL
    SELECT user_id, currency, amount, created_at, item_count FROM purged_orders";

/// Whether a numeric can be read as an amount of money, or is NULL. (NaN is larger than every number.)
fn is_money(numeric: &str) -> String {
    format!("({numeric} < 1e30 AND {numeric} = trunc({numeric}, 4)) IS NOT FALSE")
}

pub(super) async fn totals(snapshot: &Transaction<'_>) -> Result<Vec<CurrencyTotal>, Error> {
    let sql = format!(
        "SELECT currency, sum(order_count)::bigint, count(*), sum(total_amount) FROM user_stats
          WHERE {} GROUP BY currency ORDER BY currency",
        is_money("total_amount")
    );
    let total = |row: &Row| {
        Ok(CurrencyTotal {
            currency: row.try_get(0)?,
            order_count: row.try_get(1)?,
            user_count: row.try_get(2)?,
            amount: row.try_get(3)?,
        })
    };
    let rows = snapshot.query(&sql, &[]).await?;
    rows.iter().map(total).collect()
}

pub(super) async fn users(snapshot: &Transaction<'_>) -> Result<Vec<UserDifference>, Error> {
    let sql = format!(
        "WITH counted AS ({COUNTED}), recomputed AS (
             SELECT user_id, currency, count(*) AS orders, sum(amount) AS amount,
                    min(created_at) AS first, max(created_at) AS last
               FROM counted GROUP BY user_id, currency)
         SELECT user_id, currency, s.order_count, s.total_amount, s.first_order_at, s.last_order_at,
                r.orders, r.amount, r.first, r.last
           FROM user_stats s FULL JOIN recomputed r USING (user_id, currency)
          WHERE (s.order_count, s.total_amount, s.first_order_at, s.last_order_at)
                IS DISTINCT FROM (r.orders, r.amount, r.first, r.last)
            AND {} AND {}
          ORDER BY user_id, currency",
        is_money("s.total_amount"),
        is_money("r.amount")
    );
    let difference = |row: &Row| {
        Ok(UserDifference {
            user_id: row.try_get(0)?,
            currency: row.try_get(1)?,
            stored: user_sum(row, 2)?,
            recomputed: user_sum(row, 6)?,
        })
    };
    let rows = snapshot.query(&sql, &[]).await?;
    rows.iter().map(difference).collect()
}

fn user_sum(row: &Row, at: usize) -> Result<Option<UserSum>, Error> {
    let Some(order_count) = row.try_get(at)? else {
        return Ok(None);
    };
    Ok(Some(UserSum {
        order_count,
        total_amount: row.try_get(at + 1)?,
        first_order_at: row.try_get(at + 2)?,
        last_order_at: row.try_get(at + 3)?,
    }))
}

pub(super) async fn hours(snapshot: &Transaction<'_>) -> Result<Vec<HourDifference>, Error> {
    let sql = format!(
        "WITH counted AS ({COUNTED}), recomputed AS (
             SELECT date_trunc('hour', created_at, 'UTC') AS bucket, currency, count(*) AS orders,
                    sum(item_count)::bigint AS items, sum(amount) AS amount
               FROM counted GROUP BY 1, 2),
         stored AS (
             SELECT bucket, currency, sum(order_count)::bigint AS orders, sum(item_count)::bigint AS items,
                    sum(amount) AS amount
               FROM sales_hourly GROUP BY 1, 2)
         SELECT bucket, currency, s.orders, s.items, s.amount, r.orders, r.items, r.amount
           FROM stored s FULL JOIN recomputed r USING (bucket, currency)
          WHERE (s.orders, s.items, s.amount) IS DISTINCT FROM (r.orders, r.items, r.amount)
            AND {} AND {}
          ORDER BY bucket, currency",
        is_money("s.amount"),
        is_money("r.amount")
    );
    let difference = |row: &Row| {
        Ok(HourDifference {
            bucket: row.try_get(0)?,
            currency: row.try_get(1)?,
            stored: hour_sum(row, 2)?,
            recomputed: hour_sum(row, 5)?,
        })
    };
    let rows = snapshot.query(&sql, &[]).await?;
    rows.iter().map(difference).collect()
}

fn hour_sum(row: &Row, at: usize) -> Result<Option<HourSum>, Error> {
    let Some(order_count) = row.try_get(at)? else {
        return Ok(None);
    };
    Ok(Some(HourSum {
        order_count,
        item_count: row.try_get(at + 1)?,
        amount: row.try_get(at + 2)?,
    }))
}

/// Rows whose amount nobody can have sent.
pub(super) async fn no_amounts(snapshot: &Transaction<'_>) -> Result<Vec<Difference>, Error> {
    const ROWS: [&str; 4] = [
        "SELECT 'user ' || user_id || ' in ' || currency, total_amount FROM user_stats",
        "SELECT format('hour %s in %s of partition %s', to_char(bucket AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
                       currency, partition), amount FROM sales_hourly",
        "SELECT 'order ' || order_id, amount FROM orders",
        "SELECT 'purged order ' || order_id, amount FROM purged_orders",
    ];
    let sql = format!(
        "SELECT place, amount::text FROM ({}) AS stored (place, amount) WHERE NOT ({}) ORDER BY place COLLATE \"C\"",
        ROWS.join(" UNION ALL "),
        is_money("amount")
    );
    let no_amount = |row: &Row| {
        Ok(Difference::NoAmount {
            row: row.try_get(0)?,
            amount: row.try_get(1)?,
        })
    };
    let rows = snapshot.query(&sql, &[]).await?;
    rows.iter().map(no_amount).collect()
}

pub(super) async fn orphans(snapshot: &Transaction<'_>) -> Result<Vec<Difference>, Error> {
    let mut found = Vec::new();
    for table in ["order_items", "deliveries", "payments"] {
        let sql = format!(
            "SELECT count(*) FROM {table} c WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.order_no = c.order_no)"
        );
        let rows: i64 = snapshot.query_one(&sql, &[]).await?.try_get(0)?;
        if rows > 0 {
            found.push(Difference::Orphans { table, rows });
        }
    }
    Ok(found)
}

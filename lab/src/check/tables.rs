//! What the tables say of each other (I2, I3, I4, I6, I7), in one snapshot.

use tokio_postgres::Client;

use super::texts;

/// Each selects one line of text a violation.
const CHECKS: [&str; 12] = [
    // I2: users
    "WITH every_order AS (
         SELECT user_id, currency, amount, created_at FROM orders
         UNION ALL SELECT user_id, currency, amount, created_at FROM purged_orders),
     recomputed AS (
         SELECT user_id, currency, count(*) AS order_count, sum(amount) AS total_amount,
                min(created_at) AS first_order_at, max(created_at) AS last_order_at
           FROM every_order GROUP BY user_id, currency)
     SELECT format('user_stats of %s in %s: %s orders, %s; recomputed %s orders, %s (times equal: %s)',
                   user_id, currency, s.order_count, s.total_amount, r.order_count, r.total_amount,
                   (s.first_order_at, s.last_order_at) IS NOT DISTINCT FROM (r.first_order_at, r.last_order_at))
       FROM user_stats s FULL JOIN recomputed r USING (user_id, currency)
      WHERE (s.order_count, s.total_amount, s.first_order_at, s.last_order_at)
            IS DISTINCT FROM (r.order_count, r.total_amount, r.first_order_at, r.last_order_at)",
    // I2: hours
    "WITH every_order AS (
         SELECT currency, amount, created_at,
                (SELECT count(*) FROM order_items i WHERE i.order_no = o.order_no) AS item_count FROM orders o
         UNION ALL SELECT currency, amount, created_at, item_count FROM purged_orders),
     recomputed AS (
         SELECT date_trunc('hour', created_at, 'UTC') AS bucket, currency, count(*) AS order_count,
                sum(item_count) AS item_count, sum(amount) AS amount
           FROM every_order GROUP BY 1, 2),
     stored AS (
         SELECT bucket, currency, sum(order_count) AS order_count, sum(item_count) AS item_count, sum(amount) AS amount
           FROM sales_hourly GROUP BY 1, 2)
     SELECT format('sales of %s in %s: %s orders, %s items, %s; recomputed %s, %s, %s', bucket, currency,
                   s.order_count, s.item_count, s.amount, r.order_count, r.item_count, r.amount)
       FROM stored s FULL JOIN recomputed r USING (bucket, currency)
      WHERE (s.order_count, s.item_count, s.amount) IS DISTINCT FROM (r.order_count, r.item_count, r.amount)",
    // I2: every grain has the same total
    "WITH totals AS (
         SELECT 'users' AS of, currency, sum(order_count) AS order_count, sum(total_amount) AS amount FROM user_stats GROUP BY 2
         UNION ALL SELECT 'hours', currency, sum(order_count), sum(amount) FROM sales_hourly GROUP BY 2
         UNION ALL SELECT 'days', currency, sum(order_count), sum(amount) FROM sales_daily GROUP BY 2
         UNION ALL SELECT 'months', currency, sum(order_count), sum(amount) FROM sales_monthly GROUP BY 2
         UNION ALL SELECT 'years', currency, sum(order_count), sum(amount) FROM sales_yearly GROUP BY 2)
     SELECT format('the totals in %s differ: %s', currency, string_agg(format('%s %s orders %s', of, order_count, amount), ', '))
       FROM totals GROUP BY currency
     HAVING count(*) <> 5 OR min(order_count) <> max(order_count) OR min(amount) <> max(amount)",
    // I1: once, whatever the constraints say
    "SELECT format('order %s is stored %s times', order_id, count(*)) FROM orders GROUP BY order_id HAVING count(*) > 1",
    // I1: one order has one parent and whole children
    "SELECT format('items of order %s: %s lines, up to number %s', order_no, count(*), max(line))
       FROM order_items GROUP BY order_no HAVING max(line) <> count(*) - 1",
    "SELECT format('%s of an order %s that is not there', child, order_no) FROM (
         SELECT 'items' AS child, order_no FROM order_items
         UNION ALL SELECT 'delivery', order_no FROM deliveries
         UNION ALL SELECT 'payment', order_no FROM payments) children
      WHERE NOT EXISTS (SELECT FROM orders o WHERE o.order_no = children.order_no)",
    // I7
    "SELECT format('order %s is stored and purged', order_id) FROM orders JOIN purged_orders USING (order_id)",
    // I3: the feed's rows are without a gap up to the position that they tell of
    "SELECT format('%s/%s of %s: batches %s to %s, %s rows; the position is at batch %s', topic, partition, group_id,
                   min(b.batch_no), max(b.batch_no), count(b.batch_no), o.batch_no)
       FROM consumer_offsets o JOIN applied_batches b USING (group_id, topic, partition)
      GROUP BY topic, partition, group_id, o.batch_no
     HAVING max(b.batch_no) <> o.batch_no OR count(*) <> max(b.batch_no) - min(b.batch_no) + 1",
    // I4
    "SELECT format('dead letter %s/%s/%s lies beyond the position %s', d.topic, d.partition, d.offset, o.next_offset)
       FROM dead_letters d LEFT JOIN consumer_offsets o USING (group_id, topic, partition)
      WHERE o.next_offset IS NULL OR d.offset >= o.next_offset",
    "SELECT format('dead letter %s/%s/%s is recorded %s times', topic, partition, \"offset\", count(*))
       FROM dead_letters GROUP BY group_id, topic, partition, \"offset\" HAVING count(*) > 1",
    "SELECT format('the discarded dead letter %s/%s/%s lies beyond the position %s', d.topic, d.partition, discarded,
                   o.next_offset)
       FROM dead_letter_discards d CROSS JOIN unnest(offsets) AS discarded
       LEFT JOIN consumer_offsets o USING (group_id, topic, partition)
      WHERE o.next_offset IS NULL OR discarded >= o.next_offset",
    // I6: a moment between two statements is none
    "SELECT format('session %s of %s is idle in transaction for %s', pid, application_name, clock_timestamp() - state_change)
       FROM pg_stat_activity
      WHERE datname = current_database() AND state LIKE 'idle in transaction%'
        AND clock_timestamp() - state_change > interval '2 seconds'",
];

/// What [`crate::TestDatabase::watch_positions`] has written down, if it was asked to.
const WATCHED: &str = "SELECT what FROM lab.violations ORDER BY said_at";

pub(super) async fn contradictions(client: &Client) -> anyhow::Result<Vec<String>> {
    client
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await?;
    let mut violations = Vec::new();
    for check in CHECKS {
        violations.extend(texts(client, check).await?);
    }
    let watched = client
        .query_one("SELECT to_regclass('lab.violations') IS NOT NULL", &[])
        .await?;
    if watched.get(0) {
        violations.extend(texts(client, WATCHED).await?);
    }
    client.batch_execute("COMMIT").await?;
    Ok(violations)
}

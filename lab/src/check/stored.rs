//! What was sent against what is stored (I1, I2): every order once, with its content, and totals that equal the ledger's.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use chrono::{DateTime, Utc};
use tokio_postgres::{Client, Row};

use super::{DeadLetter, Expected};
use crate::ledger::{HourLine, Ledger, UserLine};
use crate::orders::TestOrder;
use crate::units;

pub(super) async fn violations(
    client: &Client,
    expected: &Expected,
) -> anyhow::Result<Vec<String>> {
    let stored = stored_orders(client).await?;
    let mut violations = Vec::new();
    for order in &expected.acknowledged {
        match stored.get(&order.order_id) {
            None => violations.push(format!(
                "order {} was acknowledged and is not stored",
                order.order_id
            )),
            Some(found) => violations.extend(found.differs_from(order)),
        }
    }
    let landed: Vec<&TestOrder> = expected
        .unknown
        .iter()
        .filter(|order| stored.contains_key(&order.order_id))
        .collect();
    violations.extend(
        landed
            .iter()
            .filter_map(|order| stored.get(&order.order_id)?.differs_from(order)),
    );
    let known: BTreeSet<&str> = expected
        .acknowledged
        .iter()
        .chain(&expected.unknown)
        .map(|order| order.order_id.as_str())
        .chain(expected.others.iter().map(String::as_str))
        .collect();
    let strangers = stored.keys().filter(|id| !known.contains(id.as_str()));
    violations.extend(strangers.map(|id| format!("order {id} is stored and was never accepted")));
    violations.extend(dead_letters(client, expected).await?);
    if expected.others.is_empty() {
        let ledger = Ledger::of(expected.acknowledged.iter().chain(landed));
        violations.extend(sums(client, &ledger).await?);
    }
    Ok(violations)
}

struct Stored {
    user_id: String,
    currency: String,
    amount: i128,
    created_at: DateTime<Utc>,
    item_count: i64,
    item_total: i128,
}

async fn stored_orders(client: &Client) -> anyhow::Result<BTreeMap<String, Stored>> {
    let rows = client
        .query(
            "SELECT order_id, user_id, currency, amount::text, (extract(epoch FROM created_at) * 1000000)::bigint,
                    count(i.line), coalesce(sum(i.total_price), 0)::text
               FROM orders o LEFT JOIN order_items i USING (order_no) GROUP BY o.order_no",
            &[],
        )
        .await?;
    let read = |row: &Row| {
        Ok((
            row.get(0),
            Stored {
                user_id: row.get(1),
                currency: row.get(2),
                amount: units::parse(row.get(3))?,
                created_at: time(row.get(4))?,
                item_count: row.get(5),
                item_total: units::parse(row.get(6))?,
            },
        ))
    };
    rows.iter().map(read).collect()
}

impl Stored {
    fn differs_from(&self, order: &TestOrder) -> Option<String> {
        let items = order.canonical["items"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let item_total: i128 = items
            .iter()
            .filter_map(|item| units::parse(item["total_price"].as_str()?).ok())
            .sum();
        let same = self.user_id == order.user_id
            && self.currency == order.currency
            && self.amount == order.amount
            && self.created_at == order.created_at
            && usize::try_from(self.item_count) == Ok(order.item_count)
            && self.item_total == item_total;
        (!same).then(|| {
            format!(
                "order {} is stored as {} {} {} at {} with {} items of {}, sent was {}",
                order.order_id,
                self.user_id,
                self.currency,
                units::print(self.amount),
                self.created_at,
                self.item_count,
                units::print(self.item_total),
                order.canonical
            )
        })
    }
}

async fn dead_letters(client: &Client, expected: &Expected) -> anyhow::Result<Vec<String>> {
    let rows = client
        .query(
            "SELECT partition, \"offset\", reason, detail FROM dead_letters",
            &[],
        )
        .await?;
    let mut missing = expected.dead_letters.clone();
    let mut violations = Vec::new();
    for row in &rows {
        let letter = DeadLetter {
            partition: row.get(0),
            offset: row.get(1),
            reason: row.get(2),
        };
        if !missing.remove(&letter) {
            violations.push(format!(
                "an unexpected dead letter: {letter:?}: {}",
                row.get::<_, String>(3)
            ));
        }
    }
    violations.extend(
        missing
            .iter()
            .map(|letter| format!("a dead letter is missing: {letter:?}")),
    );
    Ok(violations)
}

async fn sums(client: &Client, ledger: &Ledger) -> anyhow::Result<Vec<String>> {
    let stored = Ledger {
        users: users(client).await?,
        hours: hours(client).await?,
    };
    let mut violations = differences("user", &stored.users, &ledger.users);
    violations.extend(differences("hour", &stored.hours, &ledger.hours));
    Ok(violations)
}

fn differences<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    what: &str,
    stored: &BTreeMap<K, V>,
    sent: &BTreeMap<K, V>,
) -> Vec<String> {
    let keys: BTreeSet<&K> = stored.keys().chain(sent.keys()).collect();
    keys.into_iter()
        .filter(|key| stored.get(key) != sent.get(key))
        .map(|key| {
            format!(
                "{what} {key:?}: stored {:?}, sent {:?}",
                stored.get(key),
                sent.get(key)
            )
        })
        .collect()
}

async fn users(client: &Client) -> anyhow::Result<BTreeMap<(String, String), UserLine>> {
    let rows = client
        .query(
            "SELECT currency, user_id, order_count, total_amount::text,
                    (extract(epoch FROM first_order_at) * 1000000)::bigint,
                    (extract(epoch FROM last_order_at) * 1000000)::bigint
               FROM user_stats",
            &[],
        )
        .await?;
    let read = |row: &Row| {
        let line = UserLine {
            order_count: row.get::<_, i64>(2).into(),
            total_amount: units::parse(row.get(3))?,
            first_order_at: time(row.get(4))?,
            last_order_at: time(row.get(5))?,
        };
        Ok(((row.get(0), row.get(1)), line))
    };
    rows.iter().map(read).collect()
}

async fn hours(client: &Client) -> anyhow::Result<BTreeMap<(String, DateTime<Utc>), HourLine>> {
    let rows = client
        .query(
            "SELECT currency, extract(epoch FROM bucket)::bigint * 1000000, sum(order_count)::bigint,
                    sum(item_count)::bigint, sum(amount)::text
               FROM sales_hourly GROUP BY currency, bucket",
            &[],
        )
        .await?;
    let read = |row: &Row| {
        let line = HourLine {
            order_count: row.get::<_, i64>(2).into(),
            item_count: row.get::<_, i64>(3).into(),
            amount: units::parse(row.get(4))?,
        };
        Ok(((row.get(0), time(row.get(1))?), line))
    };
    rows.iter().map(read).collect()
}

fn time(micros: i64) -> anyhow::Result<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros).context("an instant")
}

//! What must hold once everything is quiet: the checks of [`crate::check`], with what the topic itself says of ids that were
//! sent with several contents, and every answer of the query API against the clients' books.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::books::{Book, EDITION, Entry, Receipt, canonical};
use super::stage::Stage;
use super::told;
use crate::StoredRecord;
use crate::answers;
use crate::check::Expected;
use crate::ledger::Ledger;
use crate::orders::TestOrder;

/// The most memory that any process of a service may hold, whatever happened.
const PRODUCER_MIB: u64 = 150;
const CONSUMER_MIB: u64 = 150;
const QUERY_API_MIB: u64 = 300;
/// Orders of each client whose whole answers are compared: the last ones, and as many again from all of its time.
const COMPARED: usize = 30;

pub(super) async fn violations(stage: &mut Stage, books: Vec<Book>) -> anyhow::Result<Vec<String>> {
    let records = Contents::of(&stage.trio.topic.records().await?);
    let stored = stored_editions(stage).await?;
    let mut violations = Vec::new();
    for book in &books {
        violations.extend(book.violations.iter().cloned());
        violations.extend(records.lost(&book.receipts));
    }
    violations.extend(records.usurped(&stored));
    violations.extend(answers(stage, &books, &stored).await);

    let mut expected = expected(books);
    for (partition, offset) in records.conflicts(&stored) {
        expected = expected.dead_letter((partition, offset), "conflict");
    }
    violations.extend(stage.trio.scene().violations(&expected).await?);
    violations.extend(memory(stage)?);
    stage.stop().await?;
    violations.append(&mut stage.violations);
    Ok(violations)
}

fn expected(books: Vec<Book>) -> Expected {
    let entries = books.into_iter().flat_map(|book| book.orders.into_values());
    let (acknowledged, unknown): (Vec<Entry>, Vec<Entry>) =
        entries.partition(|entry| entry.acknowledged);
    let orders = |entries: Vec<Entry>| entries.into_iter().map(|entry| entry.order).collect();
    Expected {
        acknowledged: orders(acknowledged),
        unknown: orders(unknown),
        ..Expected::default()
    }
}

/// Which content of each stored order stands.
async fn stored_editions(stage: &Stage) -> anyhow::Result<BTreeMap<String, u64>> {
    let client = stage.trio.database.client().await;
    let sql = "SELECT order_id, coalesce((attributes->>'edition')::bigint, 0) FROM orders";
    let rows = client.query(sql, &[]).await?;
    rows.iter()
        .map(|row| Ok((row.get(0), u64::try_from(row.get::<_, i64>(1))?)))
        .collect()
}

/// The topic's records by order, each with its place and edition.
struct Contents(BTreeMap<String, Vec<(i32, i64, u64)>>);

impl Contents {
    fn of(records: &[StoredRecord]) -> Self {
        let mut contents: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for record in records {
            let value: Value = record
                .value
                .as_deref()
                .and_then(|value| serde_json::from_slice(value).ok())
                .unwrap_or_default();
            if let Some(order_id) = value["order_id"].as_str() {
                let edition = &value["attributes"][EDITION];
                let edition = edition.as_u64().or(value[EDITION].as_u64()).unwrap_or(0);
                contents.entry(order_id.to_owned()).or_default().push((
                    record.partition,
                    record.offset,
                    edition,
                ));
            }
        }
        Self(contents)
    }

    /// Acknowledged, and not where the answer said.
    fn lost(&self, receipts: &[Receipt]) -> Vec<String> {
        let is_there = |receipt: &&Receipt| {
            self.0.get(&receipt.order_id).is_some_and(|places| {
                places.iter().any(|(partition, offset, edition)| {
                    (i64::from(*partition), *offset, *edition)
                        == (receipt.partition, receipt.offset, receipt.edition)
                })
            })
        };
        let missing = receipts.iter().filter(|receipt| !is_there(receipt));
        missing
            .map(|receipt| format!("acknowledged and not in the topic: {receipt:?}"))
            .collect()
    }

    /// All contents of an id are of one user, so of one partition: the first one stands.
    fn usurped(&self, stored: &BTreeMap<String, u64>) -> Vec<String> {
        let mut violations = Vec::new();
        for (order_id, places) in &self.0 {
            let first = places.iter().min().map(|(.., edition)| *edition);
            if first != stored.get(order_id).copied() {
                violations.push(format!(
                    "order {order_id}: content {:?} is stored, the topic's first is {first:?}",
                    stored.get(order_id)
                ));
            }
        }
        violations
    }

    /// Records whose id was taken by other content.
    fn conflicts(&self, stored: &BTreeMap<String, u64>) -> BTreeSet<(i32, i64)> {
        let mut conflicts = BTreeSet::new();
        for (order_id, places) in &self.0 {
            for (partition, offset, edition) in places {
                if stored.get(order_id).is_some_and(|stands| stands != edition) {
                    conflicts.insert((*partition, *offset));
                }
            }
        }
        conflicts
    }
}

fn memory(stage: &mut Stage) -> anyhow::Result<Vec<String>> {
    let trio = &mut stage.trio;
    let consumers = trio.consumers.iter_mut();
    let services = [
        (&mut trio.producer, PRODUCER_MIB),
        (&mut trio.query_api, QUERY_API_MIB),
    ]
    .into_iter()
    .chain(consumers.map(|consumer| (consumer, CONSUMER_MIB)));
    let mut violations = Vec::new();
    for (service, bound_mib) in services {
        let peak = service.peak_resident_bytes()?;
        violations.extend(beyond(service.name(), peak, bound_mib));
    }
    Ok(violations)
}

fn beyond(name: &str, peak_bytes: u64, bound_mib: u64) -> Option<String> {
    const MIB: u64 = 1024 * 1024;
    let peak_mib = peak_bytes.div_ceil(MIB);
    (peak_mib > bound_mib).then(|| format!("{name} held {peak_mib} MiB, its bound is {bound_mib}"))
}

/// Twice: what the cache holds, and what a miss loads into it, must be the same.
async fn answers(stage: &Stage, books: &[Book], stored: &BTreeMap<String, u64>) -> Vec<String> {
    let entries = books.iter().flat_map(|book| book.orders.values());
    let landed = entries.filter(|entry| stored.contains_key(&entry.order.order_id));
    let ledger = Ledger::of(landed.map(|entry| &entry.order));
    let compared: Vec<TestOrder> = books
        .iter()
        .flat_map(|book| compared(book, stored))
        .collect();
    let mut violations = Vec::new();
    for _ in 0..2 {
        if let Err(error) = told(answers::assert_equal(&stage.trio, &ledger, &compared)).await {
            violations.push(format!("an answer: {error:#}"));
        }
    }
    violations
}

/// As their answers must be: with the content that stands.
fn compared(book: &Book, stored: &BTreeMap<String, u64>) -> Vec<TestOrder> {
    let orders = book.orders.values().filter_map(|entry| {
        let edition = *stored.get(&entry.order.order_id)?;
        Some((&entry.order, edition))
    });
    let orders: Vec<(&TestOrder, u64)> = orders.collect();
    let (earlier, last) = orders.split_at(orders.len().saturating_sub(COMPARED));
    let step = earlier.len().div_ceil(COMPARED).max(1);
    let chosen = earlier.iter().step_by(step).chain(last);
    chosen
        .map(|(order, edition)| TestOrder {
            canonical: canonical(order, *edition),
            ..(*order).clone()
        })
        .collect()
}

#[cfg(test)]
mod tests;

//! What must hold once everything is quiet: the checks of [`crate::check`], with what the topic itself says of ids that were
//! sent with several contents, and every answer of the query API against the clients' books.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::stage::Stage;
use super::told;
use super::traffic::{EDITION, Receipt, Sent};
use crate::StoredRecord;
use crate::answers;
use crate::check::Expected;
use crate::ledger::Ledger;
use crate::orders::TestOrder;

/// The most memory a service may hold, whatever happened.
const MEMORY_BOUND: u64 = 256 * 1024 * 1024;
/// Orders whose whole answer is compared.
const COMPARED: usize = 300;

pub(super) async fn violations(stage: &Stage, sent: Sent) -> anyhow::Result<Vec<String>> {
    let trio = &stage.trio;
    let records = Contents::of(&trio.topic.records().await?);
    let stored = stored_editions(stage).await?;
    let mut violations = sent.violations;
    violations.extend(records.lost(&sent.receipts));
    violations.extend(records.usurped(&stored));

    let (acknowledged, unknown): (Vec<_>, Vec<_>) = sent
        .orders
        .into_values()
        .partition(|(_, acknowledged, _)| *acknowledged);
    let order = |(order, ..): (TestOrder, bool, u64)| order;
    let mut expected = Expected {
        acknowledged: acknowledged
            .into_iter()
            .map(order)
            .chain(sent.loaded)
            .collect(),
        unknown: unknown.into_iter().map(order).collect(),
        ..Expected::default()
    };
    for (partition, offset) in records.conflicts(&stored) {
        expected = expected.dead_letter((partition, offset), "conflict");
    }
    violations.extend(trio.scene().violations(&expected).await?);
    violations.extend(memory(stage)?);
    violations.extend(answers(stage, &expected, &stored).await);
    Ok(violations)
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

fn memory(stage: &Stage) -> anyhow::Result<Vec<String>> {
    let mut violations = Vec::new();
    let trio = &stage.trio;
    for service in [&trio.producer, &trio.query_api]
        .into_iter()
        .chain(&trio.consumers)
    {
        let bytes = service.process()?.peak_resident_bytes()?;
        if bytes > MEMORY_BOUND {
            violations.push(format!(
                "{} held {} MiB",
                service.name(),
                bytes / 1024 / 1024
            ));
        }
    }
    Ok(violations)
}

/// Twice: what the cache holds, and what a miss loads into it, must be the same.
async fn answers(
    stage: &Stage,
    expected: &Expected,
    stored: &BTreeMap<String, u64>,
) -> Vec<String> {
    let trio = &stage.trio;
    let landed: Vec<&TestOrder> = expected
        .acknowledged
        .iter()
        .chain(&expected.unknown)
        .filter(|order| stored.contains_key(&order.order_id))
        .collect();
    let ledger = Ledger::of(landed.iter().copied());
    // Those of which one content alone was stored read back as they were sent.
    let compared: Vec<TestOrder> = landed
        .into_iter()
        .filter(|order| stored.get(&order.order_id) == Some(&0))
        .take(COMPARED)
        .cloned()
        .collect();
    let mut violations = Vec::new();
    for _ in 0..2 {
        if let Err(error) = told(answers::assert_equal(trio, &ledger, &compared)).await {
            violations.push(format!("an answer: {error:#}"));
        }
    }
    violations
}

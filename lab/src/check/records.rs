//! The topic against the tables (I3, I4): every record below a position is an order or a dead letter, and no position lies
//! beyond what it follows.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tokio_postgres::Client;

use super::{Scene, texts};
use crate::StoredRecord;

const ORDER_ID_SPELLINGS: [&str; 4] = ["order_id", "order_uid", "event_id", "id"];

type Position = (i32, i64);

pub(super) async fn contradictions(
    scene: &Scene<'_>,
    client: &Client,
) -> anyhow::Result<Vec<String>> {
    let next_offsets = next_offsets(scene, client).await?;
    let mut violations = positions(scene, &next_offsets).await?;
    let dead = dead_letters(scene, client).await?;
    let stored: BTreeSet<String> = texts(
        client,
        "SELECT order_id FROM orders UNION SELECT order_id FROM purged_orders",
    )
    .await?
    .into_iter()
    .collect();
    let records = scene.topic.records().await?;
    violations.extend(unaccounted(&records, &next_offsets, &dead, &stored));
    violations.extend(altered(&records, &dead));
    Ok(violations)
}

async fn next_offsets(scene: &Scene<'_>, client: &Client) -> anyhow::Result<BTreeMap<i32, i64>> {
    let rows = client
        .query(
            "SELECT partition, next_offset FROM consumer_offsets WHERE group_id = $1 AND topic = $2",
            &[&scene.group, &scene.topic.name()],
        )
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

async fn positions(
    scene: &Scene<'_>,
    next_offsets: &BTreeMap<i32, i64>,
) -> anyhow::Result<Vec<String>> {
    let ends = scene.topic.end_offsets().await?;
    let committed = scene.topic.committed(scene.group).await?;
    let mut violations = Vec::new();
    for ((partition, end), committed) in (0..).zip(ends).zip(committed) {
        let next = next_offsets.get(&partition).copied().unwrap_or(0);
        if next > end {
            violations.push(format!(
                "partition {partition}: the position {next} lies beyond the end {end}"
            ));
        }
        if committed.is_some_and(|committed| committed > next) {
            violations.push(format!(
                "partition {partition}: Kafka has {committed:?} committed, the database {next}"
            ));
        }
    }
    Ok(violations)
}

struct Dead {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<Option<Vec<u8>>>,
}

async fn dead_letters(
    scene: &Scene<'_>,
    client: &Client,
) -> anyhow::Result<BTreeMap<Position, Dead>> {
    let rows = client
        .query(
            "SELECT partition, \"offset\", key, value, headers FROM dead_letters WHERE group_id = $1 AND topic = $2",
            &[&scene.group, &scene.topic.name()],
        )
        .await?;
    let dead = |row: &tokio_postgres::Row| Dead {
        key: row.get(2),
        value: row.get(3),
        headers: row.get(4),
    };
    Ok(rows
        .iter()
        .map(|row| ((row.get(0), row.get(1)), dead(row)))
        .collect())
}

fn unaccounted(
    records: &[StoredRecord],
    next_offsets: &BTreeMap<i32, i64>,
    dead: &BTreeMap<Position, Dead>,
    stored: &BTreeSet<String>,
) -> Vec<String> {
    let mut violations = Vec::new();
    let (mut named, mut nameless) = (BTreeSet::new(), 0);
    for record in records {
        let applied = record.offset < next_offsets.get(&record.partition).copied().unwrap_or(0);
        if !applied || dead.contains_key(&(record.partition, record.offset)) {
            continue;
        }
        match order_id(record) {
            None => nameless += 1,
            Some(id) if stored.contains(&id) => {
                named.insert(id);
            }
            Some(id) => violations.push(format!(
                "record {}/{} was passed over: {id} is neither stored nor a dead letter",
                record.partition, record.offset
            )),
        }
    }
    // A record without an id is given one that nobody else has: as many more orders are stored.
    let expected = named.len() + nameless;
    if stored.len() != expected {
        violations.push(format!(
            "{} orders are stored, the topic's records make {expected}",
            stored.len()
        ));
    }
    violations
}

fn altered(records: &[StoredRecord], dead: &BTreeMap<Position, Dead>) -> Vec<String> {
    let records: BTreeMap<Position, &StoredRecord> = records
        .iter()
        .map(|record| ((record.partition, record.offset), record))
        .collect();
    let differs = |(position, dead): (&Position, &Dead)| {
        let record = records.get(position)?;
        let headers: Vec<Option<Vec<u8>>> = record
            .headers
            .iter()
            .flat_map(|(name, value)| [Some(name.clone().into_bytes()), value.clone()])
            .collect();
        let same =
            (&record.key, &record.value, &headers) == (&dead.key, &dead.value, &dead.headers);
        (!same).then(|| format!("the dead letter of {position:?} has other bytes than its record"))
    };
    dead.iter().filter_map(differs).collect()
}

fn order_id(record: &StoredRecord) -> Option<String> {
    let value: Value = serde_json::from_slice(record.value.as_deref()?).ok()?;
    match ORDER_ID_SPELLINGS.iter().find_map(|name| value.get(name))? {
        Value::String(id) => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

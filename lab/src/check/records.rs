//! The topic against the tables (I3, I4): every record below a position is an order, a dead letter or one that an operator
//! has discarded, and no position lies beyond what it follows.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tokio_postgres::Client;

use super::contents::dropped_conflicts;
use super::{Scene, texts};
use crate::StoredRecord;

const ORDER_ID_SPELLINGS: [&str; 4] = ["order_id", "order_uid", "event_id", "id"];

/// On a record that an operator had published again: where it was first read.
const REPLAYED_FROM: &str = "tally_replayed_from";

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
    let set_aside: BTreeSet<Position> = dead
        .keys()
        .copied()
        .chain(discarded(scene, client).await?)
        .collect();
    let applied: Vec<&StoredRecord> = records
        .iter()
        .filter(|record| record.offset < next_offsets.get(&record.partition).copied().unwrap_or(0))
        .filter(|record| !set_aside.contains(&(record.partition, record.offset)))
        .collect();
    violations.extend(unaccounted(scene, &applied, &stored));
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

/// Dead letters that an operator has deleted, which is recorded.
async fn discarded(scene: &Scene<'_>, client: &Client) -> anyhow::Result<Vec<Position>> {
    let rows = client
        .query(
            "SELECT partition, unnest(offsets) FROM dead_letter_discards WHERE group_id = $1 AND topic = $2",
            &[&scene.group, &scene.topic.name()],
        )
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

fn unaccounted(
    scene: &Scene<'_>,
    applied: &[&StoredRecord],
    stored: &BTreeSet<String>,
) -> Vec<String> {
    let mut violations = Vec::new();
    let (mut named, mut nameless) = (Vec::new(), BTreeSet::new());
    for record in applied {
        match order_id(record) {
            None => {
                nameless.insert(origin(scene, record));
            }
            Some(id) if stored.contains(&id) => named.push((id, *record)),
            Some(id) => violations.push(format!(
                "record {}/{} was passed over: {id} is neither stored nor a dead letter",
                record.partition, record.offset
            )),
        }
    }
    // A record without an id is given one that nobody else has: as many more orders are stored.
    let ids: BTreeSet<&String> = named.iter().map(|(id, _)| id).collect();
    let expected = ids.len() + nameless.len();
    if stored.len() != expected {
        violations.push(format!(
            "{} orders are stored, the topic's records make {expected}",
            stored.len()
        ));
    }
    violations.extend(dropped_conflicts(&named));
    violations
}

/// Topic, partition and offset; those that it was replayed from, if it was: replayed twice, it counts once.
fn origin(scene: &Scene<'_>, record: &StoredRecord) -> String {
    let replayed_from = record
        .headers
        .iter()
        .find(|(name, _)| name == REPLAYED_FROM)
        .and_then(|(_, value)| String::from_utf8(value.clone()?).ok());
    match replayed_from
        .as_deref()
        .and_then(|from| from.rsplit_once('/'))
    {
        Some((position, _time)) => position.to_owned(),
        None => format!(
            "{}/{}/{}",
            scene.topic.name(),
            record.partition,
            record.offset
        ),
    }
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

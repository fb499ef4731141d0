//! What became of records of one id (I1): those that are no dead letters all have the content that stands, so they have the
//! same one. Whatever else an id was sent with is a conflict, and one that was dropped shows here.
//!
//! Records are compared as JSON, as a client's own would be that is sent again. Of the spellings that services take for the
//! same it knows nothing: the topic holds the canonical ones, unless others publish there.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::Value;

use crate::StoredRecord;

/// `applied` are the records below the positions that are neither dead letters nor discarded, each with its order's id.
pub(super) fn dropped_conflicts(applied: &[(String, &StoredRecord)]) -> Vec<String> {
    let mut stands: BTreeMap<&str, (&StoredRecord, Value)> = BTreeMap::new();
    let mut violations = Vec::new();
    for (order_id, record) in applied {
        let content = content(record);
        match stands.entry(order_id) {
            Entry::Vacant(first) => {
                first.insert((record, content));
            }
            Entry::Occupied(first) => {
                let (first, stands) = first.get();
                if content != *stands {
                    violations.push(format!(
                        "record {}/{} was dropped: order {order_id} has other content in {}/{}, and neither is a dead letter",
                        record.partition, record.offset, first.partition, first.offset
                    ));
                }
            }
        }
    }
    violations
}

fn content(record: &StoredRecord) -> Value {
    let value = record.value.as_deref().unwrap_or_default();
    serde_json::from_slice(value).unwrap_or_default()
}

//! How far the tables are behind the topic.

use common::ids::{NextOffset, Partition};
use common::time::Timestamp;
use serde::Serialize;

use super::json;
use crate::lag::Lag;

#[derive(Serialize)]
struct View<'a> {
    lag: Option<u64>,
    read_at: Option<Timestamp>,
    partitions: Vec<InPartition<'a>>,
}

#[derive(Serialize)]
struct InPartition<'a> {
    group_id: &'a str,
    topic: &'a str,
    partition: Partition,
    next_offset: NextOffset,
    end_offset: Option<NextOffset>,
    lag: Option<u64>,
    read_at: Option<Timestamp>,
}

/// `{"lag", "read_at", "partitions": [{"group_id", "topic", "partition", "next_offset", "end_offset", "lag", "read_at"}]}`;
/// null where no consumer has told where the partition ends.
#[must_use]
pub fn lag(lag: &Lag) -> Vec<u8> {
    let partitions = lag.partitions().map(|of| InPartition {
        group_id: &of.source.group_id,
        topic: &of.source.topic,
        partition: of.source.partition,
        next_offset: of.next_offset,
        end_offset: of.end.map(|end| end.offset),
        lag: of.records(),
        read_at: of.end.map(|end| end.read_at),
    });
    json(&View {
        lag: lag.records(),
        read_at: lag.read_at(),
        partitions: partitions.collect(),
    })
}

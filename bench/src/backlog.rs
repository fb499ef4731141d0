//! Orders to measure with: made here, put on a topic, and read back as they lie there.

use anyhow::Context;
use lab::{StoredRecord, TestTopic};
use uuid::Uuid;

use crate::raw::{self, RawRecord};

pub const PARTITIONS: i32 = 6;
/// Who order, where their number is not what is measured.
pub const USERS: u64 = 20_000;
const SKUS: u64 = 1_000;
/// 2026-01-01T00:00:00Z; orders follow each other by [`MILLIS_BETWEEN_ORDERS`].
const FIRST_MILLIS: u64 = 1_767_225_600_000;
const MILLIS_BETWEEN_ORDERS: u64 = 100;

/// As long as those of a published order.
pub const HEADERS: &[(&str, &str)] = &[
    ("ce_specversion", "1.0"),
    ("ce_type", "order.created"),
    ("ce_id", "01890a5d-ac96-774b-bcce-b302099a8057"),
    ("ce_source", "/tally/producer"),
    ("ce_time", "2026-01-01T00:00:00.000000Z"),
    ("content-type", "application/json"),
];

/// Which ids the orders have: they decide where in the index of ids each one is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    /// UUIDv7: at its end.
    TimeOrdered,
    /// UUIDv4: anywhere.
    Random,
}

/// What the orders are like.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    pub ids: Ids,
    pub items: u64,
    pub users: u64,
}

/// Orders that lie on a topic.
pub struct Backlog {
    pub topic: TestTopic,
    pub records: Vec<StoredRecord>,
}

impl Recipe {
    /// The order with this number, normalised as the producer publishes it.
    #[must_use]
    pub fn order(self, number: u64) -> RawRecord {
        let id = match self.ids {
            Ids::TimeOrdered => Uuid::now_v7(),
            Ids::Random => Uuid::new_v4(),
        };
        // A stride that shares no factor with the number of users visits all of them, in no order.
        let user_id = format!("user-{:06}", number * 7_919 % self.users);
        let created_at = common::time::Timestamp::from_millis(
            i64::try_from(FIRST_MILLIS + number * MILLIS_BETWEEN_ORDERS).expect("this century"),
        )
        .expect("this century");
        let cents = 100 + number % 9_900;
        let items: Vec<String> = (0..self.items)
            .map(|line| {
                let sku = (number + line) % SKUS;
                format!(
                    r#"{{"sku":"sku-{sku:04}","name":"Kettle, steel","quantity":1,"unit_price":"{0}.{1:02}","total_price":"{0}.{1:02}"}}"#,
                    cents / 100,
                    cents % 100
                )
            })
            .collect();
        let total = cents * self.items;
        let value = format!(
            r#"{{"order_id":"{id}","user_id":"{user_id}","created_at":"{created_at}","currency":"USD","amount":"{}.{:02}","items":[{}]}}"#,
            total / 100,
            total % 100,
            items.join(",")
        );
        RawRecord {
            key: user_id.into_bytes(),
            value: value.into_bytes(),
        }
    }
}

impl Backlog {
    /// `count` orders on a topic of their own.
    ///
    /// # Errors
    /// The broker does not take them.
    pub async fn publish(recipe: Recipe, count: u64) -> anyhow::Result<Self> {
        let topic = lab::topic(PARTITIONS).await;
        let records: Vec<RawRecord> = (0..count).map(|number| recipe.order(number)).collect();
        raw::publish(&topic, records, HEADERS).await?;
        let records = topic.records().await.context("the backlog")?;
        anyhow::ensure!(
            records.len() as u64 == count,
            "every order lies on the topic"
        );
        Ok(Self { topic, records })
    }

    #[must_use]
    pub fn order_count(&self) -> usize {
        self.records.len()
    }
}

/// Orders that never lay on a topic, spread over its partitions.
#[must_use]
pub fn in_memory(recipe: Recipe, numbers: std::ops::Range<u64>) -> Vec<StoredRecord> {
    let partitions = u64::try_from(PARTITIONS).expect("a few");
    let mut next = vec![0; usize::try_from(PARTITIONS).expect("a few")];
    numbers
        .map(|number| {
            let RawRecord { key, value } = recipe.order(number);
            // A user's orders keep to one partition, as they do behind a key.
            let partition =
                usize::try_from(number * 7_919 % recipe.users % partitions).expect("a few");
            let offset = next[partition];
            next[partition] += 1;
            StoredRecord {
                partition: i32::try_from(partition).expect("a few"),
                offset,
                timestamp: i64::try_from(FIRST_MILLIS + number * MILLIS_BETWEEN_ORDERS).ok(),
                key: Some(key),
                value: Some(value),
                headers: Vec::new(),
            }
        })
        .collect()
}

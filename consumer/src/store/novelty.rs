//! Which records bring something new: what the database knows already, and what the slice itself repeats.

use std::collections::HashMap;

use common::order::ContentHash;
use deadpool_postgres::Transaction;

use super::error::{Part, StoreError};
use super::{Slice, Store};
use crate::dead_letters::{DeadLetter, Reason};
use crate::decode::{Decoded, ReceivedOrder};

/// How many order numbers one batch may use; `order_blocks` in the migrations counts such blocks.
const ORDER_NUMBERS_PER_BLOCK: i64 = 10_000;

/// What is to be written, once the database has said which orders it knows.
pub(super) struct Sorted<'b> {
    pub(super) new: Vec<&'b ReceivedOrder>,
    pub(super) duplicates: usize,
    pub(super) poison: Vec<&'b DeadLetter>,
    pub(super) conflicts: Vec<DeadLetter>,
}

impl Store {
    /// Which of the slice's orders are stored, or were and are purged, with their content's hash; and the first number of
    /// a block for those that are not. Both tables are looked at in one statement: an order that is purged meanwhile is
    /// in one of them.
    pub(super) async fn known_orders(
        &self,
        tx: &Transaction<'_>,
        slice: Slice<'_>,
    ) -> Result<(i64, HashMap<String, ContentHash>), StoreError> {
        const SQL: &str = "
            SELECT order_id, content_hash, NULL::bigint FROM orders WHERE order_id = ANY($1)
            UNION ALL
            SELECT order_id, content_hash, NULL FROM purged_orders WHERE order_id = ANY($1)
            UNION ALL
            SELECT NULL, NULL, nextval('order_blocks')";
        let ids: Vec<&str> = slice
            .decoded
            .iter()
            .filter_map(|decoded| match decoded {
                Decoded::Order(received) => Some(received.order.order_id.as_str()),
                Decoded::Poison(_) => None,
            })
            .collect();
        let statement = tx
            .prepare_cached(SQL)
            .await
            .map_err(StoreError::of(Part::Bookkeeping))?;
        let rows = tx
            .query(&statement, &[&ids])
            .await
            .map_err(StoreError::of(Part::Bookkeeping))?;
        let mut known = HashMap::with_capacity(rows.len());
        let mut first_order_no = 0;
        for row in rows {
            match row.get::<_, Option<i64>>(2) {
                Some(block) => first_order_no = block * ORDER_NUMBERS_PER_BLOCK,
                None => {
                    known.insert(row.get(0), row.get(1));
                }
            }
        }
        Ok((first_order_no, known))
    }
}

/// Tells new orders from duplicates and conflicts: against what is stored, and against what came earlier in the slice.
pub(super) fn sort<'b>(slice: Slice<'b>, known: &HashMap<String, ContentHash>) -> Sorted<'b> {
    let mut sorted = Sorted {
        new: Vec::new(),
        duplicates: 0,
        poison: Vec::new(),
        conflicts: Vec::new(),
    };
    let mut first_seen: HashMap<&str, ContentHash> = HashMap::new();
    for (record, decoded) in slice.records.iter().zip(slice.decoded) {
        let received = match decoded {
            Decoded::Poison(letter) => {
                sorted.poison.push(letter);
                continue;
            }
            Decoded::Order(received) => received,
        };
        let order_id = received.order.order_id.as_str();
        match known.get(order_id).or_else(|| first_seen.get(order_id)) {
            None => {
                first_seen.insert(order_id, received.content_hash);
                sorted.new.push(received);
            }
            Some(hash) if *hash == received.content_hash => sorted.duplicates += 1,
            Some(_) => {
                let detail = format!("order {order_id} was stored before with other content");
                let order_id = Some(received.order.order_id.clone());
                sorted
                    .conflicts
                    .push(DeadLetter::new(record, Reason::Conflict, &detail, order_id));
            }
        }
    }
    sorted
}

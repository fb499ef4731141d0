//! Which records bring something new: what the database knows already, and what the slice itself repeats.

use std::collections::HashMap;

use common::order::{ContentHash, Order};
use deadpool_postgres::{GenericClient, Object, Transaction};

use super::error::{Part, StoreError};
use super::{Slice, Store};
use crate::dead_letters::{DeadLetter, Reason};
use crate::decode::{Decoded, ReceivedOrder};
use crate::source::Record;

/// How many order numbers one batch may use; `order_blocks` in the migrations counts such blocks.
const ORDER_NUMBERS_PER_BLOCK: i64 = 10_000;

/// What is to be written, once the database has said which orders it knows.
pub(super) struct Sorted<'b> {
    pub(super) new: Vec<&'b ReceivedOrder>,
    pub(super) duplicates: usize,
    /// Of those, the ones that were stored before as they stand.
    pub(super) repeats: usize,
    pub(super) poison: Vec<&'b DeadLetter>,
    pub(super) conflicts: Vec<DeadLetter>,
}

/// Orders that are stored, or were and are purged, with their contents' hashes.
#[derive(Debug, Default)]
pub struct KnownOrders(HashMap<String, ContentHash>);

impl KnownOrders {
    /// Whether the record is one of them once more, byte for byte as it is printed. That needs no decoding: the hash of a
    /// content is that of its printed form, and the id is part of it. False says nothing: an order may be spelled otherwise.
    #[must_use]
    pub fn repeated_by(&self, record: &Record<'_>) -> bool {
        let Some(value) = record.value() else {
            return false;
        };
        Order::leading_id(value)
            .and_then(|order_id| self.0.get(order_id))
            .is_some_and(|hash| *hash == ContentHash::of(value))
    }
}

/// A session that has said which orders it knows. In its database they stay known, as what is purged still is; another session may
/// be one with a database that was restored.
#[derive(Debug)]
pub struct Informed {
    pub(super) session: Object,
    pub known: KnownOrders,
}

impl Store {
    /// Which of the records' orders are known, as far as their ids can be seen without decoding.
    ///
    /// # Errors
    /// [`StoreError`]: nothing is known of any.
    pub async fn inform(&self, records: &[Record<'_>]) -> Result<Informed, StoreError> {
        let session = self.pool.get().await?;
        let ids: Vec<&str> = records
            .iter()
            .filter_map(|record| Order::leading_id(record.value()?))
            .collect();
        let known = if ids.is_empty() {
            KnownOrders::default()
        } else {
            known(&session, &ids, Numbers::NotNeeded).await?.1
        };
        Ok(Informed { session, known })
    }

    /// Which of the slice's orders are known, and the first number of a block for those that are not.
    pub(super) async fn known_orders(
        &self,
        tx: &Transaction<'_>,
        slice: Slice<'_>,
    ) -> Result<(i64, KnownOrders), StoreError> {
        let ids: Vec<&str> = slice
            .decoded
            .iter()
            .filter_map(|decoded| match decoded {
                Decoded::Order(received) => Some(received.order.order_id.as_str()),
                Decoded::Known | Decoded::Poison(_) => None,
            })
            .collect();
        if ids.is_empty() {
            return Ok((0, KnownOrders::default()));
        }
        let (block, known) = known(tx, &ids, Numbers::NextBlock).await?;
        Ok((block.unwrap_or_default() * ORDER_NUMBERS_PER_BLOCK, known))
    }
}

/// Whether new orders are to be numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Numbers {
    NextBlock,
    NotNeeded,
}

/// Looks at both tables in one statement: an order that is purged meanwhile is in one of them. What it finds is one row, not
/// one each: of a replay everything is found.
async fn known(
    client: &impl GenericClient,
    ids: &[&str],
    numbers: Numbers,
) -> Result<(Option<i64>, KnownOrders), StoreError> {
    const SQL: &str = "
        SELECT CASE WHEN $2 THEN nextval('order_blocks') END, string_agg(order_id, ' '), string_agg(content_hash, '')
          FROM (SELECT order_id, content_hash FROM orders WHERE order_id = ANY($1)
                UNION ALL
                SELECT order_id, content_hash FROM purged_orders WHERE order_id = ANY($1)) AS known";
    let statement = client
        .prepare_cached(SQL)
        .await
        .map_err(StoreError::of(Part::Bookkeeping))?;
    let row = client
        .query_one(&statement, &[&ids, &(numbers == Numbers::NextBlock)])
        .await
        .map_err(StoreError::of(Part::Bookkeeping))?;
    let found: Option<&str> = row.get(1);
    let hashes: Option<&[u8]> = row.get(2);
    let (hashes, _) = hashes.unwrap_or_default().as_chunks();
    let found = found
        .into_iter()
        .flat_map(|ids| ids.split(' '))
        .map(str::to_owned);
    let hashes = hashes.iter().copied().map(ContentHash::from);
    Ok((row.get(0), KnownOrders(found.zip(hashes).collect())))
}

/// Tells new orders from duplicates and conflicts: against what is stored, and against what came earlier in the slice.
pub(super) fn sort<'b>(slice: Slice<'b>, known: &KnownOrders) -> Sorted<'b> {
    let mut sorted = Sorted {
        new: Vec::new(),
        duplicates: 0,
        repeats: 0,
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
            Decoded::Known => {
                sorted.duplicates += 1;
                sorted.repeats += 1;
                continue;
            }
            Decoded::Order(received) => received,
        };
        let order_id = received.order.order_id.as_str();
        match known.0.get(order_id).or_else(|| first_seen.get(order_id)) {
            None => {
                first_seen.insert(order_id, received.content_hash);
                sorted.new.push(received);
            }
            Some(hash) if *hash == received.content_hash => {
                sorted.duplicates += 1;
                sorted.repeats += usize::from(known.repeated_by(record));
            }
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

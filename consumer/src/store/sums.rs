//! The aggregates, and the feed that tells the query API which of them a batch touched.

use common::ids::{NextOffset, Partition};
use deadpool_postgres::Transaction;

use super::Store;
use super::error::{Part, StoreError};
use crate::tally::Tally;

/// Each user's row is written once a batch, in the order of the keys.
pub(crate) async fn add_to_users(
    tx: &Transaction<'_>,
    tally: &Tally<'_>,
) -> Result<(), StoreError> {
    const SQL: &str = "
        INSERT INTO user_stats AS s (user_id, currency, order_count, total_amount, first_order_at, last_order_at)
        SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::numeric[], $5::timestamptz[], $6::timestamptz[])
        ON CONFLICT (user_id, currency) DO UPDATE
        SET order_count = s.order_count + excluded.order_count,
            total_amount = s.total_amount + excluded.total_amount,
            first_order_at = least(s.first_order_at, excluded.first_order_at),
            last_order_at = greatest(s.last_order_at, excluded.last_order_at)";
    if tally.users.is_empty() {
        return Ok(());
    }
    let (user_ids, currencies): (Vec<_>, Vec<_>) = tally
        .users
        .keys()
        .map(|(user_id, currency)| (*user_id, currency.as_str()))
        .unzip();
    let counts: Vec<_> = tally.users.values().map(|sum| sum.order_count).collect();
    let totals: Vec<_> = tally.users.values().map(|sum| sum.total_amount).collect();
    let firsts: Vec<_> = tally.users.values().map(|sum| sum.first_order_at).collect();
    let lasts: Vec<_> = tally.users.values().map(|sum| sum.last_order_at).collect();
    let statement = tx
        .prepare_cached(SQL)
        .await
        .map_err(StoreError::of(Part::Bookkeeping))?;
    tx.execute(
        &statement,
        &[&user_ids, &currencies, &counts, &totals, &firsts, &lasts],
    )
    .await
    .map_err(StoreError::of(Part::Bookkeeping))?;
    Ok(())
}

pub(crate) async fn add_to_hours(
    tx: &Transaction<'_>,
    partition: Partition,
    tally: &Tally<'_>,
) -> Result<(), StoreError> {
    const SQL: &str = "
        INSERT INTO sales_hourly AS s (bucket, currency, partition, order_count, item_count, amount)
        SELECT bucket, currency, $3, order_count, item_count, amount
          FROM unnest($1::timestamptz[], $2::text[], $4::bigint[], $5::bigint[], $6::numeric[])
               AS added (bucket, currency, order_count, item_count, amount)
        ON CONFLICT (bucket, currency, partition) DO UPDATE
        SET order_count = s.order_count + excluded.order_count,
            item_count = s.item_count + excluded.item_count,
            amount = s.amount + excluded.amount";
    if tally.hours.is_empty() {
        return Ok(());
    }
    let (buckets, currencies): (Vec<_>, Vec<_>) = tally
        .hours
        .keys()
        .map(|(bucket, currency)| (*bucket, currency.as_str()))
        .unzip();
    let orders: Vec<_> = tally.hours.values().map(|sum| sum.order_count).collect();
    let items: Vec<_> = tally.hours.values().map(|sum| sum.item_count).collect();
    let amounts: Vec<_> = tally.hours.values().map(|sum| sum.amount).collect();
    let statement = tx
        .prepare_cached(SQL)
        .await
        .map_err(StoreError::of(Part::Bookkeeping))?;
    tx.execute(
        &statement,
        &[
            &buckets,
            &currencies,
            &partition.0,
            &orders,
            &items,
            &amounts,
        ],
    )
    .await
    .map_err(StoreError::of(Part::Bookkeeping))?;
    Ok(())
}

impl Store {
    /// One row a batch, also for one that changed nothing: batch numbers are contiguous, so that a reader sees a gap.
    pub(super) async fn announce(
        &self,
        tx: &Transaction<'_>,
        partition: Partition,
        batch_no: i64,
        end: NextOffset,
        tally: &Tally<'_>,
        dead_letters: usize,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            INSERT INTO applied_batches (group_id, topic, partition, batch_no, next_offset, user_ids, buckets,
                                         dead_letter_count)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        // Keys are sorted, so what repeats (a user with two currencies) stands side by side.
        let mut user_ids: Vec<_> = tally.users.keys().map(|(user_id, _)| *user_id).collect();
        user_ids.dedup();
        let mut buckets: Vec<_> = tally.hours.keys().map(|(bucket, _)| *bucket).collect();
        buckets.dedup();
        let dead_letters = i32::try_from(dead_letters).expect("a batch has at most 10,000 records");
        let statement = tx
            .prepare_cached(SQL)
            .await
            .map_err(StoreError::of(Part::Bookkeeping))?;
        tx.execute(
            &statement,
            &[
                &self.group_id,
                &self.topic,
                &partition.0,
                &batch_no,
                &end.0,
                &user_ids,
                &buckets,
                &dead_letters,
            ],
        )
        .await
        .map_err(StoreError::of(Part::Bookkeeping))?;
        Ok(())
    }
}

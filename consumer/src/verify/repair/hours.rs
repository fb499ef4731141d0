//! Hours of `sales_hourly` that are there and wrong.

use std::collections::HashMap;

use common::money::Total;
use common::time::Timestamp;
use deadpool_postgres::Transaction;
use tokio_postgres::{Error, Row};

use super::RepairError;
use crate::tally::HourSum;
use crate::verify::HourDifference;

/// The key of a row.
type Place<'a> = (Timestamp, &'a str, i32);

/// An hour's rows under their locks: the first one's partition, and the sum of all.
#[derive(Debug, Default)]
struct Locked {
    partitions: Vec<i32>,
    sum: HourSum,
}

pub(super) async fn repair(
    tx: &Transaction<'_>,
    hours: &[&HourDifference],
) -> Result<(), RepairError> {
    let locked = lock(tx, hours).await?;
    let (mut kept, mut superfluous): (Vec<(Place<'_>, HourSum)>, Vec<Place<'_>>) =
        (Vec::new(), Vec::new());
    for hour in hours {
        let changed = || RepairError::Changed(format!("hour {} in {}", hour.bucket, hour.currency));
        let place = |partition: &i32| (hour.bucket, hour.currency.as_str(), *partition);
        let rows = locked
            .get(&(hour.bucket, hour.currency.clone()))
            .ok_or_else(changed)?;
        let sum = repaired(hour, rows.sum).ok_or_else(changed)?;
        // The partition in the key only keeps workers apart: which of them holds the sum makes no difference.
        let (first, others) = rows.partitions.split_first().ok_or_else(changed)?;
        match sum {
            Some(sum) => kept.push((place(first), sum)),
            None => superfluous.push(place(first)),
        }
        superfluous.extend(others.iter().map(place));
    }
    delete(tx, &superfluous).await?;
    Ok(update(tx, &kept).await?)
}

/// What the hour has to be, `Some(None)` if it has to go; `None` if no batch can have led here.
fn repaired(hour: &HourDifference, now: HourSum) -> Option<Option<HourSum>> {
    let stored = hour.stored.unwrap_or_default();
    let recomputed = hour.recomputed.unwrap_or_default();
    let sum = HourSum {
        order_count: now.order_count + recomputed.order_count - stored.order_count,
        item_count: now.item_count + recomputed.item_count - stored.item_count,
        amount: now.amount + recomputed.amount - stored.amount,
    };
    if sum == HourSum::default() {
        return Some(None);
    }
    let possible = sum.order_count > 0 && sum.item_count >= 0 && sum.amount >= Total::ZERO;
    possible.then_some(Some(sum))
}

async fn lock(
    tx: &Transaction<'_>,
    hours: &[&HourDifference],
) -> Result<HashMap<(Timestamp, String), Locked>, Error> {
    const SQL: &str = "
        SELECT bucket, currency, partition, order_count, item_count, amount FROM sales_hourly
         WHERE (bucket, currency) IN (SELECT * FROM unnest($1::timestamptz[], $2::text[]))
         ORDER BY bucket, currency, partition FOR UPDATE";
    let (buckets, currencies): (Vec<_>, Vec<_>) = hours
        .iter()
        .map(|hour| (hour.bucket, hour.currency.as_str()))
        .unzip();
    let mut locked: HashMap<_, Locked> = HashMap::new();
    for row in tx.query(SQL, &[&buckets, &currencies]).await? {
        let hour = locked
            .entry((row.try_get(0)?, row.try_get(1)?))
            .or_default();
        hour.partitions.push(row.try_get(2)?);
        add(&mut hour.sum, &row)?;
    }
    Ok(locked)
}

fn add(sum: &mut HourSum, row: &Row) -> Result<(), Error> {
    sum.order_count += row.try_get::<_, i64>(3)?;
    sum.item_count += row.try_get::<_, i64>(4)?;
    sum.amount += row.try_get::<_, Total>(5)?;
    Ok(())
}

async fn delete(tx: &Transaction<'_>, superfluous: &[Place<'_>]) -> Result<(), Error> {
    const SQL: &str = "
        DELETE FROM sales_hourly
         WHERE (bucket, currency, partition) IN (SELECT * FROM unnest($1::timestamptz[], $2::text[], $3::integer[]))";
    let (buckets, currencies, partitions) = columns(superfluous.iter().copied());
    tx.execute(SQL, &[&buckets, &currencies, &partitions])
        .await?;
    Ok(())
}

async fn update(tx: &Transaction<'_>, kept: &[(Place<'_>, HourSum)]) -> Result<(), Error> {
    const SQL: &str = "
        UPDATE sales_hourly AS s
           SET order_count = r.order_count, item_count = r.item_count, amount = r.amount
          FROM unnest($1::timestamptz[], $2::text[], $3::integer[], $4::bigint[], $5::bigint[], $6::numeric[])
               AS r (bucket, currency, partition, order_count, item_count, amount)
         WHERE s.bucket = r.bucket AND s.currency = r.currency AND s.partition = r.partition";
    let (buckets, currencies, partitions) = columns(kept.iter().map(|(place, _)| *place));
    let orders: Vec<_> = kept.iter().map(|(_, sum)| sum.order_count).collect();
    let items: Vec<_> = kept.iter().map(|(_, sum)| sum.item_count).collect();
    let amounts: Vec<_> = kept.iter().map(|(_, sum)| sum.amount).collect();
    tx.execute(
        SQL,
        &[
            &buckets,
            &currencies,
            &partitions,
            &orders,
            &items,
            &amounts,
        ],
    )
    .await?;
    Ok(())
}

fn columns<'a>(
    places: impl Iterator<Item = Place<'a>>,
) -> (Vec<Timestamp>, Vec<&'a str>, Vec<i32>) {
    let (mut buckets, mut currencies, mut partitions) = (Vec::new(), Vec::new(), Vec::new());
    for (bucket, currency, partition) in places {
        buckets.push(bucket);
        currencies.push(currency);
        partitions.push(partition);
    }
    (buckets, currencies, partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(order_count: i64, item_count: i64, units: i128) -> HourSum {
        HourSum {
            order_count,
            item_count,
            amount: Total::from_units(units),
        }
    }

    #[test]
    fn the_difference_is_added_to_what_all_partitions_hold_by_now() {
        let hour = HourDifference {
            bucket: Timestamp::EPOCH,
            currency: "EUR".into(),
            stored: Some(sum(5, 9, 50)),
            recomputed: Some(sum(3, 10, 30)),
        };
        assert_eq!(repaired(&hour, sum(6, 11, 57)), Some(Some(sum(4, 12, 37))));
        assert_eq!(repaired(&hour, sum(1, 11, 57)), None);
        let nothing = HourDifference {
            recomputed: None,
            ..hour
        };
        assert_eq!(repaired(&nothing, sum(5, 9, 50)), Some(None));
        assert_eq!(repaired(&nothing, sum(6, 9, 51)), Some(Some(sum(1, 0, 1))));
    }
}

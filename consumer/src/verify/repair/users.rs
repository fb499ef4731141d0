//! Rows of `user_stats` that are there and wrong.

use std::collections::HashMap;

use common::money::Total;
use common::time::Timestamp;
use deadpool_postgres::Transaction;
use tokio_postgres::{Error, Row};

use super::RepairError;
use crate::tally::UserSum;
use crate::verify::UserDifference;

type Key<'a> = (&'a str, &'a str);

/// A row as it is under its lock, and the first and last of the user's orders by then.
#[derive(Debug, Clone, Copy)]
struct Locked {
    order_count: i64,
    total_amount: Total,
    times: Option<(Timestamp, Timestamp)>,
}

pub(super) async fn repair(
    tx: &Transaction<'_>,
    users: &[&UserDifference],
) -> Result<(), RepairError> {
    let rows = lock(tx, users).await?;
    let found = first_and_last(tx, users).await?;
    let times = times(&found)?;
    let mut locked = HashMap::with_capacity(rows.len());
    for row in &rows {
        let key: Key<'_> = (row.try_get(0)?, row.try_get(1)?);
        let row = Locked {
            order_count: row.try_get(2)?,
            total_amount: row.try_get(3)?,
            times: times.get(&key).copied(),
        };
        locked.insert(key, row);
    }
    let (mut wrong, mut superfluous) = (Vec::new(), Vec::new());
    for user in users {
        let key: Key<'_> = (&user.user_id, &user.currency);
        let row = locked.get(&key).copied();
        match row.and_then(|row| repaired(user, row)) {
            Some(Some(sum)) => wrong.push((key, sum)),
            Some(None) => superfluous.push(key),
            None => {
                let who = format!(
                    "the row of user {} in {}",
                    user.user_id.escape_debug(),
                    user.currency
                );
                return Err(RepairError::Changed(who));
            }
        }
    }
    delete(tx, &superfluous).await?;
    Ok(update(tx, &wrong).await?)
}

/// What the row has to be, `Some(None)` if it has to go; `None` if no batch can have led here.
fn repaired(user: &UserDifference, row: Locked) -> Option<Option<UserSum>> {
    let sum = |sum: Option<UserSum>| {
        sum.map_or((0, Total::ZERO), |sum| (sum.order_count, sum.total_amount))
    };
    let (stored, recomputed) = (sum(user.stored), sum(user.recomputed));
    let order_count = row.order_count + recomputed.0 - stored.0;
    let total_amount = row.total_amount + recomputed.1 - stored.1;
    if order_count == 0 && total_amount == Total::ZERO {
        return Some(None);
    }
    if order_count <= 0 || total_amount < Total::ZERO {
        return None;
    }
    let (first_order_at, last_order_at) = row.times?;
    Some(Some(UserSum {
        order_count,
        total_amount,
        first_order_at,
        last_order_at,
    }))
}

fn columns<'a>(keys: impl Iterator<Item = Key<'a>>) -> (Vec<&'a str>, Vec<&'a str>) {
    keys.unzip()
}

fn keys<'a>(users: &'a [&'a UserDifference]) -> (Vec<&'a str>, Vec<&'a str>) {
    columns(
        users
            .iter()
            .map(|user| (user.user_id.as_str(), user.currency.as_str())),
    )
}

async fn lock(tx: &Transaction<'_>, users: &[&UserDifference]) -> Result<Vec<Row>, Error> {
    const SQL: &str = "
        SELECT user_id, currency, order_count, total_amount FROM user_stats
         WHERE (user_id, currency) IN (SELECT * FROM unnest($1::text[], $2::text[]))
         ORDER BY user_id, currency FOR UPDATE";
    let (user_ids, currencies) = keys(users);
    tx.query(SQL, &[&user_ids, &currencies]).await
}

/// Its own statement, after the locks: it sees every order that the locked sums count. Each is the first entry of an index,
/// or, where the user has ordered in other currencies too, the first of this one.
async fn first_and_last(
    tx: &Transaction<'_>,
    users: &[&UserDifference],
) -> Result<Vec<Row>, Error> {
    const SQL: &str = "
        SELECT user_id, currency,
               least((SELECT created_at FROM orders AS o WHERE o.user_id = w.user_id AND o.currency = w.currency
                       ORDER BY created_at LIMIT 1),
                     (SELECT created_at FROM purged_orders AS p WHERE p.user_id = w.user_id AND p.currency = w.currency
                       ORDER BY created_at LIMIT 1)),
               greatest((SELECT created_at FROM orders AS o WHERE o.user_id = w.user_id AND o.currency = w.currency
                          ORDER BY created_at DESC LIMIT 1),
                        (SELECT created_at FROM purged_orders AS p WHERE p.user_id = w.user_id AND p.currency = w.currency
                          ORDER BY created_at DESC LIMIT 1))
          FROM unnest($1::text[], $2::text[]) AS w (user_id, currency)";
    let (user_ids, currencies) = keys(users);
    tx.query(SQL, &[&user_ids, &currencies]).await
}

/// Without those who have no order.
fn times(found: &[Row]) -> Result<HashMap<Key<'_>, (Timestamp, Timestamp)>, Error> {
    let mut times = HashMap::with_capacity(found.len());
    for row in found {
        let (first, last): (Option<Timestamp>, Option<Timestamp>) =
            (row.try_get(2)?, row.try_get(3)?);
        if let Some(both) = first.zip(last) {
            times.insert((row.try_get(0)?, row.try_get(1)?), both);
        }
    }
    Ok(times)
}

async fn delete(tx: &Transaction<'_>, superfluous: &[Key<'_>]) -> Result<(), Error> {
    const SQL: &str = "
        DELETE FROM user_stats WHERE (user_id, currency) IN (SELECT * FROM unnest($1::text[], $2::text[]))";
    let (user_ids, currencies) = columns(superfluous.iter().copied());
    tx.execute(SQL, &[&user_ids, &currencies]).await?;
    Ok(())
}

async fn update(tx: &Transaction<'_>, wrong: &[(Key<'_>, UserSum)]) -> Result<(), Error> {
    const SQL: &str = "
        UPDATE user_stats AS s
           SET order_count = r.order_count, total_amount = r.total_amount,
               first_order_at = r.first_order_at, last_order_at = r.last_order_at
          FROM unnest($1::text[], $2::text[], $3::bigint[], $4::numeric[], $5::timestamptz[], $6::timestamptz[])
               AS r (user_id, currency, order_count, total_amount, first_order_at, last_order_at)
         WHERE s.user_id = r.user_id AND s.currency = r.currency";
    let (user_ids, currencies) = columns(wrong.iter().map(|(key, _)| *key));
    let counts: Vec<_> = wrong.iter().map(|(_, sum)| sum.order_count).collect();
    let totals: Vec<_> = wrong.iter().map(|(_, sum)| sum.total_amount).collect();
    let firsts: Vec<_> = wrong.iter().map(|(_, sum)| sum.first_order_at).collect();
    let lasts: Vec<_> = wrong.iter().map(|(_, sum)| sum.last_order_at).collect();
    tx.execute(
        SQL,
        &[&user_ids, &currencies, &counts, &totals, &firsts, &lasts],
    )
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    fn sum(order_count: i64, units: i128, first: i64, last: i64) -> UserSum {
        UserSum {
            order_count,
            total_amount: Total::from_units(units),
            first_order_at: at(first),
            last_order_at: at(last),
        }
    }

    fn difference(stored: UserSum, recomputed: Option<UserSum>) -> UserDifference {
        UserDifference {
            user_id: "u".into(),
            currency: "EUR".into(),
            stored: Some(stored),
            recomputed,
        }
    }

    fn locked(order_count: i64, units: i128, times: Option<(i64, i64)>) -> Locked {
        Locked {
            order_count,
            total_amount: Total::from_units(units),
            times: times.map(|(first, last)| (at(first), at(last))),
        }
    }

    #[test]
    fn the_difference_is_added_to_what_is_there_by_now() {
        // Two orders too many and too early in the snapshot; since then a batch has added one of 7 at 40.
        let user = difference(sum(5, 50, 1, 90), Some(sum(3, 30, 20, 30)));
        let row = locked(6, 57, Some((20, 40)));
        assert_eq!(repaired(&user, row), Some(Some(sum(4, 37, 20, 40))));
    }

    #[test]
    fn a_row_without_orders_goes_unless_orders_came_meanwhile() {
        let user = difference(sum(2, 20, 1, 2), None);
        assert_eq!(repaired(&user, locked(2, 20, None)), Some(None));
        assert_eq!(
            repaired(&user, locked(3, 25, Some((9, 9)))),
            Some(Some(sum(1, 5, 9, 9)))
        );
    }

    #[test]
    fn what_no_batch_can_have_led_to_is_left_alone() {
        let user = difference(sum(5, 50, 1, 9), Some(sum(3, 30, 1, 9)));
        assert_eq!(repaired(&user, locked(1, 50, Some((1, 9)))), None);
        assert_eq!(repaired(&user, locked(5, 10, Some((1, 9)))), None);
    }
}

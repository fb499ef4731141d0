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

/// A row as it is under its lock, and the first and last of the user's live orders.
#[derive(Debug, Clone, Copy)]
struct Locked {
    order_count: i64,
    total_amount: Total,
    live: Option<(Timestamp, Timestamp)>,
}

pub(super) async fn repair(
    tx: &Transaction<'_>,
    users: &[&UserDifference],
) -> Result<(), RepairError> {
    let rows = lock(tx, users).await?;
    let live = live_times(tx, users).await?;
    let live = times(&live)?;
    let mut locked = HashMap::with_capacity(rows.len());
    for row in &rows {
        let key: Key<'_> = (row.try_get(0)?, row.try_get(1)?);
        let row = Locked {
            order_count: row.try_get(2)?,
            total_amount: row.try_get(3)?,
            live: live.get(&key).copied(),
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
    let snapshot = user
        .recomputed
        .map(|sum| (sum.first_order_at, sum.last_order_at));
    let times = snapshot.into_iter().chain(row.live);
    let (first_order_at, last_order_at) = times.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
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

/// Its own statement, after the locks: it sees every order that the locked sums count.
async fn live_times(tx: &Transaction<'_>, users: &[&UserDifference]) -> Result<Vec<Row>, Error> {
    const SQL: &str = "
        SELECT user_id, currency, min(created_at), max(created_at)
          FROM unnest($1::text[], $2::text[]) AS wanted (user_id, currency) JOIN orders USING (user_id, currency)
         GROUP BY user_id, currency";
    let (user_ids, currencies) = keys(users);
    tx.query(SQL, &[&user_ids, &currencies]).await
}

fn times(live: &[Row]) -> Result<HashMap<Key<'_>, (Timestamp, Timestamp)>, Error> {
    let times = |row| {
        let key: Key<'_> = (Row::try_get(row, 0)?, Row::try_get(row, 1)?);
        Ok((key, (Row::try_get(row, 2)?, Row::try_get(row, 3)?)))
    };
    live.iter().map(times).collect()
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

    fn locked(order_count: i64, units: i128, live: Option<(i64, i64)>) -> Locked {
        Locked {
            order_count,
            total_amount: Total::from_units(units),
            live: live.map(|(first, last)| (at(first), at(last))),
        }
    }

    #[test]
    fn the_difference_is_added_to_what_is_there_by_now() {
        // Two orders too many and too early in the snapshot; since then a batch has added one of 7 at 40.
        let user = difference(sum(5, 50, 1, 90), Some(sum(3, 30, 20, 30)));
        let row = locked(6, 57, Some((20, 40)));
        assert_eq!(repaired(&user, row), Some(Some(sum(4, 37, 20, 40))));
        // The early ones are purged by now: the snapshot knew of them.
        let row = locked(6, 57, Some((40, 40)));
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

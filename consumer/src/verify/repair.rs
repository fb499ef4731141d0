//! Makes every stored sum what the orders say, while ingest goes on.
//!
//! # Why it is exact
//!
//! A batch adds the same to the orders and to the sums, in one transaction; retention moves orders from one table to another
//! and changes neither count nor sum. So whatever is committed after a snapshot, *recomputed − stored* of a key stays what it
//! was in that snapshot. Adding that difference to what is stored **now**, under the row's lock, therefore gives what a
//! recomputation would give now, and a batch that waits for the lock adds to the result: additions commute.
//!
//! - **Two repairs** would add the same difference twice. One holds an advisory lock from before its snapshot to its end;
//!   the other is refused.
//! - **First and last times** are no sums: a stored time that is too early hides every later one. They are read from the
//!   orders, purged ones too, under the row's lock: a batch that adds another needs that lock before it can commit.
//! - **A row that should not be there** comes out as zero orders and is deleted; a batch that waits for it inserts its own.
//! - **A row that is missing** is added as a batch would add it: if a batch made it meanwhile, that one is added to.
//! - **Hours** are kept per partition and recomputed over all of them: the rows of an hour are locked together and become one.
//!   A row that a batch inserts meanwhile, for another partition, is an addition like any other.
//! - **No deadlock**: a transaction locks a position first (which also tells the change feed), then rows in the order of their
//!   keys, as every batch does. It holds them for [`CHUNK`] keys, each of which an index finds.
//!
//! Interrupted, it has repaired some keys and left the others as they were. What was repaired is in `repairs`, by the same
//! transactions. Rows without their order are never touched, and nothing can be added to one that holds no amount: once that
//! row is deleted, it is one that is missing.

use common::ids::{Currency, InvalidId, Partition};
use deadpool_postgres::{Client, Pool, PoolError, Transaction};
use tokio_postgres::{Error, IsolationLevel};

use super::{Difference, Findings, HourDifference, UserDifference, VerifyError, look};
use crate::feed::{self, Source, Touched};
use crate::store::{StoreError, add_to_hours, add_to_users};
use crate::tally::Tally;

mod hours;
mod users;

/// Any number that nothing else in this database locks.
const ADVISORY_LOCK: i64 = 0x7461_6c6c_795f_7270;
/// Keys repaired in one transaction, during which batches that touch them, and those of one partition, wait.
const CHUNK: usize = 100;
/// Less than those wait before they try again, whatever one key costs.
const STATEMENT_TIMEOUT: &str = "SET LOCAL statement_timeout = '20s'";

#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    #[error(transparent)]
    Verify(#[from] VerifyError),
    #[error("database: {0}")]
    Database(#[from] Error),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("the orders hold a currency that is none: {0}")]
    Currency(#[from] InvalidId),
    #[error("another repair is under way")]
    Busy,
    #[error("no consumer has a position yet, so the query API could not be told: start one first")]
    NoPosition,
    #[error("{0} was changed by somebody else meanwhile: repair again")]
    Changed(String),
}

impl From<PoolError> for RepairError {
    fn from(error: PoolError) -> Self {
        Self::Verify(error.into())
    }
}

/// Repairs what one snapshot shows, telling of each difference that is gone, and returns what a second one shows.
///
/// # Errors
/// [`RepairError`]; what was told of is repaired.
pub async fn repair(
    pool: &Pool,
    repaired: impl FnMut(&Difference),
) -> Result<Findings, RepairError> {
    const LOCK: &str = "SELECT pg_try_advisory_lock($1)";
    const UNLOCK: &str = "SELECT pg_advisory_unlock($1)";
    let mut client = pool.get().await?;
    // The session's, not a transaction's: a snapshot is taken before its first statement has waited for a lock.
    if !client
        .query_one(LOCK, &[&ADVISORY_LOCK])
        .await?
        .get::<_, bool>(0)
    {
        return Err(RepairError::Busy);
    }
    let findings = repair_locked(&mut client, repaired).await;
    let unlocked = client.execute(UNLOCK, &[&ADVISORY_LOCK]).await;
    let findings = findings?;
    unlocked?;
    Ok(findings)
}

async fn repair_locked(
    client: &mut Client,
    mut repaired: impl FnMut(&Difference),
) -> Result<Findings, RepairError> {
    let findings = look(client).await?;
    let work = Work::of(&findings);
    if work.is_empty() {
        return Ok(findings);
    }
    let source = any_position(client).await?.ok_or(RepairError::NoPosition)?;
    for chunk in work.chunks() {
        let tx = client
            .build_transaction()
            .isolation_level(IsolationLevel::ReadCommitted)
            .start()
            .await?;
        tx.batch_execute(STATEMENT_TIMEOUT).await?;
        chunk.repair(&tx, &source).await?;
        let differences = chunk.differences();
        record(&tx, &differences).await?;
        tx.commit().await?;
        differences.iter().for_each(&mut repaired);
    }
    Ok(look(client).await?)
}

/// Who made which sums right, and what they were, as it is printed.
async fn record(tx: &Transaction<'_>, differences: &[Difference]) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO repairs (differences) VALUES ($1)";
    let differences: Vec<_> = differences.iter().map(Difference::to_string).collect();
    tx.execute(SQL, &[&differences]).await?;
    Ok(())
}

/// Whose batch numbers the repair's rows for the feed take: a reader follows all of them.
async fn any_position(client: &Client) -> Result<Option<Source>, Error> {
    const SQL: &str = "
        SELECT group_id, topic, partition FROM consumer_offsets ORDER BY group_id, topic, partition LIMIT 1";
    let row = client.query_opt(SQL, &[]).await?;
    Ok(row.map(|row| Source {
        group_id: row.get(0),
        topic: row.get(1),
        partition: Partition(row.get(2)),
    }))
}

/// What is to be done, each in the order of its keys. What is missing is apart from what is there: rows that are inserted
/// cannot be locked beforehand, and mixed with others they would be taken out of order.
#[derive(Default)]
struct Work<'f> {
    missing_users: Vec<&'f UserDifference>,
    users: Vec<&'f UserDifference>,
    missing_hours: Vec<&'f HourDifference>,
    hours: Vec<&'f HourDifference>,
}

impl<'f> Work<'f> {
    fn of(findings: &'f Findings) -> Self {
        let mut work = Self::default();
        for difference in &findings.differences {
            match difference {
                Difference::User(user) if user.stored.is_none() => work.missing_users.push(user),
                Difference::User(user) => work.users.push(user),
                Difference::Hour(hour) if hour.stored.is_none() => work.missing_hours.push(hour),
                Difference::Hour(hour) => work.hours.push(hour),
                Difference::NoAmount { .. } | Difference::Orphans { .. } => {}
            }
        }
        work
    }

    fn is_empty(&self) -> bool {
        self.chunks().next().is_none()
    }

    fn chunks(&self) -> impl Iterator<Item = Chunk<'_>> {
        let missing_users = self.missing_users.chunks(CHUNK).map(Chunk::MissingUsers);
        let users = self.users.chunks(CHUNK).map(Chunk::Users);
        let missing_hours = self.missing_hours.chunks(CHUNK).map(Chunk::MissingHours);
        let hours = self.hours.chunks(CHUNK).map(Chunk::Hours);
        missing_users.chain(users).chain(missing_hours).chain(hours)
    }
}

/// What one transaction repairs.
enum Chunk<'f> {
    MissingUsers(&'f [&'f UserDifference]),
    Users(&'f [&'f UserDifference]),
    MissingHours(&'f [&'f HourDifference]),
    Hours(&'f [&'f HourDifference]),
}

impl Chunk<'_> {
    async fn repair(&self, tx: &Transaction<'_>, source: &Source) -> Result<(), RepairError> {
        match self {
            Self::MissingUsers(users) => {
                announce_users(tx, source, users).await?;
                let mut tally = Tally::default();
                for user in *users {
                    let key = (user.user_id.as_str(), Currency::parse(&user.currency)?);
                    tally.users.extend(user.recomputed.map(|sum| (key, sum)));
                }
                add_to_users(tx, &tally).await?;
            }
            Self::Users(users) => {
                announce_users(tx, source, users).await?;
                users::repair(tx, users).await?;
            }
            Self::MissingHours(hours) => {
                announce_hours(tx, source, hours).await?;
                let mut tally = Tally::default();
                for hour in *hours {
                    let key = (hour.bucket, Currency::parse(&hour.currency)?);
                    tally.hours.extend(hour.recomputed.map(|sum| (key, sum)));
                }
                add_to_hours(tx, source.partition, &tally).await?;
            }
            Self::Hours(hours) => {
                announce_hours(tx, source, hours).await?;
                hours::repair(tx, hours).await?;
            }
        }
        Ok(())
    }

    fn differences(&self) -> Vec<Difference> {
        match self {
            Self::MissingUsers(users) | Self::Users(users) => users
                .iter()
                .map(|user| Difference::User((*user).clone()))
                .collect(),
            Self::MissingHours(hours) | Self::Hours(hours) => hours
                .iter()
                .map(|hour| Difference::Hour((*hour).clone()))
                .collect(),
        }
    }
}

async fn announce_users(
    tx: &Transaction<'_>,
    source: &Source,
    users: &[&UserDifference],
) -> Result<(), RepairError> {
    let mut user_ids: Vec<_> = users.iter().map(|user| user.user_id.as_str()).collect();
    user_ids.dedup();
    let touched = Touched {
        user_ids: &user_ids,
        ..Touched::default()
    };
    announce(tx, source, touched).await
}

async fn announce_hours(
    tx: &Transaction<'_>,
    source: &Source,
    hours: &[&HourDifference],
) -> Result<(), RepairError> {
    let mut buckets: Vec<_> = hours.iter().map(|hour| hour.bucket).collect();
    buckets.dedup();
    let touched = Touched {
        buckets: &buckets,
        ..Touched::default()
    };
    announce(tx, source, touched).await
}

/// First, because every batch locks its position first.
async fn announce(
    tx: &Transaction<'_>,
    source: &Source,
    touched: Touched<'_>,
) -> Result<(), RepairError> {
    match feed::announce(tx, source, touched).await? {
        true => Ok(()),
        false => Err(RepairError::Changed("the position".to_owned())),
    }
}

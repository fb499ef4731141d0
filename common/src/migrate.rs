//! The schema: every file of `migrations/`, in order, each applied once.

use refinery::{Migration, Runner};
use tokio_postgres::{Client, Config, NoTls};

/// Number and name as refinery reads them, and the file's content.
const MIGRATIONS: [(&str, &str); 7] = [
    (
        "V1__orders",
        include_str!("../../migrations/0001_orders.sql"),
    ),
    (
        "V2__aggregates",
        include_str!("../../migrations/0002_aggregates.sql"),
    ),
    (
        "V3__consumer",
        include_str!("../../migrations/0003_consumer.sql"),
    ),
    (
        "V4__operations",
        include_str!("../../migrations/0004_operations.sql"),
    ),
    (
        "V5__discards",
        include_str!("../../migrations/0005_discards.sql"),
    ),
    (
        "V6__periods",
        include_str!("../../migrations/0006_periods.sql"),
    ),
    (
        "V7__repairs",
        include_str!("../../migrations/0007_repairs.sql"),
    ),
];

/// Held while migrating: refinery itself takes no lock. Any number will do that nothing else in this database uses.
const ADVISORY_LOCK: i64 = 0x7461_6c6c_795f_6d67;

#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("database: {0}")]
    Database(#[from] tokio_postgres::Error),
    #[error("{0}")]
    Migration(#[from] refinery::Error),
}

/// Brings the database up to date and returns the names of what was applied; one caller at a time, the others wait.
///
/// # Errors
/// The database cannot be reached, a migration fails (it is rolled back), or one that was applied has changed since.
pub async fn migrate(config: &Config) -> Result<Vec<String>, MigrateError> {
    let (mut client, connection) = config.connect(NoTls).await?;
    let connection = tokio::spawn(connection);
    let applied = migrate_locked(&mut client).await;
    // Closing the session releases the lock, whatever happened.
    drop(client);
    if let Err(error) = connection.await {
        tracing::warn!(%error, "the migration's connection task ended unexpectedly");
    }
    applied
}

async fn migrate_locked(client: &mut Client) -> Result<Vec<String>, MigrateError> {
    client
        .execute("SELECT pg_advisory_lock($1)", &[&ADVISORY_LOCK])
        .await?;
    let report = runner()?.run_async(client).await?;
    Ok(report
        .applied_migrations()
        .iter()
        .map(ToString::to_string)
        .collect())
}

/// Whether every migration is applied; a service that reads or writes must not start on an older schema.
///
/// # Errors
/// The database cannot be reached.
pub async fn is_current(client: &Client) -> Result<bool, tokio_postgres::Error> {
    let exists = client
        .query_one(
            "SELECT to_regclass('refinery_schema_history') IS NOT NULL",
            &[],
        )
        .await?;
    if !exists.get::<_, bool>(0) {
        return Ok(false);
    }
    let row = client
        .query_one(
            "SELECT max(version)::bigint FROM refinery_schema_history",
            &[],
        )
        .await?;
    let newest = i64::try_from(MIGRATIONS.len()).expect("there are few migrations");
    Ok(row.get::<_, Option<i64>>(0) >= Some(newest))
}

fn runner() -> Result<Runner, refinery::Error> {
    let migrations = MIGRATIONS
        .iter()
        .map(|(name, sql)| Migration::unapplied(name, sql))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Runner::new(&migrations)
        .set_abort_divergent(true)
        .set_grouped(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_listed_in_order() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".sql"))
            .collect();
        files.sort();
        let listed: Vec<String> = MIGRATIONS
            .iter()
            .map(|(name, _)| {
                let (number, rest) = name.split_once("__").unwrap();
                format!("{:04}_{rest}.sql", number[1..].parse::<u32>().unwrap())
            })
            .collect();
        assert_eq!(files, listed);
    }
}

//! What an operator asks for by hand: each does one thing, prints what it did, and says by its exit code how it went.

use std::process::ExitCode;
use std::time::Duration;

use common::ids::{NextOffset, Partition};
use common::pg::{DatabaseSettings, PoolSettings};
use deadpool_postgres::Pool;

use crate::config::OffsetsCommand;
use crate::verify::{Findings, verify as recompute};

mod offsets;

/// One look needs one connection.
const CONNECTIONS: usize = 1;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// Brings the tables up to date.
///
/// # Errors
/// The database cannot be reached, or a migration fails; that one is rolled back.
pub async fn migrate(database: &DatabaseSettings) -> anyhow::Result<ExitCode> {
    let applied = common::migrate::migrate(&database.config()?).await?;
    if applied.is_empty() {
        println!("the tables are up to date");
    } else {
        println!("migrations applied: {}", applied.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the totals, or every sum that is not what the orders say (exit code 1).
///
/// # Errors
/// The database cannot be reached.
pub async fn verify(database: &DatabaseSettings) -> anyhow::Result<ExitCode> {
    let pool = pool(database)?;
    let Findings {
        totals,
        differences,
    } = recompute(&pool).await?;
    for difference in &differences {
        println!("{difference}");
    }
    if differences.is_empty() {
        for total in totals {
            println!(
                "{}: {} orders of {} users, {}",
                total.currency, total.order_count, total.user_count, total.amount
            );
        }
        println!("every sum is what the orders say");
        Ok(ExitCode::SUCCESS)
    } else {
        println!("{} sums are not what the orders say", differences.len());
        Ok(ExitCode::FAILURE)
    }
}

/// Shows positions, or sets one.
///
/// # Errors
/// The database cannot be reached, or the position may not be set as asked.
pub async fn offsets(command: OffsetsCommand) -> anyhow::Result<ExitCode> {
    match command {
        OffsetsCommand::Show(position) => {
            let pool = pool(&position.database)?;
            offsets::show(&pool, &position.group_id, &position.kafka_topic).await?;
        }
        OffsetsCommand::Set(set) => {
            let pool = pool(&set.position.database)?;
            let (partition, to) = (Partition(set.partition), NextOffset(set.to));
            let position = &set.position;
            offsets::set(
                &pool,
                &position.group_id,
                &position.kafka_topic,
                partition,
                to,
                set.force,
            )
            .await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn pool(database: &DatabaseSettings) -> anyhow::Result<Pool> {
    let settings = PoolSettings {
        application_name: "tally-operator".to_owned(),
        max_connections: CONNECTIONS,
        acquire_timeout: ACQUIRE_TIMEOUT,
        session_setup: String::new(),
    };
    Ok(common::pg::pool(database.config()?, &settings)?)
}

//! What an operator asks for by hand: each does one thing, prints what it did, and says by its exit code how it went.

use std::process::ExitCode;
use std::time::Duration;

use common::ids::{NextOffset, Partition};
use common::pg::{DatabaseSettings, PoolSettings};
use deadpool_postgres::Pool;

use crate::config::{OffsetsCommand, VerifyArgs};
use crate::feed::Source;
use crate::verify::{self, Findings};

mod dead_letters;
mod offsets;
mod visible;

pub use dead_letters::run as dead_letters;

/// One to read with, and one to write with meanwhile.
const CONNECTIONS: usize = 2;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Whoever holds a lock for longer is stuck, and is not waited for; and a command that was suspended holds up no consumer.
const SESSION_SETUP: &str =
    "SET lock_timeout = '30s'; SET idle_in_transaction_session_timeout = '30s'";

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

/// Prints the totals, or every sum that is not what the orders say (exit code 1); with `--repair` what it made right, and
/// then what is left.
///
/// # Errors
/// The database cannot be reached, or a repair met somebody else's.
pub async fn verify(arguments: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let pool = pool(&arguments.database)?;
    let findings = if arguments.repair {
        verify::repair(&pool, |difference| println!("repaired: {difference}")).await?
    } else {
        verify::verify(&pool).await?
    };
    let Findings {
        totals,
        differences,
    } = findings;
    for difference in &differences {
        println!("{difference}");
    }
    if differences.is_empty() {
        for total in totals {
            println!(
                "{}: {} orders of {} users, {}",
                total.currency.escape_debug(),
                total.order_count,
                total.user_count,
                total.amount
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
            let source = Source {
                group_id: set.position.group_id,
                topic: set.position.kafka_topic,
                partition: Partition(set.partition),
            };
            offsets::set(&pool, &source, NextOffset(set.to), set.force).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn pool(database: &DatabaseSettings) -> anyhow::Result<Pool> {
    let settings = PoolSettings {
        application_name: "tally-operator".to_owned(),
        max_connections: CONNECTIONS,
        acquire_timeout: ACQUIRE_TIMEOUT,
        session_setup: SESSION_SETUP.to_owned(),
    };
    Ok(common::pg::pool(database.config()?, &settings)?)
}

//! The loader's process.

use std::process::ExitCode;

use clap::Parser;
use common::{shutdown, telemetry};
use producer::loader::config::{Cli, Command, LoadConfig};
use producer::loader::{Ending, generate, load};
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Not clap's 2, which says here that some lines were rejected.
        Err(error) => {
            if let Err(error) = error.print() {
                eprintln!("loader: {error}");
            }
            return if error.use_stderr() {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let outcome = match cli.command {
        Some(Command::Generate(config)) => generate::generate(&config).map(|()| ExitCode::SUCCESS),
        None => run(cli.load).await,
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("loader: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run(config: LoadConfig) -> anyhow::Result<ExitCode> {
    telemetry::logs(&config.telemetry())?;
    let stop = shutdown::on_signal()?;
    let (json, dry_run) = (config.json, config.dry_run);
    let summary = tokio::task::spawn_blocking(move || load(&config, stop)).await??;
    match &summary.ending {
        Ending::Complete => {}
        Ending::Interrupted => eprintln!("loader: interrupted"),
        Ending::Failed { reason } => eprintln!("loader: {reason}"),
    }
    if json {
        println!("{}", serde_json::to_string(&summary)?);
    } else {
        println!("{}", summary.in_words(dry_run));
    }
    Ok(summary.exit_code())
}

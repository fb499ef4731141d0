use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use common::{shutdown, telemetry};
use consumer::config::{Cli, Command};
use consumer::{commands, service};

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    match cli.command {
        None => {
            let metrics = telemetry::init(&cli.config.telemetry)?;
            let stop = shutdown::on_signal().context("signals")?;
            service::run(cli.config, metrics, stop).await?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Migrate(database)) => commands::migrate(&database).await,
        Some(Command::Verify(verify)) => commands::verify(&verify).await,
        Some(Command::Offsets(offsets)) => commands::offsets(offsets.command).await,
        Some(Command::DeadLetters(command)) => commands::dead_letters(command).await,
    }
}

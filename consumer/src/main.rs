use anyhow::Context;
use clap::Parser;
use common::{shutdown, telemetry};
use consumer::config::{Cli, Command};
use consumer::service;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match cli.command {
        None => {
            let metrics = telemetry::init(&cli.config.telemetry)?;
            let stop = shutdown::on_signal().context("signals")?;
            service::run(cli.config, metrics, stop).await
        }
        Some(Command::Migrate(database)) => {
            let applied = common::migrate::migrate(&database.database_url).await?;
            println!(
                "migrations applied: {}",
                if applied.is_empty() {
                    "none were missing".into()
                } else {
                    applied.join(", ")
                }
            );
            Ok(())
        }
    }
}

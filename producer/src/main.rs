//! The producer's process.

use std::process::ExitCode;

use clap::Parser;
use common::{shutdown, telemetry};
use producer::application::Application;
use producer::config::Config;
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let config = Config::parse();
    match run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("producer: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config) -> anyhow::Result<()> {
    let recorded = telemetry::init(&config.telemetry)?;
    let stop = shutdown::on_signal()?;
    let application = Application::build(config)?;
    application.run_until_stopped(recorded, stop).await?;
    Ok(())
}

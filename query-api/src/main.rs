use clap::Parser;
use common::{shutdown, telemetry};
use query_api::{Application, Config};
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    let recorded = telemetry::init(&config.telemetry)?;
    let stop = shutdown::on_signal()?;
    let application = Application::build(&config)?;
    tracing::info!(http.address = %application.address(), "listening");
    application.run_until_stopped(recorded, stop).await?;
    tracing::info!("stopped");
    Ok(())
}

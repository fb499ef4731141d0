use std::process::ExitCode;

use bench::suite::{self, Arguments};
use clap::Parser;
use tikv_jemallocator::Jemalloc;

/// As producer, loader and query API: else their baselines would be held back by something else. The consumer's, the same SQL
/// fed from memory, has it too, though the consumer does without.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let report = suite::run(&arguments).await?;
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    }
    Ok(if report.falls_short() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

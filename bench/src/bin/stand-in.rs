//! A server that ours are held against, as a process of its own like theirs.

use bench::stand_in::StandIn;
use clap::Parser;
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    StandIn::parse().run().await
}

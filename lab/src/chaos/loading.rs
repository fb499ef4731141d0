//! What a loader does beside the clients, with a file of its own.

use std::time::Duration;

use anyhow::ensure;
use rand::RngExt;
use tokio_util::sync::CancellationToken;

use super::books::SharedBook;
use crate::orders::{self, TestOrder, choices};
use crate::{Program, Trio};

pub(super) const LOADED_ORDERS: usize = 20_000;
/// So that it outlives some kills.
const RATE_WHEN_KILLED: &str = "--rate=800";
/// Several times what the clients post: most of what a consumer reads is known.
const RATE_WHEN_REPEATED: &str = "--rate=4000";

/// A loader's part in a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loading {
    /// It is killed and goes on with `--resume`.
    Killed,
    /// Its file is loaded again and again.
    Repeated,
}

/// A file of orders, and how to load it.
pub(super) struct Loads {
    loader: Program,
    file: String,
    book: SharedBook,
}

impl Loads {
    /// The orders are in the book before any is sent.
    pub(super) fn of(
        orders: Vec<TestOrder>,
        trio: &Trio,
        book: SharedBook,
    ) -> anyhow::Result<Self> {
        let file = orders::file(&orders)?.to_string_lossy().into_owned();
        let mut entered = book.lock();
        for order in orders {
            entered.enter(order);
        }
        drop(entered);
        let loader = trio.program("loader").argument("--json");
        Ok(Self { loader, file, book })
    }

    /// Loads until the storm is over; then the file is loaded to its end.
    pub(super) async fn play(
        self,
        part: Loading,
        seed: u64,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        match part {
            Loading::Killed => self.killed(seed, stop).await,
            Loading::Repeated => self.repeated(stop).await,
        }
    }

    async fn killed(self, seed: u64, stop: CancellationToken) -> anyhow::Result<()> {
        let mut random = choices(seed);
        let loader = self.loader.clone().argument("--resume");
        let slow = loader.clone().argument(RATE_WHEN_KILLED);
        let slow = slow.argument(&*self.file);
        let (mut kills, mut is_loaded) = (0, false);
        while !is_loaded && !stop.is_cancelled() {
            let life = random.random_range(Duration::from_millis(500)..Duration::from_secs(6));
            match tokio::time::timeout(life, slow.run()).await {
                // Its process is killed with the future.
                Err(_) => kills += 1,
                Ok(ended) => is_loaded = ended?.status.success(),
            }
        }
        if !is_loaded {
            load(&loader.argument(&*self.file)).await?;
        }
        self.is_loaded();
        if kills == 0 {
            self.violated("the loader ended before it was killed once");
        }
        Ok(())
    }

    async fn repeated(self, stop: CancellationToken) -> anyhow::Result<()> {
        let loader = self.loader.clone().argument(RATE_WHEN_REPEATED);
        let loader = loader.argument(&*self.file);
        load(&loader).await?;
        self.is_loaded();
        if stop.is_cancelled() {
            self.violated("the file was loaded only once, which proves nothing");
        }
        while !stop.is_cancelled() {
            load(&loader).await?;
        }
        Ok(())
    }

    fn is_loaded(&self) {
        for entry in self.book.lock().orders.values_mut() {
            entry.acknowledged = true;
        }
    }

    fn violated(&self, what: &str) {
        self.book.lock().violations.push(what.to_owned());
    }
}

async fn load(loader: &Program) -> anyhow::Result<()> {
    let ended = loader.run().await?;
    ensure!(
        ended.status.success(),
        "the loader could not finish: {}",
        String::from_utf8_lossy(&ended.stderr)
    );
    Ok(())
}

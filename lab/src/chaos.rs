//! Faults by chance, the same for the same seed, while orders come in; and afterwards the proof of the invariants.
//!
//! A [`Scenario`] says which faults may strike. Each run has servers of its own, so that nothing else feels them. Clients
//! keep posting, a loader keeps loading, and each writes down what it was told: a 202 must be found, a 503 may be. Readers
//! keep asking, and hold what they are told against that.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use futures_util::FutureExt;
use rand::{Rng, RngExt};

use crate::orders::choices;
use crate::{START_PATIENCE, tell_logs};

mod books;
mod fault;
mod loading;
mod progress;
mod readers;
mod scenario;
mod stage;
mod traffic;
mod verdict;
mod witness;

pub use scenario::{SCENARIOS, Scenario};

use books::{Book, SharedBook};
use fault::Fault;
use progress::{ENOUGH, Progress};
use readers::Readers;
use stage::Stage;
use traffic::Traffic;

/// How long faults strike.
const STORM: Duration = Duration::from_secs(30);
/// For everything to be whole again: longer than a broker and a database take to start, and a session to end.
const RECOVERY: Duration = Duration::from_secs(120);

/// What came of one scenario with one seed.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Outcome {
    pub name: &'static str,
    pub seed: u64,
    /// How many struck.
    pub faults: usize,
    /// Orders answered 202, or loaded and acknowledged.
    pub acked: usize,
    /// Orders answered otherwise, or not at all.
    pub unknown: usize,
    /// Invariants that do not hold; none is the proof.
    pub violations: Vec<String>,
    /// What struck, in order.
    pub injected: Vec<String>,
    /// From the last repair until every answer held every order, those sent meanwhile too.
    pub recovery_seconds: f64,
}

impl Scenario {
    /// Runs it. What goes wrong in the run itself is a violation too: it must not pass for a proof.
    pub async fn run(&'static self, seed: u64) -> Outcome {
        let mut outcome = Outcome {
            name: self.name,
            seed,
            faults: 0,
            acked: 0,
            unknown: 0,
            violations: Vec::new(),
            injected: Vec::new(),
            recovery_seconds: 0.0,
        };
        tell_logs(true);
        if let Err(error) = told(self.play(seed, &mut outcome)).await {
            let broke_off = format!("the run broke off: {error:#}");
            outcome.violations.push(broke_off);
        }
        outcome.faults = outcome.injected.len();
        outcome
    }

    async fn play(&self, seed: u64, outcome: &mut Outcome) -> anyhow::Result<()> {
        let mut random = choices(seed);
        let mut stage = Stage::set(self.consumers).await?;
        let traffic = Traffic::start(&stage, seed, self.loading)?;
        let books = traffic.books().to_vec();
        let readers = Readers::start(&stage, &books, seed, self.strikes_database());
        let before = traffic.acknowledges(ENOUGH, START_PATIENCE).await;
        let mut progress = Progress::beginning(before);
        let until = Instant::now() + STORM;
        while Instant::now() < until {
            let pause = Duration::from_millis(500)..Duration::from_millis(3_000);
            tokio::time::sleep(random.random_range(pause)).await;
            let faults = self.draw(&mut random);
            outcome
                .injected
                .extend(faults.iter().map(ToString::to_string));
            let (began, before) = (Instant::now(), traffic.acknowledged());
            last(&mut stage, &faults, &mut random).await?;
            progress.enter(&faults, began.elapsed(), traffic.acknowledged() - before);
            repair(&mut stage, faults).await?;
        }
        stage.heal().await?;
        let healed = Instant::now();
        progress.after = traffic.acknowledges(ENOUGH, RECOVERY).await;
        traffic.finish().await?;
        outcome.violations = readers.finish(RECOVERY).await?;
        stage.settle(RECOVERY).await?;
        outcome.recovery_seconds = healed.elapsed().as_secs_f64();
        let books: Vec<Book> = books.iter().map(SharedBook::take).collect();
        for (acknowledged, open) in books.iter().map(Book::counts) {
            outcome.acked += acknowledged;
            outcome.unknown += open;
        }
        outcome.violations.extend(progress.violations());
        outcome.violations.extend(self.unproved(&stage));
        outcome
            .violations
            .extend(verdict::violations(&mut stage, books).await?);
        tell_logs(!outcome.violations.is_empty());
        Ok(())
    }

    /// A fault that was set up and met nothing.
    fn unproved(&self, stage: &Stage) -> Option<String> {
        let loses_answers = |fault: &Fault| matches!(fault, Fault::CommitAnswersLost(_));
        let unproved = self.faults.iter().all(loses_answers) && stage.answers_lost() == 0;
        unproved.then(|| "no COMMIT has lost its answer, which proves nothing".to_owned())
    }

    /// One fault, or as many at once as the scenario allows, no two of which strike the same thing.
    fn draw(&self, random: &mut impl Rng) -> Vec<Fault> {
        let wanted = random.random_range(1..=self.at_once);
        let mut drawn: Vec<Fault> = Vec::new();
        for _ in 0..wanted {
            let fault = self.faults[random.random_range(0..self.faults.len())];
            let fault = fault.aimed(random.random_range(0..self.consumers));
            if drawn.iter().all(|other| other.target() != fault.target()) {
                drawn.push(fault);
            }
        }
        drawn
    }
}

/// Strikes, and lets it last for a while.
async fn last(stage: &mut Stage, faults: &[Fault], random: &mut impl Rng) -> anyhow::Result<()> {
    for fault in faults {
        stage.strike(*fault).await?;
    }
    let longest = faults.iter().map(|fault| fault.longest()).max();
    let lasting = Duration::from_millis(50)..longest.unwrap_or_default();
    tokio::time::sleep(random.random_range(lasting)).await;
    Ok(())
}

async fn repair(stage: &mut Stage, faults: Vec<Fault>) -> anyhow::Result<()> {
    for fault in faults {
        stage.mend(fault).await?;
    }
    stage.look_after()
}

/// The laboratory panics where something was not so within its patience: here that is one violation among others.
async fn told<T>(asking: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let panic = match AssertUnwindSafe(asking).catch_unwind().await {
        Ok(outcome) => return outcome,
        Err(panic) => panic,
    };
    let words = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    Err(anyhow!("{}", words.unwrap_or("a panic without words")))
}

//! Faults by chance, the same for the same seed, while orders come in; and afterwards the proof of the invariants.
//!
//! A [`Scenario`] says which faults may strike. Each run has servers of its own, so that nothing else feels them. Clients
//! keep posting, a loader keeps loading, and each writes down what it was told: a 202 must be found, a 503 may be.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use futures_util::FutureExt;
use rand::{Rng, RngExt};

use crate::orders::choices;
use crate::tell_logs;

mod fault;
mod scenario;
mod stage;
mod traffic;
mod verdict;

pub use scenario::{SCENARIOS, Scenario};

use fault::Fault;
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
    /// From the last repair until every answer held every order.
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
        match told(self.play(seed, outcome.clone())).await {
            Ok(played) => return played,
            Err(error) => outcome
                .violations
                .push(format!("the run broke off: {error:#}")),
        }
        outcome
    }

    async fn play(&'static self, seed: u64, mut outcome: Outcome) -> anyhow::Result<Outcome> {
        let mut random = choices(seed);
        let mut stage = Stage::set(self.consumers).await?;
        let traffic = Traffic::start(&stage, seed, self.kills_loader);
        let until = Instant::now() + STORM;
        while Instant::now() < until {
            tokio::time::sleep(
                random.random_range(Duration::from_millis(500)..Duration::from_millis(3_000)),
            )
            .await;
            let faults = self.draw(&mut random);
            for fault in &faults {
                outcome.injected.push(fault.to_string());
                stage.strike(*fault).await?;
            }
            let longest = faults
                .iter()
                .map(|fault| fault.longest())
                .max()
                .unwrap_or_default();
            tokio::time::sleep(random.random_range(Duration::from_millis(50)..longest)).await;
            for fault in faults {
                stage.mend(fault).await?;
            }
        }
        outcome.faults = outcome.injected.len();
        stage.heal().await?;
        let healed = Instant::now();
        let sent = traffic.finish(&stage).await?;
        stage.settle(RECOVERY).await?;
        outcome.recovery_seconds = healed.elapsed().as_secs_f64();
        (outcome.acked, outcome.unknown) = sent.counts();
        outcome.violations = verdict::violations(&stage, sent).await?;
        tell_logs(!outcome.violations.is_empty());
        Ok(outcome)
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

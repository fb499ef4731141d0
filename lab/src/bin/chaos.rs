//! `scripts/chaos`: faults, one scenario after another, and after each the proof that no order was lost or counted twice.

use std::process::ExitCode;

use anyhow::ensure;
use clap::Parser;
use lab::chaos::{Outcome, SCENARIOS, Scenario};

/// Strikes the trio with faults and checks the invariants afterwards. Exit code 1: one does not hold.
#[derive(Debug, Parser)]
#[command(name = "scripts/chaos", after_help = scenarios())]
struct Arguments {
    /// Which scenarios. All of them without one.
    names: Vec<String>,

    /// How many seeds each scenario is run with.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,

    /// The first seed; the same seed draws the same faults, orders and moments.
    #[arg(long, env = "CHAOS_SEED", default_value_t = 1)]
    seed: u64,

    /// Print one JSON object and nothing else.
    #[arg(long)]
    json: bool,
}

fn scenarios() -> String {
    let line = |scenario: &Scenario| format!("  {:<18} {}\n", scenario.name, scenario.about);
    format!(
        "Scenarios:\n{}",
        SCENARIOS.iter().map(line).collect::<String>()
    )
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let chosen = chosen(&arguments.names)?;
    let mut outcomes = Vec::new();
    for seed in arguments.seed..arguments.seed.saturating_add(arguments.seeds) {
        for scenario in &chosen {
            let outcome = scenario.run(seed).await;
            if !arguments.json {
                print(&outcome);
            }
            outcomes.push(outcome);
        }
    }
    let violated = outcomes
        .iter()
        .any(|outcome| !outcome.violations.is_empty());
    if arguments.json {
        println!("{}", serde_json::json!({"scenarios": outcomes}));
    }
    Ok(if violated {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn chosen(names: &[String]) -> anyhow::Result<Vec<&'static Scenario>> {
    for name in names {
        let known = SCENARIOS.iter().any(|scenario| scenario.name == name);
        ensure!(known, "there is no scenario {name}\n{}", scenarios());
    }
    let wanted =
        |scenario: &&Scenario| names.is_empty() || names.iter().any(|name| name == scenario.name);
    Ok(SCENARIOS.iter().filter(wanted).collect())
}

fn print(outcome: &Outcome) {
    let Outcome {
        name,
        seed,
        faults,
        acked,
        unknown,
        violations,
        recovery_seconds,
        ..
    } = outcome;
    println!(
        "{name:<18} seed {seed:<5} {faults:>3} faults {acked:>7} acked {unknown:>5} unknown  whole after {recovery_seconds:>5.1} s  {}",
        if violations.is_empty() {
            "exact".to_owned()
        } else {
            format!("{} VIOLATIONS", violations.len())
        }
    );
    for violation in violations {
        println!("    {violation}");
    }
}

//! What can be measured, by name.

use anyhow::ensure;
use clap::Parser;

use crate::backlog::Ids;
use crate::memory::Peaks;
use crate::report::{self, Figure, Report};
use crate::{drain, freshness, ingest, lone, million, read};

/// Measures Tally against its targets. Exit code 1: something falls short.
#[derive(Debug, Parser)]
#[command(name = "scripts/bench")]
pub struct Arguments {
    /// Which figures: a name or its first part, like `drain` or `growth/random`. All of them without one.
    pub names: Vec<String>,

    /// Print one JSON object and nothing else.
    #[arg(long)]
    pub json: bool,

    /// Orders that a batch endpoint takes; a loader's file and a drain have five times as many, of twenty items each a tenth.
    #[arg(long, default_value_t = 200_000)]
    pub orders: u64,

    /// Orders that are stored already where growth is measured.
    #[arg(long, default_value_t = 5_000_000)]
    pub stored: u64,
}

/// What can be measured together, by what of it can be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bench {
    Load,
    Http,
    Batches,
    OneItem,
    ManyItems,
    LoneOrder,
    Read,
    Freshness,
    Million,
    Growth(Ids),
}

const BENCHES: [(Bench, &[&str]); 11] = [
    (Bench::Load, &["load"]),
    (Bench::Http, &["ingest-http"]),
    (Bench::Batches, &["ingest-batch"]),
    (Bench::OneItem, &["drain/items-1", "drain/duplicates"]),
    (Bench::ManyItems, &["drain/items-20"]),
    (Bench::LoneOrder, &["lone-order"]),
    (Bench::Read, &["read"]),
    (Bench::Freshness, &["freshness"]),
    (
        Bench::Million,
        &[
            "warm-up",
            "warm-up/memory",
            "read/user",
            "read/top",
            "read/anomalies",
            "read/sales",
            "read/summary",
            "read/misses",
            "refresh",
        ],
    ),
    (Bench::Growth(Ids::TimeOrdered), &["growth/time-ordered"]),
    (Bench::Growth(Ids::Random), &["growth/random"]),
];
/// Comes of whatever else is measured.
const MEMORY: &str = "memory";

/// Measures what was asked for; figures are printed as they come unless one JSON object is wanted.
///
/// # Errors
/// A name is unknown, or something did not run.
pub async fn run(arguments: &Arguments) -> anyhow::Result<Report> {
    let chosen = chosen(&arguments.names)?;
    // What fails says so itself.
    lab::tell_logs(false);
    let mut peaks = Peaks::default();
    let mut results = Vec::new();
    if !arguments.json {
        println!("{}", report::heading());
    }
    let many = arguments.orders * 5;
    for bench in chosen {
        let figures = match bench {
            Bench::Load => ingest::file(many).await?,
            Bench::Http => ingest::http(&mut peaks).await?,
            Bench::Batches => ingest::batches(arguments.orders, &mut peaks).await?,
            Bench::LoneOrder => lone::order(&mut peaks).await?,
            Bench::Read => read::orders(&mut peaks).await?,
            Bench::Freshness => freshness::of_answers(&mut peaks).await?,
            Bench::Million => million::users().await?,
            // A replay of fewer is over before the consumer has warmed up.
            Bench::OneItem => drain::one_item(many, &mut peaks).await?,
            Bench::ManyItems => drain::many_items(arguments.orders / 10, &mut peaks).await?,
            Bench::Growth(ids) => {
                // Of fewer, most of the first touch of a page after the checkpoint would be measured: there are millions
                // between two.
                drain::growth(ids, arguments.stored, many, &mut peaks).await?
            }
        };
        let wanted = figures
            .into_iter()
            .filter(|figure| is_wanted(&arguments.names, &figure.name));
        tell(&mut results, wanted, arguments.json);
    }
    tell(&mut results, peaks.figures().into_iter(), arguments.json);
    Ok(Report { results })
}

fn tell(results: &mut Vec<Figure>, figures: impl Iterator<Item = Figure>, json: bool) {
    for figure in figures {
        if !json {
            println!("{}", report::line(&figure));
        }
        results.push(figure);
    }
}

fn chosen(names: &[String]) -> anyhow::Result<Vec<Bench>> {
    for name in names {
        let known = BENCHES
            .iter()
            .flat_map(|(_, figures)| *figures)
            .any(|figure| matches(name, figure));
        ensure!(
            known || matches(name, MEMORY),
            "nothing is called {name}; there are {}",
            all().join(", ")
        );
    }
    let wanted =
        |(_, figures): &&(Bench, &[&str])| figures.iter().any(|figure| is_wanted(names, figure));
    Ok(BENCHES
        .iter()
        .filter(wanted)
        .map(|(bench, _)| *bench)
        .collect())
}

fn all() -> Vec<&'static str> {
    BENCHES
        .iter()
        .flat_map(|(_, figures)| *figures)
        .copied()
        .chain([MEMORY])
        .collect()
}

fn is_wanted(names: &[String], figure: &str) -> bool {
    names.is_empty()
        || names
            .iter()
            .any(|name| matches(name, figure) || name == MEMORY)
}

fn matches(name: &str, figure: &str) -> bool {
    figure == name || figure.split('/').next() == Some(name)
}

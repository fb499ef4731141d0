//! What a load needs before the first line: files that can be opened, a destination, and how far earlier loads came.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use tokio_util::sync::CancellationToken;

use super::account::{Account, FileMark};
use super::config::LoadConfig;
use super::input::Input;
use super::load::Load;
use super::pace::Pace;
use super::parse::{Pieces, Reading};
use super::progress::Progress;
use super::rejects::Rejects;
use super::resume::Resume;
use super::send::Sender;
use crate::publisher::Publisher;

/// The `ce_source` of orders that came from a file.
const SOURCE: &str = "/tally/loader";

/// Opens everything. Nothing has been sent when this fails.
pub(super) fn begin(
    config: &LoadConfig,
    stop: CancellationToken,
) -> anyhow::Result<(Load, Pieces)> {
    let inputs = open_all(config)?;
    let (resume, marks) = Resume::begin(config, &inputs)?;
    let resumed_lines = marks.iter().map(|mark| mark.lines).sum();
    let resumed_orders = marks.iter().map(|mark| mark.accepted).sum();
    let names: Vec<_> = inputs.iter().map(|input| input.name.clone()).collect();
    let is_settled = |name: Option<&str>, line| is_settled(&names, &marks, name, line);
    let account = Arc::new(Account::new(marks.clone()));
    let publisher = publisher(config)?;
    if let Some(publisher) = &publisher
        && resumed_lines > 0
    {
        resume.verify(publisher, config.timeout, &stop)?;
    }
    if !config.resume {
        resume.begin_anew()?;
    }
    let rejects = Rejects::open(
        config.rejects.as_deref(),
        (resumed_lines > 0).then_some(is_settled),
    )
    .context("cannot write rejected lines")?;
    let size = inputs.iter().map(|input| input.size).sum::<Option<u64>>();
    let progress = Progress::new(size, resumed_orders);
    let sender =
        publisher.map(|publisher| Sender::new(publisher, Arc::clone(&account), config.timeout));
    let readings = readings(inputs, &marks);
    let pieces = Pieces::of(
        readings,
        config.parsers,
        config.max_future_skew,
        Arc::clone(&progress.read),
    )?;
    let load = Load {
        names,
        account,
        sender,
        rejects,
        progress,
        resume,
        pace: config.rate.map(Pace::new),
        stop,
        bytes: 0,
        resumed_lines,
        resumed_orders,
    };
    Ok((load, pieces))
}

fn open_all(config: &LoadConfig) -> anyhow::Result<Vec<Input>> {
    if config.source.is_some() && config.files.len() > 1 {
        bail!("--source names one file's data; load the files one by one");
    }
    let inputs = config
        .files
        .iter()
        .map(|path| Input::open(path, config.source.as_deref()))
        .collect::<Result<Vec<_>, _>>()?;
    for path in [&config.rejects, &config.checkpoint].into_iter().flatten() {
        if inputs.iter().any(|input| input.is_at(path)) {
            bail!(
                "{} is to be loaded: it cannot be written to",
                path.display()
            );
        }
    }
    if config.source.is_none() && inputs.iter().any(|input| input.is_standard_input) {
        eprintln!(
            "standard input has no name: orders without an order_id get random ones, and are counted again \
             when they are loaded again; --source NAME prevents that"
        );
    }
    Ok(inputs)
}

/// Whether an earlier load settled this line of the file that is called so. A line of a file that is not among these is
/// none of this load's business.
fn is_settled(names: &[String], marks: &[FileMark], name: Option<&str>, line: u64) -> bool {
    let file = match name {
        Some(name) => names.iter().position(|known| known == name),
        None => Some(0),
    };
    file.is_none_or(|file| line <= marks[file].lines)
}

/// `None` where lines are only checked.
fn publisher(config: &LoadConfig) -> anyhow::Result<Option<Publisher>> {
    if config.dry_run {
        return Ok(None);
    }
    Ok(Some(Publisher::start(config.publisher.clone(), SOURCE)?))
}

fn readings(inputs: Vec<Input>, marks: &[FileMark]) -> Vec<Reading> {
    let files = inputs.into_iter().zip(marks).enumerate();
    let incomplete = files.filter(|(_, (_, mark))| !mark.complete);
    incomplete
        .map(|(file, (input, mark))| Reading {
            file,
            input,
            skip_lines: mark.lines,
        })
        .collect()
}

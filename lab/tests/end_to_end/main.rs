//! The three services as processes, from a POST or a file to every answer and the page, on real servers. Each test has its
//! own database, topic and group.

use std::time::Duration;

mod access;
mod crashes;
mod dashboard;
mod dataset;
mod operator;
mod page;
mod poison;
mod secured;
mod shapes;
mod shutdown;
mod totals;

/// For what takes seconds on an idle machine: two tests run at once, and whatever else the machine does.
const PATIENCE: Duration = Duration::from_secs(120);

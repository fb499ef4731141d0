//! What is to be generated.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use common::ids::Currency;
use common::order::MAX_ITEMS;
use common::time::Timestamp;

#[derive(Debug, Clone, clap::Args)]
pub struct GenerateConfig {
    /// Different orders to write; repeated and broken lines come on top.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub orders: u64,

    /// Users who order.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub users: u32,

    /// The same seed gives the same lines.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Items in an order: a number, or a range like 1..50.
    #[arg(long, default_value = "1..50", value_parser = items)]
    pub items: RangeInclusive<u32>,

    /// Currencies, the most frequent first.
    #[arg(long, value_delimiter = ',', default_value = "USD,EUR,GBP,JPY")]
    pub currencies: Vec<Currency>,

    /// When the first order was created.
    #[arg(long, default_value = "2025-01-01T00:00:00Z", value_parser = Timestamp::parse)]
    pub from: Timestamp,

    /// When the last order was created, at the latest.
    #[arg(long, default_value = "2026-01-01T00:00:00Z", value_parser = Timestamp::parse)]
    pub to: Timestamp,

    /// The share of orders with delivery and payment.
    #[arg(long, default_value_t = 0.25, value_parser = share)]
    pub details: f64,

    /// For each order, how probable it is that an earlier one is repeated unchanged.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub duplicates: f64,

    /// For each order, how probable it is that an earlier one is repeated with other content.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub conflicts: f64,

    /// For each order, how probable it is that a line follows that is no order.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub broken: f64,

    /// Where the orders go [default: standard output].
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Where their totals go, as JSON [default: standard error].
    #[arg(long, value_name = "FILE")]
    pub totals: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a share between 0 and 1, like 0.05")]
struct InvalidShare;

fn share(text: &str) -> Result<f64, InvalidShare> {
    text.parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or(InvalidShare)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a number of items from 1 to {MAX_ITEMS}, or a range like 1..50")]
struct InvalidItems;

fn items(text: &str) -> Result<RangeInclusive<u32>, InvalidItems> {
    let (least, most) = text.split_once("..").unwrap_or((text, text));
    let number = |text: &str| text.parse::<u32>().map_err(|_| InvalidItems);
    let (least, most) = (number(least)?, number(most.trim_start_matches('='))?);
    let fits = usize::try_from(most).is_ok_and(|most| most <= MAX_ITEMS);
    if least >= 1 && least <= most && fits {
        Ok(least..=most)
    } else {
        Err(InvalidItems)
    }
}

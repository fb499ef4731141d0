//! `loader generate`: sample orders as NDJSON, the same for the same seed on any machine, and what they add up to.
//!
//! Few users order much and many a little (Zipf), baskets and prices have long tails (log-normal), each user keeps to a
//! currency most of the time, and order ids grow with time. Money is counted in whole minor units throughout.

mod config;
mod shop;
mod spoil;
mod totals;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::Context as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

pub use config::GenerateConfig;
pub use totals::Totals;

use shop::Shop;

/// Orders that may be repeated, as duplicates or with other content.
const REMEMBERED: usize = 1000;

/// Writes the orders where `config` says, and their totals to standard error.
///
/// # Errors
/// Something cannot be written, or the settings do not fit together.
pub fn generate(config: &GenerateConfig) -> anyhow::Result<()> {
    let totals = match config.output.as_deref() {
        Some(path) => write_to_file(config, path)?,
        None => write_orders(config, &mut BufWriter::new(io::stdout().lock()))
            .context("cannot write to standard output")?,
    };
    let mut json = serde_json::to_string_pretty(&totals)?;
    json.push('\n');
    match &config.totals {
        Some(path) => {
            std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))
        }
        None => io::stderr()
            .write_all(json.as_bytes())
            .context("cannot write to standard error"),
    }
}

fn write_to_file(config: &GenerateConfig, path: &Path) -> anyhow::Result<Totals> {
    let cannot = || format!("cannot write {}", path.display());
    let file = File::create(path).with_context(cannot)?;
    write_orders(config, &mut BufWriter::new(file)).with_context(cannot)
}

/// Writes the orders as NDJSON and returns what must come out when they are loaded.
///
/// # Errors
/// `out` cannot be written to.
pub fn write_orders(config: &GenerateConfig, out: &mut impl Write) -> io::Result<Totals> {
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    let mut shop = Shop::open(config, &mut rng);
    let mut totals = Totals::default();
    let mut remembered = Vec::with_capacity(REMEMBERED);
    let mut text = Vec::new();
    for number in 0..config.orders {
        let order = shop.sell(number, &mut rng);
        totals.add(&order);
        write_line(out, &mut text, |text| order.write_json(text))?;
        let place = usize::try_from(number).map_or(0, |number| number % REMEMBERED);
        if remembered.len() < REMEMBERED {
            remembered.push(order);
        } else {
            remembered[place] = order;
        }
        if rng.random_bool(config.duplicates) {
            let again = &remembered[rng.random_range(0..remembered.len())];
            totals.duplicates += 1;
            write_line(out, &mut text, |text| again.write_json(text))?;
        }
        if rng.random_bool(config.conflicts) {
            let other = spoil::conflict(&remembered[rng.random_range(0..remembered.len())]);
            totals.conflicts += 1;
            write_line(out, &mut text, |text| other.write_json(text))?;
        }
        if rng.random_bool(config.broken) {
            let broken =
                spoil::broken(&remembered[rng.random_range(0..remembered.len())], &mut rng);
            totals.rejected += 1;
            write_line(out, &mut text, |text| {
                text.extend_from_slice(broken.as_bytes())
            })?;
        }
    }
    out.flush()?;
    Ok(totals)
}

fn write_line(
    out: &mut impl Write,
    text: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>),
) -> io::Result<()> {
    text.clear();
    write(text);
    text.push(b'\n');
    out.write_all(text)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};
    use std::time::Duration;

    use clap::Parser;
    use common::money::{Amount, Total};

    use super::*;
    use crate::request::{Arrival, Record, new_order_id};

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        config: GenerateConfig,
    }

    fn generated(arguments: &str) -> (String, Totals) {
        let words = std::iter::once("test").chain(arguments.split_whitespace());
        let config = Command::try_parse_from(words).unwrap().config;
        let mut out = Vec::new();
        let totals = write_orders(&config, &mut out).unwrap();
        (String::from_utf8(out).unwrap(), totals)
    }

    #[test]
    fn the_same_seed_gives_the_same_orders_and_another_seed_others() {
        let (one, _) = generated("--orders 200 --seed 7 --duplicates 0.1 --broken 0.1");
        let (same, _) = generated("--orders 200 --seed 7 --duplicates 0.1 --broken 0.1");
        let (other, _) = generated("--orders 200 --seed 8 --duplicates 0.1 --broken 0.1");
        assert_eq!(one, same);
        assert_ne!(one, other);
    }

    /// By another path than the generator's: from the lines alone.
    #[test]
    fn the_totals_are_what_the_lines_add_up_to() {
        let (text, totals) = generated(
            "--orders 3000 --users 100 --duplicates 0.05 --conflicts 0.03 --broken 0.04 --details 0.5",
        );
        let arrival = Arrival::now(Duration::from_secs(3600));
        let mut first_values: HashMap<String, Vec<u8>> = HashMap::new();
        let mut sums: BTreeMap<String, (u64, Total)> = BTreeMap::new();
        let (mut duplicates, mut conflicts, mut rejected) = (0, 0, 0);
        for line in text.lines() {
            let Ok(record) = Record::read(line.as_bytes(), arrival, new_order_id) else {
                rejected += 1;
                continue;
            };
            match first_values.get(record.order_id.as_str()) {
                Some(value) if *value == record.value => duplicates += 1,
                Some(_) => conflicts += 1,
                None => {
                    let order: serde_json::Value = serde_json::from_str(line).unwrap();
                    let amount = Amount::parse(order["amount"].as_str().unwrap()).unwrap();
                    let sum = sums
                        .entry(order["currency"].as_str().unwrap().into())
                        .or_default();
                    sum.0 += 1;
                    sum.1 += amount.into();
                    first_values.insert(record.order_id.to_string(), record.value);
                }
            }
        }
        assert_eq!(
            (
                totals.orders,
                totals.duplicates,
                totals.conflicts,
                totals.rejected
            ),
            (3000, duplicates, conflicts, rejected)
        );
        assert!(duplicates > 50 && conflicts > 30 && rejected > 40);
        let expected: BTreeMap<_, _> = totals
            .currencies()
            .map(|(code, count, total)| (code.to_string(), (count, total)))
            .collect();
        assert_eq!(sums, expected);
        assert!(sums.len() > 2);
    }

    #[test]
    fn few_users_order_much_and_ids_grow_with_time() {
        let (text, _) = generated("--orders 5000 --users 1000");
        let mut orders_by_user: HashMap<String, u32> = HashMap::new();
        let mut ids = Vec::new();
        for line in text.lines() {
            let order: serde_json::Value = serde_json::from_str(line).unwrap();
            *orders_by_user
                .entry(order["user_id"].as_str().unwrap().into())
                .or_default() += 1;
            ids.push(order["order_id"].as_str().unwrap().to_owned());
        }
        assert!(ids.is_sorted());
        let mut counts: Vec<u32> = orders_by_user.into_values().collect();
        counts.sort_unstable();
        assert!(*counts.last().unwrap() > 20 * counts[counts.len() / 2]);
    }

    #[test]
    fn the_number_of_items_keeps_to_its_range() {
        let (text, _) = generated("--orders 500 --items 20..20");
        assert!(
            text.lines()
                .all(|line| line.matches("\"sku\"").count() == 20)
        );
    }
}

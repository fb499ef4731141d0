//! Sales by hour, day, month and year.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{assert_holds, count};
use crate::ledger::{HourLine, Ledger};
use crate::orders::canonical_time;
use crate::{Trio, units};

/// Buckets asked for at once: fewer than the API gives in one answer.
const BUCKETS_AT_ONCE: u32 = 9_000;

pub(super) async fn assert_equal(
    trio: &Trio,
    ledger: &Ledger,
    currency: &str,
) -> anyhow::Result<()> {
    for grain in [Grain::Hour, Grain::Day, Grain::Month, Grain::Year] {
        of_grain(trio, ledger, currency, grain).await?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Grain {
    Hour,
    Day,
    Month,
    Year,
}

impl Grain {
    fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    fn start(self, hour: DateTime<Utc>) -> DateTime<Utc> {
        let date = hour.date_naive();
        let day = match self {
            Self::Hour => return hour,
            Self::Day => date,
            Self::Month => first_of(date.year(), date.month()),
            Self::Year => first_of(date.year(), 1),
        };
        day.and_time(NaiveTime::MIN).and_utc()
    }

    fn after(self, bucket: DateTime<Utc>, buckets: u32) -> DateTime<Utc> {
        match self {
            Self::Hour => bucket + TimeDelta::hours(buckets.into()),
            Self::Day => bucket + Days::new(buckets.into()),
            Self::Month => bucket + Months::new(buckets),
            Self::Year => bucket + Months::new(buckets * 12),
        }
    }
}

fn first_of(year: i32, month: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, 1).expect("every month has a first day")
}

async fn of_grain(
    trio: &Trio,
    ledger: &Ledger,
    currency: &str,
    grain: Grain,
) -> anyhow::Result<()> {
    let mut expected: BTreeMap<DateTime<Utc>, HourLine> = BTreeMap::new();
    for ((_, hour), line) in ledger.hours.iter().filter(|((of, _), _)| of == currency) {
        let bucket = expected.entry(grain.start(*hour)).or_default();
        bucket.order_count += line.order_count;
        bucket.item_count += line.item_count;
        bucket.amount += line.amount;
    }
    let (first, last) = (expected.keys().next(), expected.keys().next_back());
    let (mut from, end) = (
        *first.context("orders")?,
        grain.after(*last.context("orders")?, 1),
    );
    while from < end {
        let to = end.min(grain.after(
            from,
            if matches!(grain, Grain::Hour) {
                BUCKETS_AT_ONCE
            } else {
                1_000
            },
        ));
        let path = format!(
            "/sales?grain={}&currency={currency}&from={}&to={}",
            grain.name(),
            canonical_time(from),
            canonical_time(to)
        );
        let answer = trio.ask(&path).await?;
        let buckets = answer["buckets"]
            .as_array()
            .with_context(|| format!("{path}: {answer}"))?;
        let mut bucket = from;
        for line in buckets {
            let sums = expected.get(&bucket).copied().unwrap_or_default();
            assert_holds(&path, line, &bucket_line(bucket, sums));
            bucket = grain.after(bucket, 1);
        }
        ensure!(bucket == to, "{path}: the buckets end at {bucket}");
        from = to;
    }
    Ok(())
}

fn bucket_line(bucket: DateTime<Utc>, sums: HourLine) -> Value {
    json!({
        "bucket": canonical_time(bucket),
        "order_count": count(sums.order_count),
        "item_count": count(sums.item_count),
        "amount": units::print(sums.amount),
    })
}

//! Sales by the hour and currency, and series of them by hour, day, month and year in UTC.

use std::collections::BTreeMap;

use common::ids::Currency;
use common::money::Total;

use super::calendar::{Grain, Hour};

/// The longest series.
pub const MAX_BUCKETS: u32 = 10_000;

/// What was sold in one bucket: of a row of `sales_hourly`, of all partitions together, of several hours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SalesRow {
    pub order_count: u64,
    /// Lines, not pieces.
    pub item_count: u64,
    pub amount: Total,
}

impl SalesRow {
    fn add(&mut self, other: &Self) {
        self.order_count += other.order_count;
        self.item_count += other.item_count;
        self.amount += other.amount;
    }
}

/// A series without gaps: `buckets` follow each other, empty ones are zero. Sales before `from` and from `to` on are in
/// none of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    pub from: Option<Hour>,
    pub to: Option<Hour>,
    pub buckets: Vec<(Hour, SalesRow)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the range has more than {MAX_BUCKETS} buckets of this grain")]
pub struct TooManyBuckets;

/// All sales.
#[derive(Debug, Default)]
pub struct Sales {
    by_currency: BTreeMap<Currency, BTreeMap<Hour, SalesRow>>,
}

impl Sales {
    /// Puts `now` in the place of everything known of these hours.
    pub(super) fn replace(
        &mut self,
        hours: &[Hour],
        now: impl IntoIterator<Item = (Hour, Currency, SalesRow)>,
    ) {
        for sales in self.by_currency.values_mut() {
            for hour in hours {
                sales.remove(hour);
            }
        }
        for (hour, currency, row) in now {
            self.by_currency
                .entry(currency)
                .or_default()
                .insert(hour, row);
        }
        self.by_currency.retain(|_, sales| !sales.is_empty());
    }

    /// The sales of `from` (inclusive) to `to` (exclusive). Without `from` it begins with the first sale, without `to` it
    /// ends with the last; without `from` only the latest [`MAX_BUCKETS`] are given.
    ///
    /// # Errors
    /// `from` is given and the series would be longer than [`MAX_BUCKETS`].
    pub fn series(
        &self,
        currency: Currency,
        grain: Grain,
        from: Option<Hour>,
        to: Option<Hour>,
    ) -> Result<Series, TooManyBuckets> {
        let none = BTreeMap::new();
        let sales = self.by_currency.get(&currency).unwrap_or(&none);
        let end = to.or_else(|| {
            sales
                .last_key_value()
                .map(|(hour, _)| grain.next(grain.first_hour(*hour)))
        });
        let start = match from {
            Some(from) => Some(from),
            None => end.and_then(|end| first_within(sales, grain, end)),
        };
        let (Some(start), Some(end)) = (start, end) else {
            return Ok(Series {
                from: start,
                to: end,
                buckets: Vec::new(),
            });
        };
        let mut buckets = empty_buckets(grain, start, end)?;
        fill(&mut buckets, sales, start, end);
        Ok(Series {
            from: Some(start),
            to: Some(end),
            buckets,
        })
    }
}

/// Where a series that ends at `end` begins if nobody says: with the first sale, but not too long ago.
fn first_within(sales: &BTreeMap<Hour, SalesRow>, grain: Grain, end: Hour) -> Option<Hour> {
    let (first, _) = sales.range(..end).next()?;
    // The last bucket may be cut by `end`, and counts.
    let last = grain.first_hour(end);
    let whole = if last == end {
        MAX_BUCKETS
    } else {
        MAX_BUCKETS - 1
    };
    Some(grain.first_hour(*first).max(grain.earlier(last, whole)))
}

fn empty_buckets(
    grain: Grain,
    start: Hour,
    end: Hour,
) -> Result<Vec<(Hour, SalesRow)>, TooManyBuckets> {
    let mut buckets = Vec::new();
    let mut first = grain.first_hour(start);
    while first < end && start < end {
        if buckets.len() >= MAX_BUCKETS as usize {
            return Err(TooManyBuckets);
        }
        buckets.push((first, SalesRow::default()));
        first = grain.next(first);
    }
    Ok(buckets)
}

/// Adds each hour to the bucket that holds it; both are in order of time.
fn fill(
    buckets: &mut [(Hour, SalesRow)],
    sales: &BTreeMap<Hour, SalesRow>,
    start: Hour,
    end: Hour,
) {
    if start >= end {
        return;
    }
    let mut index = 0;
    for (hour, row) in sales.range(start..end) {
        while buckets.get(index + 1).is_some_and(|(next, _)| next <= hour) {
            index += 1;
        }
        buckets[index].1.add(row);
    }
}

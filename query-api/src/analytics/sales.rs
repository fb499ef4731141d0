//! Sales by the hour and currency, and series of them by hour, day, month and year in UTC.

use std::collections::BTreeMap;

use common::ids::Currency;
use common::money::Total;

use super::calendar::{Grain, Hour};

/// The longest series.
pub const MAX_BUCKETS: u16 = 10_000;

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
    /// ends with the last; without `from` only the `latest` are given, at most [`MAX_BUCKETS`].
    ///
    /// # Errors
    /// `from` is given and the series would be longer than [`MAX_BUCKETS`].
    pub fn series(
        &self,
        currency: Currency,
        grain: Grain,
        from: Option<Hour>,
        to: Option<Hour>,
        latest: u16,
    ) -> Result<Series, TooManyBuckets> {
        let none = BTreeMap::new();
        let sales = self.by_currency.get(&currency).unwrap_or(&none);
        let frame = Frame::new(grain, (from, to), latest, self.ends(currency))?;
        let mut buckets: Vec<_> = frame
            .buckets
            .iter()
            .map(|&first| (first, SalesRow::default()))
            .collect();
        if let Some((start, end)) = frame.range() {
            fill(&mut buckets, sales, start, end);
        }
        Ok(Series {
            from: frame.from,
            to: frame.to,
            buckets,
        })
    }

    /// The first and the last hour in which something was sold.
    #[must_use]
    pub fn ends(&self, currency: Currency) -> Option<(Hour, Hour)> {
        let sales = self.by_currency.get(&currency)?;
        let (first, last) = (sales.first_key_value()?, sales.last_key_value()?);
        Some((*first.0, *last.0))
    }
}

/// The buckets of a series before anything is in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub from: Option<Hour>,
    pub to: Option<Hour>,
    /// The first hour of each.
    pub buckets: Vec<Hour>,
}

impl Frame {
    /// Of what lies between the two `ends` if `from` and `to` do not say; without `from` only the `latest`.
    ///
    /// # Errors
    /// `from` is given and they would be more than [`MAX_BUCKETS`].
    pub fn new(
        grain: Grain,
        (from, to): (Option<Hour>, Option<Hour>),
        latest: u16,
        ends: Option<(Hour, Hour)>,
    ) -> Result<Self, TooManyBuckets> {
        let to = to.or_else(|| ends.map(|(_, last)| grain.next(grain.first_hour(last))));
        let from = from.or_else(|| first_within(ends?.0, grain, to?, latest));
        let buckets = match (from, to) {
            (Some(from), Some(to)) => empty_buckets(grain, from, to)?,
            (None, _) | (_, None) => Vec::new(),
        };
        Ok(Self { from, to, buckets })
    }

    /// What has to be looked at; `None` if that is nothing.
    #[must_use]
    pub fn range(&self) -> Option<(Hour, Hour)> {
        let (from, to) = (self.from?, self.to?);
        (from < to).then_some((from, to))
    }

    /// Each bucket with what is known of it; `known` is in order of time, by the first hours of its buckets.
    pub fn filled<T: Copy + Default>(&self, known: &[(Hour, T)]) -> Vec<(Hour, T)> {
        let mut known = known.iter().peekable();
        let fill = |&first: &Hour| {
            let found = known.next_if(|(hour, _)| *hour == first);
            (first, found.map(|(_, value)| *value).unwrap_or_default())
        };
        self.buckets.iter().map(fill).collect()
    }
}

/// Where a series that ends at `end` begins if nobody says: with the first sale, but not too long ago.
fn first_within(first: Hour, grain: Grain, end: Hour, latest: u16) -> Option<Hour> {
    if first >= end {
        return None;
    }
    // The last bucket may be cut by `end`, and counts.
    let last = grain.first_hour(end);
    let whole = if last == end {
        latest
    } else {
        latest.saturating_sub(1)
    };
    Some(
        grain
            .first_hour(first)
            .max(grain.earlier(last, whole.into())),
    )
}

fn empty_buckets(grain: Grain, start: Hour, end: Hour) -> Result<Vec<Hour>, TooManyBuckets> {
    let mut buckets = Vec::new();
    let mut first = grain.first_hour(start);
    while first < end && start < end {
        if buckets.len() >= usize::from(MAX_BUCKETS) {
            return Err(TooManyBuckets);
        }
        buckets.push(first);
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
    let mut index = 0;
    for (hour, row) in sales.range(start..end) {
        while buckets.get(index + 1).is_some_and(|(next, _)| next <= hour) {
            index += 1;
        }
        buckets[index].1.add(row);
    }
}

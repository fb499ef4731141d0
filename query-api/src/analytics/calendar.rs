//! Hours since 1970 in UTC, and the days, months and years that they belong to.

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime, Utc};
use common::time::Timestamp;
use serde::Serialize;

const MICROS_PER_HOUR: i64 = 3_600_000_000;
const SECONDS_PER_HOUR: i64 = 3_600;
const HOURS_PER_DAY: i64 = 24;

/// A full hour in UTC, counted from 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hour(i64);

impl Hour {
    /// The hour that holds an instant.
    #[must_use]
    pub fn of(instant: Timestamp) -> Self {
        Self(instant.as_micros().div_euclid(MICROS_PER_HOUR))
    }

    /// The first hour that begins at an instant or later.
    #[must_use]
    pub fn at_or_after(instant: Timestamp) -> Self {
        let hour = Self::of(instant);
        if hour.start() == Some(instant) {
            hour
        } else {
            hour.next()
        }
    }

    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Where it begins; `None` in the year 10000, to which an exclusive end may reach.
    #[must_use]
    pub fn start(self) -> Option<Timestamp> {
        self.0
            .checked_mul(MICROS_PER_HOUR)
            .and_then(Timestamp::from_micros)
    }

    /// Hours from here to `later`; none if that is not later.
    #[must_use]
    pub fn until(self, later: Self) -> u64 {
        u64::try_from(later.0 - self.0).unwrap_or(0)
    }

    /// Counted from 1970.
    #[must_use]
    pub fn number(self) -> u64 {
        u64::try_from(self.0).unwrap_or(0)
    }

    fn date(self) -> NaiveDate {
        let instant = DateTime::<Utc>::from_timestamp(self.0 * SECONDS_PER_HOUR, 0);
        instant
            .expect("hours come from timestamps and lie between the years 1970 and 10000")
            .date_naive()
    }

    fn midnight(date: NaiveDate) -> Self {
        Self(date.and_time(NaiveTime::MIN).and_utc().timestamp() / SECONDS_PER_HOUR)
    }
}

/// How long a bucket of a sales series is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grain {
    Hour,
    Day,
    Month,
    Year,
}

impl Grain {
    /// As PostgreSQL calls it, too.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// The first hour of the bucket that holds `hour`.
    #[must_use]
    pub fn first_hour(self, hour: Hour) -> Hour {
        let first_of = |month: u32| {
            let date = NaiveDate::from_ymd_opt(hour.date().year(), month, 1);
            Hour::midnight(date.expect("every month has a first day"))
        };
        match self {
            Self::Hour => hour,
            Self::Day => Hour(hour.0 - hour.0.rem_euclid(HOURS_PER_DAY)),
            Self::Month => first_of(hour.date().month()),
            Self::Year => first_of(1),
        }
    }

    /// The first hour of the bucket after the one that begins at `first`.
    #[must_use]
    pub fn next(self, first: Hour) -> Hour {
        self.later(first, 1)
    }

    /// The first hour of the bucket that lies `buckets` before the one that begins at `first`, not before 1970.
    #[must_use]
    pub(super) fn earlier(self, first: Hour, buckets: u32) -> Hour {
        let hours = i64::from(buckets);
        let earlier = match self {
            Self::Hour => Hour(first.0 - hours),
            Self::Day => Hour(first.0 - hours * HOURS_PER_DAY),
            Self::Month => months_earlier(first, buckets),
            Self::Year => months_earlier(first, buckets.saturating_mul(12)),
        };
        earlier.max(Hour(0))
    }

    fn later(self, first: Hour, buckets: u32) -> Hour {
        match self {
            Self::Hour => Hour(first.0 + i64::from(buckets)),
            Self::Day => Hour(first.0 + i64::from(buckets) * HOURS_PER_DAY),
            Self::Month => months_later(first, buckets),
            Self::Year => months_later(first, buckets.saturating_mul(12)),
        }
    }
}

fn months_later(first: Hour, months: u32) -> Hour {
    let date = first.date().checked_add_months(Months::new(months));
    Hour::midnight(date.expect("chrono's calendar reaches far beyond the year 10000"))
}

fn months_earlier(first: Hour, months: u32) -> Hour {
    // Before chrono's first year is before 1970, too.
    let date = first.date().checked_sub_months(Months::new(months));
    date.map_or(Hour(0), Hour::midnight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(text: &str) -> Hour {
        Hour::of(Timestamp::parse(text).unwrap())
    }

    #[test]
    fn buckets_begin_where_the_calendar_says() {
        let instant = hour("2024-02-29T23:59:59.999999Z");
        for (grain, first, next) in [
            (Grain::Hour, "2024-02-29T23:00:00Z", "2024-03-01T00:00:00Z"),
            (Grain::Day, "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"),
            (Grain::Month, "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"),
            (Grain::Year, "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"),
        ] {
            assert_eq!(grain.first_hour(instant), hour(first), "{grain:?}");
            assert_eq!(
                grain.next(grain.first_hour(instant)),
                hour(next),
                "{grain:?}"
            );
            assert_eq!(grain.earlier(hour(next), 1), hour(first), "{grain:?}");
        }
    }

    #[test]
    fn the_ends_of_the_calendar_are_no_panic() {
        let last = Hour::of(Timestamp::MAX);
        for grain in [Grain::Hour, Grain::Day, Grain::Month, Grain::Year] {
            let after = grain.next(grain.first_hour(last));
            assert_eq!(after.start(), None);
            assert_eq!(grain.first_hour(Hour(0)), Hour(0));
            assert_eq!(
                grain.earlier(grain.first_hour(hour("1971-01-01T00:00:00Z")), 1_000_000),
                Hour(0)
            );
        }
    }

    #[test]
    fn an_instant_within_an_hour_reaches_to_the_next() {
        assert_eq!(
            Hour::at_or_after(Timestamp::parse("2026-01-01T00:00:00Z").unwrap()),
            hour("2026-01-01T00:00:00Z")
        );
        assert_eq!(
            Hour::at_or_after(Timestamp::parse("2026-01-01T00:00:00.000001Z").unwrap()),
            hour("2026-01-01T01:00:00Z")
        );
    }
}

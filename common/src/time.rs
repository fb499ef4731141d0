//! Instants with microseconds, in UTC: what PostgreSQL's `timestamptz` holds, so that nothing shifts or is rounded.

use std::fmt;
use std::time::{Duration, SystemTime};

use arrayvec::ArrayString;
use chrono::{DateTime, Datelike, Timelike, Utc};
use serde::{Serialize, Serializer};

/// Microseconds since 1970-01-01T00:00:00Z. Displayed as RFC 3339 in UTC with as many of 0, 3 or 6 decimals as it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

/// Why a text is no instant; its display is the rule and, cut short, what was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be an RFC 3339 instant with a zone, like 2026-01-31T12:00:00Z (got {0})")]
pub struct InvalidTimestamp(String);

impl Timestamp {
    pub const EPOCH: Self = Self(0);
    /// 9999-12-31T23:59:59.999999Z: the last one that RFC 3339 can write.
    pub const MAX: Self = Self(253_402_300_799_999_999);

    #[must_use]
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// Microseconds since the epoch; `None` outside the years 1970 to 9999.
    #[must_use]
    pub fn from_micros(micros: i64) -> Option<Self> {
        (0..=Self::MAX.0).contains(&micros).then_some(Self(micros))
    }

    /// Milliseconds since the epoch, as Kafka's record timestamps; `None` outside the years 1970 to 9999.
    #[must_use]
    pub fn from_millis(millis: i64) -> Option<Self> {
        millis.checked_mul(1000).and_then(Self::from_micros)
    }

    /// Reads RFC 3339 with any offset; digits beyond microseconds are cut. Accepts years outside 1970–9999 only to
    /// refuse them: the caller learns the same rule for all.
    ///
    /// # Errors
    /// [`InvalidTimestamp`] names the rule.
    pub fn parse(text: &str) -> Result<Self, InvalidTimestamp> {
        let invalid = || InvalidTimestamp(crate::order::excerpt(text));
        let instant = DateTime::parse_from_rfc3339(text).map_err(|_| invalid())?;
        Self::from_micros(instant.timestamp_micros()).ok_or_else(invalid)
    }

    #[must_use]
    pub fn as_micros(self) -> i64 {
        self.0
    }

    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros).min(Self::MAX.0))
    }

    /// How long before this instant the other one was; zero if it was not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let micros = self.0.saturating_sub(earlier.0);
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }

    /// The start of the hour in UTC that holds this instant.
    #[must_use]
    pub fn hour(self) -> Self {
        const HOUR: i64 = 3_600_000_000;
        Self(self.0 - self.0.rem_euclid(HOUR))
    }

    /// For calendar arithmetic.
    #[must_use]
    pub fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).expect("a timestamp lies between 1970 and 9999")
    }
}

impl From<SystemTime> for Timestamp {
    /// A clock before 1970 reads as 1970.
    fn from(time: SystemTime) -> Self {
        Self::EPOCH.saturating_add(
            time.duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default(),
        )
    }
}

impl Timestamp {
    /// Appends what the display shows.
    pub fn write_text(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.text().as_bytes());
    }

    /// RFC 3339. By hand, because every order's record carries two of these and chrono's formatter
    /// takes ten times as long.
    fn text(self) -> ArrayString<27> {
        let utc = self.to_utc();
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let year = utc.year().cast_unsigned();
        write_pair(&mut text, 0, year / 100);
        write_pair(&mut text, 2, year % 100);
        write_pair(&mut text, 5, utc.month());
        write_pair(&mut text, 8, utc.day());
        write_pair(&mut text, 11, utc.hour());
        write_pair(&mut text, 14, utc.minute());
        write_pair(&mut text, 17, utc.second());
        let micros = utc.timestamp_subsec_micros();
        write_pair(&mut text, 20, micros / 10_000);
        write_pair(&mut text, 22, micros / 100 % 100);
        write_pair(&mut text, 24, micros % 100);
        let length = match micros {
            0 => 20,
            _ if micros.is_multiple_of(1000) => 24,
            _ => 27,
        };
        text[length - 1] = b'Z';
        let mut text = ArrayString::from_byte_string(&text).expect("made of ASCII");
        text.truncate(length);
        text
    }
}

/// Two decimal digits of a value below 100.
fn write_pair(text: &mut [u8], at: usize, value: u32) {
    let digit = |value: u32| b'0' + u8::try_from(value % 10).expect("a digit");
    text[at] = digit(value / 10);
    text[at + 1] = digit(value);
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

#[cfg(feature = "pg")]
mod sql {
    use std::error::Error;

    use bytes::{BufMut, BytesMut};
    use postgres_types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

    use super::Timestamp;

    /// Microseconds from 1970-01-01 to 2000-01-01, where PostgreSQL's clock begins.
    const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

    impl ToSql for Timestamp {
        fn to_sql(
            &self,
            _: &Type,
            out: &mut BytesMut,
        ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
            out.put_i64(self.0 - POSTGRES_EPOCH);
            Ok(IsNull::No)
        }

        accepts!(TIMESTAMPTZ);
        to_sql_checked!();
    }

    impl<'a> FromSql<'a> for Timestamp {
        fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
            let micros = i64::from_be_bytes(raw.try_into()?);
            micros
                .checked_add(POSTGRES_EPOCH)
                .and_then(Self::from_micros)
                .ok_or_else(|| "a timestamptz outside the years 1970 to 9999".into())
        }

        accepts!(TIMESTAMPTZ);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_keeps_its_microseconds_and_loses_its_zone_but_not_its_meaning() {
        for (sent, kept) in [
            ("2026-01-01T03:00:00+03:00", "2026-01-01T00:00:00Z"),
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
            ("2026-01-01t00:00:00.5z", "2026-01-01T00:00:00.500Z"),
            (
                "2026-01-01T00:00:00.1234569Z",
                "2026-01-01T00:00:00.123456Z",
            ),
            ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(Timestamp::parse(sent).unwrap().to_string(), kept);
        }
    }

    #[test]
    fn the_text_is_what_chrono_writes() {
        let mut micros = 1;
        while let Some(instant) = Timestamp::from_micros(micros) {
            let expected = instant
                .to_utc()
                .to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
            assert_eq!(instant.to_string(), expected);
            // Seven hours and an odd number of microseconds more than half of it again: all months and many days.
            micros = micros + micros / 512 + 25_200_000_001;
            micros |= 1;
        }
    }

    #[test]
    fn what_has_no_zone_or_lies_before_1970_is_refused() {
        for bad in [
            "",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "1969-12-31T23:59:59Z",
            "2026-13-01T00:00:00Z",
            "1767225600",
        ] {
            assert!(Timestamp::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_hour_begins_at_its_first_microsecond() {
        let instant = Timestamp::parse("2026-05-04T03:59:59.999999Z").unwrap();
        assert_eq!(instant.hour().to_string(), "2026-05-04T03:00:00Z");
        assert_eq!(instant.hour().hour(), instant.hour());
    }
}

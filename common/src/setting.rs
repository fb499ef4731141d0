//! How settings are written, the same in every service.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Units by name, in milliseconds.
const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number with a unit (ms, s, m, h or d), like 500ms or 30s")]
pub struct InvalidDuration;

/// Reads `500ms`, `30s`, `15m`, `1h`, `7d`: clap's `value_parser` for every setting that is a time.
///
/// # Errors
/// [`InvalidDuration`] names the rule.
pub fn duration(text: &str) -> Result<Duration, InvalidDuration> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| InvalidDuration)?;
    let (_, unit_ms) = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or(InvalidDuration)?;
    number
        .checked_mul(*unit_ms)
        .map(Duration::from_millis)
        .ok_or(InvalidDuration)
}

/// [`duration`] for a time that must not be arbitrarily short or long.
pub fn duration_within(
    bounds: RangeInclusive<Duration>,
) -> impl Fn(&str) -> Result<Duration, String> + Clone {
    move |text| {
        let duration = duration(text).map_err(|error| error.to_string())?;
        if bounds.contains(&duration) {
            return Ok(duration);
        }
        let (least, most) = (bounds.start(), bounds.end());
        Err(if least.is_zero() {
            format!("must be at most {most:?}")
        } else {
            format!("must be from {least:?} to {most:?}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_with_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(604_800)));
    }

    #[test]
    fn a_time_beyond_its_bounds_is_refused_with_them() {
        let within = duration_within(Duration::from_millis(100)..=Duration::from_secs(30));
        for good in ["100ms", "1s", "30s"] {
            assert_eq!(Ok(within(good).unwrap()), duration(good));
        }
        for bad in ["99ms", "30001ms", "1h"] {
            assert_eq!(within(bad).unwrap_err(), "must be from 100ms to 30s");
        }
        assert!(within("30").unwrap_err().contains("unit"));
        let at_most = duration_within(Duration::ZERO..=Duration::from_secs(30));
        assert_eq!(at_most("0s"), Ok(Duration::ZERO));
        assert_eq!(at_most("31s").unwrap_err(), "must be at most 30s");
    }

    #[test]
    fn a_time_without_a_unit_or_beyond_64_bits_is_refused() {
        for bad in [
            "",
            "30",
            "s",
            "1.5s",
            "-1s",
            "30 s",
            "30S",
            "18446744073709551615s",
        ] {
            assert_eq!(duration(bad), Err(InvalidDuration), "{bad}");
        }
    }
}

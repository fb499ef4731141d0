//! How settings are written, the same in every service.

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

//! Money as a plain integer of ten-thousandths, with a reader and a printer of its own: sums made here owe nothing to the
//! code that they judge.

use anyhow::{Context, ensure};

const DECIMALS: usize = 4;

/// Ten-thousandths of `12.5`, `-0.0001` or `3`.
///
/// # Errors
/// It is no plain decimal of up to four places.
pub fn parse(text: &str) -> anyhow::Result<i128> {
    let (sign, digits) = text
        .strip_prefix('-')
        .map_or((1, text), |digits| (-1, digits));
    let (integer, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    // PostgreSQL prints a sum of NUMERIC(19,4) with four decimals, and a product of such with more, zeros all.
    let fraction = fraction.trim_end_matches('0');
    ensure!(
        !integer.is_empty() && fraction.len() <= DECIMALS,
        "{text} is no amount"
    );
    format!("{integer}{fraction:0<DECIMALS$}")
        .parse::<i128>()
        .map(|units| sign * units)
        .with_context(|| text.to_owned())
}

/// As the APIs write it: trailing zeros cut, at least two decimals.
#[must_use]
pub fn print(units: i128) -> String {
    let digits = format!("{:05}", units.unsigned_abs());
    let (integer, fraction) = digits.split_at(digits.len() - DECIMALS);
    let (kept, cuttable) = fraction.split_at(2);
    let sign = if units < 0 { "-" } else { "" };
    format!("{sign}{integer}.{kept}{}", cuttable.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_written_digit_by_digit() {
        for (text, units, printed) in [
            ("0", 0, "0.00"),
            ("12.5", 125_000, "12.50"),
            ("8911407.904", 89_114_079_040, "8911407.904"),
            ("0.0001", 1, "0.0001"),
            ("-3.1400", -31_400, "-3.14"),
        ] {
            assert_eq!(parse(text).unwrap(), units);
            assert_eq!(print(units), printed);
        }
        assert!(parse("1.00001").is_err());
        assert!(parse("").is_err());
    }
}

//! Numbers in attributes: one text for each value, without ever being anything but digits.

use std::io::Write as _;

/// What PostgreSQL's `numeric`, and so its `jsonb`, holds (`src/backend/utils/adt/numeric.c`).
const MAX_INTEGER_DIGITS: i64 = 131_072;
const MAX_DECIMALS: i64 = 16_383;
/// With more zeros than this to fill up a plain form, a number is written with an exponent.
const MAX_FILL: i64 = 20;
/// So short that no zeros in it exceed [`MAX_FILL`].
const SHORT: usize = 21;

/// A number that `numeric` does not hold.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is out of range: at most 131072 digits before the decimal point and 16383 after it are allowed"
)]
pub(super) struct OutOfRange;

/// Writes the canonical form of a number, given as JSON has it: no zeros that say nothing, no `-0`; plain digits, or
/// `1.5e30` where they would need many zeros to fill them up. Returns how many bytes that exponent saves: `jsonb` prints the
/// plain form, and whoever reads it back has to hold it.
pub(super) fn write(number: &str, out: &mut Vec<u8>) -> Result<usize, OutOfRange> {
    if number.len() <= SHORT && number.bytes().all(|byte| byte.is_ascii_digit()) {
        out.extend_from_slice(number.as_bytes());
        return Ok(0);
    }
    let (negative, unsigned) = match number.strip_prefix('-') {
        Some(unsigned) => (true, unsigned),
        None => (false, number),
    };
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [integer.as_bytes(), fraction.as_bytes()].concat();
    let Some(first) = digits.iter().position(|&digit| digit != b'0') else {
        out.push(b'0');
        return Ok(0);
    };
    let last = digits
        .iter()
        .rposition(|&digit| digit != b'0')
        .expect("one is not zero");
    let point = length(integer) - signed(first);
    write_value(
        negative,
        &digits[first..=last],
        point.saturating_add(read_exponent(exponent)),
        out,
    )
}

/// The value is 0.d₁d₂d₃… × 10^point; neither the first nor the last digit is zero.
fn write_value(
    negative: bool,
    digits: &[u8],
    point: i64,
    out: &mut Vec<u8>,
) -> Result<usize, OutOfRange> {
    let count = signed(digits.len());
    if point > MAX_INTEGER_DIGITS || count.saturating_sub(point) > MAX_DECIMALS {
        return Err(OutOfRange);
    }
    if negative {
        out.push(b'-');
    }
    let zeros = |count: i64| (0..count).map(|_| b'0');
    if point > count + MAX_FILL || point < -MAX_FILL {
        let start = out.len();
        out.push(digits[0]);
        if digits.len() > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        write!(out, "e{}", point - 1).expect("a Vec takes every byte");
        // Without sign: all digits of a large number, `0.` with zeros before those of a small one.
        let plain = if point > 0 { point } else { 2 - point + count };
        let plain = usize::try_from(plain).expect("positive");
        return Ok(plain.saturating_sub(out.len() - start));
    } else if point >= count {
        out.extend_from_slice(digits);
        out.extend(zeros(point - count));
    } else if point > 0 {
        let (integer, fraction) = digits.split_at(usize::try_from(point).expect("positive"));
        out.extend_from_slice(integer);
        out.push(b'.');
        out.extend_from_slice(fraction);
    } else {
        out.extend_from_slice(b"0.");
        out.extend(zeros(-point));
        out.extend_from_slice(digits);
    }
    Ok(0)
}

/// The value of a number that is an integer of 64 bits, however it is written: `2`, `2.0`, `2e0`.
pub(super) fn integer(number: &str) -> Option<i64> {
    number.parse().ok().or_else(|| {
        let mut plain = Vec::new();
        write(number, &mut plain).ok()?;
        std::str::from_utf8(&plain).ok()?.parse().ok()
    })
}

/// An exponent of more digits than 64 bits hold is out of every range, and so is what this makes of it.
fn read_exponent(text: &str) -> i64 {
    let beyond = if text.starts_with('-') {
        i64::MIN
    } else {
        i64::MAX
    };
    text.parse().unwrap_or(beyond)
}

fn length(text: &str) -> i64 {
    signed(text.len())
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).expect("a text's length fits 64 bits")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(number: &str) -> Result<String, OutOfRange> {
        let mut out = Vec::new();
        write(number, &mut out).map(|_| String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_number_has_one_form_however_it_is_written() {
        let long = "123456789012345678901234567890";
        for (sent, kept) in [
            ("0", "0"),
            ("-0", "0"),
            ("-0.000e99999999999999999999", "0"),
            ("1.50", "1.5"),
            ("15e-1", "1.5"),
            ("0.015E+2", "1.5"),
            ("-1.0", "-1"),
            ("1e3", "1000"),
            ("1e20", "100000000000000000000"),
            ("1e21", "1e21"),
            ("1000000000000000000000", "1e21"),
            ("-12e30", "-1.2e31"),
            ("1e-21", "0.000000000000000000001"),
            ("1e-22", "1e-22"),
            ("12.5e-30", "1.25e-29"),
            (long, long),
            (
                "1234567890123456789012345678.90",
                "1234567890123456789012345678.9",
            ),
            ("1e131071", "1e131071"),
            ("1e-16383", "1e-16383"),
        ] {
            assert_eq!(canonical(sent).as_deref(), Ok(kept), "{sent}");
        }
    }

    #[test]
    fn what_numeric_does_not_hold_is_refused() {
        for sent in [
            "1e131072",
            "-1e131072",
            "1e-16384",
            "1.5e-16383",
            "1e99999999999999999999",
            "1e-99999999999999999999",
        ] {
            assert_eq!(canonical(sent), Err(OutOfRange), "{sent}");
        }
    }

    #[test]
    fn an_integer_is_one_by_its_value() {
        for (sent, value) in [
            ("2", 2),
            ("2.0", 2),
            ("2e0", 2),
            ("-1.5e1", -15),
            ("9223372036854775807", i64::MAX),
        ] {
            assert_eq!(integer(sent), Some(value), "{sent}");
        }
        for sent in ["2.5", "1e-1", "9223372036854775808", "1e400"] {
            assert_eq!(integer(sent), None, "{sent}");
        }
    }

    proptest! {
        #[test]
        fn the_form_is_the_same_again(number in "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?") {
            let once = canonical(&number).unwrap();
            prop_assert_eq!(canonical(&once).unwrap(), once);
        }

        #[test]
        fn shifting_the_point_and_the_exponent_changes_nothing(digits in "[1-9][0-9]{0,20}", shift in 0_usize..60) {
            let shifted = format!("{digits}{}e-{shift}", "0".repeat(shift));
            prop_assert_eq!(canonical(&shifted).unwrap(), canonical(&digits).unwrap());
        }
    }
}

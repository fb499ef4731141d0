//! Money: what is read is exactly what the digits say, and comes back as it is printed.

use common::money::{Amount, DECIMALS, INTEGER_DIGITS};

pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let read = Amount::parse(text);
    assert_eq!(
        read.ok().map(Amount::units),
        units(text),
        "{text:?} is read as {read:?}"
    );
    if let Ok(amount) = read {
        let printed = amount.to_string();
        assert_eq!(Amount::parse(&printed), Ok(amount), "{printed}");
        assert_eq!(Amount::from_units(amount.units()), Some(amount));
        let (_, decimals) = printed.split_once('.').expect("two decimals at least");
        assert!((2..=DECIMALS).contains(&decimals.len()), "{printed}");
    }
}

/// The ten-thousandths that a text means, by another way: its digits, moved by its exponent.
fn units(text: &str) -> Option<u64> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = text
        .split_once(['e', 'E'])
        .map_or((text, None), |(m, e)| (m, Some(e)));
    let (integer, fraction) = mantissa
        .split_once('.')
        .map_or((mantissa, None), |(i, f)| (i, Some(f)));
    let are_digits =
        |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let is_number = are_digits(integer)
        && (integer == "0" || !integer.starts_with('0'))
        && fraction.is_none_or(are_digits)
        && exponent.is_none_or(|exponent| {
            are_digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))
        });
    if !is_number {
        return None;
    }
    let fraction = fraction.unwrap_or_default();
    let digits = format!("{integer}{fraction}");
    let significant = digits.trim_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    if negative {
        return None;
    }
    // How many places the last significant digit is left of the point; beyond any amount where it does not fit.
    let trailing = i64::try_from(digits.len() - digits.trim_end_matches('0').len()).ok()?;
    let exponent: i64 = exponent.map_or(Some(0), |text| text.parse().ok())?;
    let places = exponent
        .checked_add(trailing)?
        .checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let shift = usize::try_from(places.checked_add(i64::try_from(DECIMALS).ok()?)?).ok()?;
    if significant.len() + shift > INTEGER_DIGITS + DECIMALS {
        return None;
    }
    format!("{significant}{}", "0".repeat(shift)).parse().ok()
}

use proptest::prelude::*;

use super::*;

fn printed(text: &str) -> String {
    Amount::parse(text).unwrap().to_string()
}

#[test]
fn an_amount_is_exactly_what_its_digits_say() {
    for (sent, kept) in [
        ("0", "0.00"),
        ("-0", "0.00"),
        ("0e999999999999999999999", "0.00"),
        ("0.1", "0.10"),
        ("12.5", "12.50"),
        ("12.50000000000", "12.50"),
        ("8911407.904", "8911407.904"),
        ("0.0001", "0.0001"),
        ("1.5e3", "1500.00"),
        ("15E-1", "1.50"),
        ("0.00001e1", "0.0001"),
        ("100000e-5", "1.00"),
        ("999999999999999.9999", "999999999999999.9999"),
        ("1e14", "100000000000000.00"),
    ] {
        assert_eq!(printed(sent), kept, "{sent}");
    }
}

#[test]
fn what_does_not_fit_is_refused_and_never_rounded() {
    use InvalidAmount::*;
    for (sent, error) in [
        ("0.00001", TooManyDecimals(5)),
        ("1e-5", TooManyDecimals(5)),
        ("1000000000000000", TooLarge(16)),
        ("1e15", TooLarge(16)),
        ("1e400", TooLarge(401)),
        ("-0.01", Negative),
    ] {
        assert_eq!(Amount::parse(sent), Err(error), "{sent}");
    }
    for sent in [
        "", "-", "NaN", "Infinity", "+1", ".5", "1.", "01", " 1", "1 ", "1,5", "0x10", "1e", "1e+",
        "1e1.5", "١", "1_000",
    ] {
        assert_eq!(Amount::parse(sent), Err(NotANumber), "{sent:?}");
    }
}

#[test]
fn an_average_rounds_half_to_even() {
    let average = |units, count| Total::from_units(units).average(count).map(Total::units);
    assert_eq!(average(5, 2), Some(2));
    assert_eq!(average(7, 2), Some(4));
    assert_eq!(average(10, 3), Some(3));
    assert_eq!(average(11, 3), Some(4));
    assert_eq!(average(1, 0), None);
}

#[test]
fn a_total_has_all_its_digits_however_large_it_is() {
    for (units, text) in [
        (0, "0.00"),
        (-1, "-0.0001"),
        (-100, "-0.01"),
        (i128::from(u64::MAX), "1844674407370955.1615"),
        (i128::from(u64::MAX) + 1, "1844674407370955.1616"),
        (i128::MAX, "17014118346046923173168730371588410.5727"),
        (i128::MIN, "-17014118346046923173168730371588410.5728"),
    ] {
        assert_eq!(Total::from_units(units).to_string(), text);
    }
}

#[test]
fn a_product_or_a_sum_beyond_fifteen_digits_is_none() {
    let large = Amount::parse("999999999999999").unwrap();
    assert_eq!(large.checked_mul(2), None);
    assert_eq!(large.checked_add(large), None);
    assert_eq!(
        Amount::parse("1.25")
            .unwrap()
            .checked_mul(3)
            .unwrap()
            .to_string(),
        "3.75"
    );
}

proptest! {
    #[test]
    fn a_text_has_all_digits_and_no_zeros_beyond_two_decimals(units: i128, shift in 0_u32..39) {
        let total = Total::from_units(units / 10_i128.pow(shift));
        let units = total.units();
        let one = u128::from(UNITS_PER_ONE);
        let (integer, fraction) = (units.unsigned_abs() / one, units.unsigned_abs() % one);
        let all = format!("{}{integer}.{fraction:04}", if units < 0 { "-" } else { "" });
        let (kept, cut) = all.split_at(all.len() - 2);
        prop_assert_eq!(total.to_string(), format!("{kept}{}", cut.trim_end_matches('0')));
        if let Some(amount) = u64::try_from(units).ok().and_then(Amount::from_units) {
            let mut digits = Vec::new();
            amount.write_digits(&mut digits);
            prop_assert_eq!(String::from_utf8(digits).unwrap(), total.to_string());
        }
    }

    #[test]
    fn a_plain_text_means_the_same_to_both_readers(text in "[0-9]{0,17}\\.?[0-9]{0,5}") {
        if let Some(amount) = Amount::parse_plain(text.as_bytes()) {
            prop_assert_eq!(Decimal::read(&text).and_then(|decimal| decimal.to_amount()), Ok(amount));
        }
    }

    #[test]
    fn no_amount_changes_on_the_way_through_text(units in 0..=Amount::MAX.units()) {
        let amount = Amount::from_units(units).unwrap();
        prop_assert_eq!(Amount::parse(&amount.to_string()), Ok(amount));
    }

    #[test]
    fn the_same_value_with_an_exponent_is_the_same_amount(units in 0..=Amount::MAX.units(), shift in 0_usize..20) {
        let amount = Amount::from_units(units).unwrap();
        let text = format!("{units}{}e-{}", "0".repeat(shift), shift + DECIMALS);
        prop_assert_eq!(Amount::parse(&text), Ok(amount));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,40}") {
        if let Ok(amount) = Amount::parse(&text) {
            prop_assert_eq!(Amount::parse(&amount.to_string()), Ok(amount));
        }
    }

    #[test]
    fn no_number_like_text_panics(text in "-?[0-9]{0,30}\\.?[0-9]{0,30}([eE][+-]?[0-9]{0,30})?") {
        if let Ok(amount) = Amount::parse(&text) {
            prop_assert_eq!(Amount::parse(&amount.to_string()), Ok(amount));
        }
    }
}

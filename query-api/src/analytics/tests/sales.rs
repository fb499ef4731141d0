//! Series of sales: grains, gaps, ranges, bounds.

use super::*;

proptest! {
    #[test]
    fn every_grain_adds_up_to_the_same(hours in vec((0_i64..200_000, 1_u64..5, 0_i128..1_000_000), 1..80)) {
        let mut sales = Sales::default();
        let mut rows: BTreeMap<i64, SalesRow> = BTreeMap::new();
        for (hour, order_count, units) in hours {
            rows.entry(hour).or_default().order_count += order_count;
            rows.entry(hour).or_default().amount += Total::from_units(units);
        }
        let hour = |hour: i64| Hour::of(Timestamp::from_millis(hour * 3_600_000).unwrap());
        sales.replace(&[], rows.iter().map(|(&at, row)| (hour(at), currency("USD"), *row)));
        let orders: u64 = rows.values().map(|row| row.order_count).sum();
        let amount: Total = rows.values().map(|row| row.amount).sum();
        for grain in [Grain::Day, Grain::Month, Grain::Year] {
            let series = sales.series(currency("USD"), grain, None, None, MAX_BUCKETS).unwrap();
            prop_assert_eq!(series.buckets.iter().map(|(_, row)| row.order_count).sum::<u64>(), orders);
            prop_assert_eq!(series.buckets.iter().map(|(_, row)| row.amount).sum::<Total>(), amount);
            prop_assert!(series.buckets.windows(2).all(|pair| grain.next(pair[0].0) == pair[1].0));
        }
    }
}

fn sold(order_count: u64) -> SalesRow {
    SalesRow {
        order_count,
        item_count: order_count * 2,
        amount: Total::from_units(i128::from(order_count) * 10_000),
    }
}

fn some_sales() -> Sales {
    let mut sales = Sales::default();
    let rows = [
        ("2026-01-31T22:00:00Z", 1),
        ("2026-01-31T23:00:00Z", 2),
        ("2026-04-01T00:00:00Z", 4),
    ];
    sales.replace(
        &[],
        rows.map(|(text, count)| (hour(text), currency("USD"), sold(count))),
    );
    sales
}

fn printed(series: &Series) -> Vec<(String, u64)> {
    series
        .buckets
        .iter()
        .map(|(hour, row)| (hour.start().unwrap().to_string(), row.order_count))
        .collect()
}

#[test]
fn gaps_between_sales_are_filled_with_zeros() {
    let series = some_sales()
        .series(currency("USD"), Grain::Month, None, None, MAX_BUCKETS)
        .unwrap();
    let expected = [
        ("2026-01-01", 3),
        ("2026-02-01", 0),
        ("2026-03-01", 0),
        ("2026-04-01", 4),
    ];
    assert_eq!(
        printed(&series),
        expected.map(|(day, count)| (format!("{day}T00:00:00Z"), count))
    );
    assert_eq!(series.buckets[0].1.item_count, 6);
}

#[test]
fn only_sales_within_the_range_are_counted() {
    let sales = some_sales();
    let day = |from, to| {
        let series = sales
            .series(
                currency("USD"),
                Grain::Day,
                Some(hour(from)),
                Some(hour(to)),
                MAX_BUCKETS,
            )
            .unwrap();
        printed(&series)
            .into_iter()
            .map(|(_, count)| count)
            .collect::<Vec<_>>()
    };
    assert_eq!(day("2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z"), [3]);
    assert_eq!(day("2026-01-31T00:00:00Z", "2026-01-31T23:00:00Z"), [1]);
    assert_eq!(day("2026-01-31T23:00:00Z", "2026-02-01T01:00:00Z"), [2, 0]);
    assert!(day("2026-02-01T00:00:00Z", "2026-01-01T00:00:00Z").is_empty());
}

#[test]
fn a_range_without_any_sales_is_zeros_and_without_an_end_empty() {
    let sales = Sales::default();
    let from = Some(hour("2026-01-01T00:00:00Z"));
    let series = sales
        .series(
            currency("USD"),
            Grain::Year,
            from,
            Some(hour("2028-01-01T00:00:00Z")),
            MAX_BUCKETS,
        )
        .unwrap();
    assert_eq!(series.buckets.len(), 2);
    assert!(
        sales
            .series(currency("USD"), Grain::Year, from, None, MAX_BUCKETS)
            .unwrap()
            .buckets
            .is_empty()
    );
    assert!(
        sales
            .series(currency("USD"), Grain::Hour, None, None, MAX_BUCKETS)
            .unwrap()
            .buckets
            .is_empty()
    );
}

#[test]
fn a_series_is_bounded_and_without_a_beginning_it_is_the_latest() {
    let mut sales = some_sales();
    sales.replace(
        &[],
        [(hour("2016-01-01T00:00:00Z"), currency("USD"), sold(1))],
    );
    let usd = currency("USD");
    let long = sales.series(
        usd,
        Grain::Hour,
        Some(hour("2016-01-01T00:00:00Z")),
        None,
        MAX_BUCKETS,
    );
    assert_eq!(long, Err(TooManyBuckets));
    let latest = sales
        .series(usd, Grain::Hour, None, None, MAX_BUCKETS)
        .unwrap();
    assert_eq!(latest.buckets.len(), 10_000);
    assert_eq!(latest.buckets[9_999].0, hour("2026-04-01T00:00:00Z"));
    let cut = sales
        .series(
            usd,
            Grain::Hour,
            None,
            Some(hour("2026-01-31T23:00:00Z")),
            MAX_BUCKETS,
        )
        .unwrap();
    assert_eq!(
        (cut.buckets.len(), cut.buckets[9_999].1.order_count),
        (10_000, 1)
    );
    let exact = sales
        .series(usd, Grain::Day, None, None, MAX_BUCKETS)
        .unwrap();
    assert_eq!(exact.buckets[0].0, hour("2016-01-01T00:00:00Z"));
}

#[test]
fn an_hour_that_is_replaced_forgets_what_it_was_in_every_currency() {
    let mut sales = some_sales();
    let first = hour("2026-01-31T22:00:00Z");
    sales.replace(&[first], [(first, currency("EUR"), sold(7))]);
    let count = |code| {
        let series = sales
            .series(
                currency(code),
                Grain::Hour,
                Some(first),
                Some(first.next()),
                MAX_BUCKETS,
            )
            .unwrap();
        series.buckets[0].1.order_count
    };
    assert_eq!((count("EUR"), count("USD")), (7, 0));
}

use std::collections::BTreeMap;

use num_bigint::BigInt;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;

fn currency(code: &str) -> Currency {
    Currency::parse(code).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn hour(text: &str) -> Hour {
    Hour::of(at(text))
}

fn stats(order_count: u64, units: i128) -> UserStats {
    let instant =
        |hour: u64| Timestamp::from_millis(i64::try_from(hour).unwrap() * 3_600_000).unwrap();
    UserStats {
        order_count,
        total_amount: Total::from_units(units),
        first_order_at: Timestamp::EPOCH,
        last_order_at: instant(order_count),
    }
}

fn analytics(users: &BTreeMap<String, UserStats>) -> Analytics {
    let mut builder = AnalyticsBuilder::default();
    for (user_id, stats) in users {
        builder.user(user_id, currency("USD"), *stats);
    }
    builder.build(0)
}

fn users(rows: &[(&str, u64, i128)]) -> BTreeMap<String, UserStats> {
    rows.iter()
        .map(|(user, count, units)| ((*user).to_owned(), stats(*count, *units)))
        .collect()
}

fn sigma(text: &str) -> Sigma {
    text.parse().unwrap()
}

/// x > mean + p/q × sample standard deviation, by two passes over fractions: unlike the code, which keeps running sums.
fn stands_out(values: &[i128], x: i128, (p, q): (u64, u64)) -> bool {
    let n = BigInt::from(values.len());
    let sum: BigInt = values.iter().map(|value| BigInt::from(*value)).sum();
    // Everything times n, so that the mean is whole.
    let distance = |value: i128| BigInt::from(value) * &n - &sum;
    let squares: BigInt = values.iter().map(|value| distance(*value).pow(2)).sum();
    let far =
        distance(x).pow(2) * (&n - 1) * BigInt::from(q).pow(2) > BigInt::from(p).pow(2) * squares;
    values.len() > 1 && distance(x) > BigInt::ZERO && far
}

fn expected_anomalies(users: &BTreeMap<String, UserStats>, sigma: Sigma) -> Vec<Anomaly> {
    let counts: Vec<i128> = users
        .values()
        .map(|stats| i128::from(stats.order_count))
        .collect();
    let totals: Vec<i128> = users
        .values()
        .map(|stats| stats.total_amount.units())
        .collect();
    let mut found: Vec<Anomaly> = users
        .iter()
        .map(|(user_id, stats)| Anomaly {
            user_id: user_id.as_str().into(),
            order_count: stats.order_count,
            total_amount: stats.total_amount,
            order_anomaly: stands_out(&counts, i128::from(stats.order_count), sigma.ratio()),
            spending_anomaly: stands_out(&totals, stats.total_amount.units(), sigma.ratio()),
        })
        .filter(|user| user.order_anomaly || user.spending_anomaly)
        .collect();
    found.sort_by(|a, b| {
        let (a, b) = (
            (a.order_count, a.total_amount, &b.user_id),
            (b.order_count, b.total_amount, &a.user_id),
        );
        b.cmp(&a)
    });
    found
}

fn some_stats() -> impl Strategy<Value = UserStats> {
    // Few distinct values, so that ties happen, and some that need all the bits there are.
    let units = prop_oneof![
        0_i128..50,
        0_i128..1_000_000_000,
        Just(9_999_999_999_999_999_999_i128),
        Just(i128::MAX / 1_000)
    ];
    (prop_oneof![1_u64..5, 1_u64..100_000], units).prop_map(|(count, units)| stats(count, units))
}

fn some_users(most: usize) -> impl Strategy<Value = BTreeMap<String, UserStats>> {
    btree_map("[a-e]{1,3}", some_stats(), 0..most)
}

fn some_sigma() -> impl Strategy<Value = Sigma> {
    prop_oneof![
        Just("0".to_owned()),
        Just("2".to_owned()),
        (0_u32..3, 0_u32..10_000).prop_map(|(a, b)| format!("{a}.{b:04}"))
    ]
    .prop_map(|text| sigma(&text))
}

proptest! {
    #[test]
    fn anomalies_are_those_that_the_definition_names(users in some_users(60), sigma in some_sigma(), limit in 0_usize..70) {
        let expected = expected_anomalies(&users, sigma);
        let found = analytics(&users).anomalies(currency("USD"), sigma, limit);
        prop_assert_eq!(found.count, expected.len());
        prop_assert_eq!(found.users, &expected[..limit.min(expected.len())]);
    }

    /// Wherever the values lie on the line, the decision at the threshold itself is the definition's.
    #[test]
    fn a_user_exactly_at_the_threshold_is_decided_by_the_definition(
        values in vec(0_i128..20, 2..12), p in 0_u32..40_000,
    ) {
        let sigma = sigma(&format!("{}.{:04}", p / 10_000, p % 10_000));
        let mut moments = moments::Moments::default();
        values.iter().for_each(|value| moments.add(*value));
        let least = moments.least_above(sigma).unwrap();
        for x in -1..60 {
            prop_assert_eq!(x >= least, stands_out(&values, x, sigma.ratio()), "{} of {:?}", x, values);
        }
    }

    /// Advancing step by step ends where loading everything at once does.
    #[test]
    fn advancing_equals_loading(steps in vec(("[a-d]{1,2}", prop::option::of(some_stats()), any::<bool>()), 0..60)) {
        let mut advanced = Analytics::default();
        let mut now: BTreeMap<String, StatsByCurrency> = BTreeMap::new();
        for (user_id, stats, two) in steps {
            let codes = if two { &["EUR", "USD"][..] } else { &["USD"] };
            let rows: StatsByCurrency = stats.map(|stats| codes.iter().map(|code| (currency(code), stats)).collect()).unwrap_or_default();
            advanced.replace_user(&user_id, rows.clone());
            now.insert(user_id, rows);
        }
        let mut builder = AnalyticsBuilder::default();
        for (user_id, rows) in &now {
            rows.iter().for_each(|(currency, stats)| builder.user(user_id, *currency, *stats));
        }
        let loaded = builder.build(0);
        prop_assert_eq!(advanced.summary(), loaded.summary());
        for code in ["EUR", "USD"].map(currency) {
            for by in [By::Amount, By::Orders] {
                prop_assert_eq!(advanced.top(code, by, 100), loaded.top(code, by, 100));
            }
            prop_assert_eq!(advanced.anomalies(code, sigma("1"), 100), loaded.anomalies(code, sigma("1"), 100));
        }
        prop_assert!(now.keys().all(|user| advanced.user(user) == loaded.user(user)));
    }

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
            let series = sales.series(currency("USD"), grain, None, None).unwrap();
            prop_assert_eq!(series.buckets.iter().map(|(_, row)| row.order_count).sum::<u64>(), orders);
            prop_assert_eq!(series.buckets.iter().map(|(_, row)| row.amount).sum::<Total>(), amount);
            prop_assert!(series.buckets.windows(2).all(|pair| grain.next(pair[0].0) == pair[1].0));
        }
    }
}

#[test]
fn equal_users_are_ranked_by_their_ids() {
    let analytics = analytics(&users(&[
        ("b", 2, 70),
        ("a", 2, 70),
        ("c", 3, 70),
        ("B", 1, 90),
    ]));
    let ids = |by| {
        analytics
            .top(currency("USD"), by, 3)
            .iter()
            .map(|user| user.user_id.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(By::Amount), ["B", "a", "b"]);
    assert_eq!(ids(By::Orders), ["c", "a", "b"]);
    assert_eq!(analytics.top(currency("EUR"), By::Orders, 3), []);
}

#[test]
fn fewer_than_two_users_or_equal_ones_have_no_anomalies() {
    for rows in [&[][..], &[("a", 5, 5)], &[("a", 5, 5), ("b", 5, 5)]] {
        for text in ["0", "2"] {
            let found = analytics(&users(rows)).anomalies(currency("USD"), sigma(text), 10);
            assert_eq!(found, Anomalies::default(), "{rows:?} {text}");
        }
    }
}

#[test]
fn exactly_on_the_threshold_is_not_above_it() {
    // Of 0, 0 and 3 the mean is 1 and the sample deviation √3; of 1 and 3 they are 2 and √2.
    let three = analytics(&users(&[("a", 1, 0), ("b", 1, 0), ("c", 1, 3)]));
    let one = |text| three.anomalies(currency("USD"), sigma(text), 10).count;
    assert_eq!((one("1.1547"), one("1.1548")), (1, 0));
    // Of 2, 4, 4, 4, 5, 5, 7, 9 the mean is 5; with 0, 0, 0, 4 it is 1 and the deviation exactly 2: 4 is 1.5 away.
    let even = analytics(&users(&[
        ("a", 1, 0),
        ("b", 1, 0),
        ("c", 1, 0),
        ("d", 1, 4),
    ]));
    assert_eq!(even.anomalies(currency("USD"), sigma("1.5"), 10).count, 0);
    assert_eq!(
        even.anomalies(currency("USD"), sigma("1.4999"), 10).count,
        1
    );
}

#[test]
fn the_last_order_goes_back_when_a_repair_takes_it_away() {
    let mut analytics = analytics(&users(&[("a", 5, 1), ("b", 9, 1)]));
    assert_eq!(
        analytics.summary().last_order_at,
        Some(at("1970-01-01T09:00:00Z"))
    );
    analytics.replace_user("b", Vec::new());
    assert_eq!(
        analytics.summary().last_order_at,
        Some(at("1970-01-01T05:00:00Z"))
    );
    analytics.replace_user("a", Vec::new());
    assert_eq!(analytics.summary().last_order_at, None);
    assert_eq!(analytics.summary().user_count, 0);
}

#[test]
fn the_currency_of_an_answer_is_the_default_if_it_has_orders_else_the_busiest() {
    let mut analytics = Analytics::default();
    assert_eq!(analytics.currency_or(currency("USD")), currency("USD"));
    analytics.replace_user(
        "a",
        vec![
            (currency("SEK"), stats(2, 1)),
            (currency("GBP"), stats(2, 1)),
        ],
    );
    assert_eq!(analytics.currency_or(currency("USD")), currency("GBP"));
    analytics.replace_user("b", vec![(currency("SEK"), stats(1, 1))]);
    assert_eq!(analytics.currency_or(currency("USD")), currency("SEK"));
    analytics.replace_user("c", vec![(currency("USD"), stats(1, 1))]);
    assert_eq!(analytics.currency_or(currency("USD")), currency("USD"));
}

#[test]
fn the_most_active_users_come_from_all_currencies_once() {
    let mut analytics = Analytics::default();
    analytics.replace_user(
        "both",
        vec![
            (currency("EUR"), stats(8, 1)),
            (currency("USD"), stats(9, 1)),
        ],
    );
    analytics.replace_user("eur", vec![(currency("EUR"), stats(7, 1))]);
    analytics.replace_user("usd", vec![(currency("USD"), stats(6, 1))]);
    let most: Vec<_> = analytics
        .most_active(2)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(most, ["both", "eur"]);
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
        .series(currency("USD"), Grain::Month, None, None)
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
        )
        .unwrap();
    assert_eq!(series.buckets.len(), 2);
    assert!(
        sales
            .series(currency("USD"), Grain::Year, from, None)
            .unwrap()
            .buckets
            .is_empty()
    );
    assert!(
        sales
            .series(currency("USD"), Grain::Hour, None, None)
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
    let long = sales.series(usd, Grain::Hour, Some(hour("2016-01-01T00:00:00Z")), None);
    assert_eq!(long, Err(TooManyBuckets));
    let latest = sales.series(usd, Grain::Hour, None, None).unwrap();
    assert_eq!(latest.buckets.len(), 10_000);
    assert_eq!(latest.buckets[9_999].0, hour("2026-04-01T00:00:00Z"));
    let cut = sales
        .series(usd, Grain::Hour, None, Some(hour("2026-01-31T23:00:00Z")))
        .unwrap();
    assert_eq!(
        (cut.buckets.len(), cut.buckets[9_999].1.order_count),
        (10_000, 1)
    );
    let exact = sales.series(usd, Grain::Day, None, None).unwrap();
    assert_eq!(exact.buckets[0].0, hour("2016-01-01T00:00:00Z"));
}

#[test]
fn an_hour_that_is_replaced_forgets_what_it_was_in_every_currency() {
    let mut sales = some_sales();
    let first = hour("2026-01-31T22:00:00Z");
    sales.replace(&[first], [(first, currency("EUR"), sold(7))]);
    let count = |code| {
        let series = sales
            .series(currency(code), Grain::Hour, Some(first), Some(first.next()))
            .unwrap();
        series.buckets[0].1.order_count
    };
    assert_eq!((count("EUR"), count("USD")), (7, 0));
}

#[test]
fn a_sigma_is_a_decimal_from_0_to_100() {
    for (text, shown) in [
        ("2", "2"),
        ("2.50", "2.5"),
        ("0", "0"),
        ("100", "100"),
        ("0.0001", "0.0001"),
        ("10", "10"),
    ] {
        assert_eq!(sigma(text).to_string(), shown);
    }
    for bad in ["", "-1", "100.0001", "0.00001", "NaN", "two", "1e9"] {
        assert_eq!(bad.parse::<Sigma>(), Err(InvalidSigma), "{bad}");
    }
}

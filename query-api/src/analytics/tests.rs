//! Totals, rankings and how they advance; anomalies and sales have files of their own.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;

mod anomalies;
mod sales;

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

proptest! {
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

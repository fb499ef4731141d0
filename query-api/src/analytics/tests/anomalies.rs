//! Anomalies against their definition, worked out by other arithmetic.

use num_bigint::BigInt;

use super::*;

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

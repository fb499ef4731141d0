use std::sync::Arc;

use common::money::Total;
use common::time::Timestamp;

use super::*;
use crate::analytics::{By, Grain, Hour, Ranked, SalesRow, Series};

fn currency() -> Currency {
    Currency::parse("EUR").unwrap()
}

fn series(amounts: &[i128]) -> Series {
    let first = Hour::of(Timestamp::parse("2026-01-01T00:00:00Z").unwrap());
    let mut hour = first;
    let bucket = |&units: &i128| {
        let this = hour;
        hour = hour.next();
        let row = SalesRow {
            order_count: 1,
            item_count: 1,
            amount: Total::from_units(units),
        };
        (this, row)
    };
    let buckets: Vec<_> = amounts.iter().map(bucket).collect();
    Series {
        from: Some(first),
        to: Some(hour),
        buckets,
    }
}

fn text(svg: Vec<u8>) -> String {
    String::from_utf8(svg).unwrap()
}

/// Every number of every attribute lies in the picture: nothing is drawn beyond it, and nothing is not a number.
fn assert_is_within(svg: &str, limit: f64) {
    for name in [" x=\"", " y=\"", " width=\"", " height=\""] {
        for value in svg.split(name).skip(1) {
            let value = value.split('"').next().unwrap();
            let number: f64 = value.parse().unwrap();
            assert!((0.0..=limit).contains(&number), "{name}{value}\" in {svg}");
        }
    }
}

#[test]
fn whatever_the_values_are_the_picture_holds_them() {
    let extremes = [0, 1, 9_999, 10_000, 123_456_789, i128::MAX / 1_000];
    for size in [Size::Wide, Size::Narrow] {
        for largest in extremes {
            for buckets in [1, 2, 60, 400, 401] {
                let svg = sales::draw(
                    currency(),
                    Grain::Hour,
                    &series(&vec![largest; buckets]),
                    size,
                );
                assert_is_within(&text(svg), 880.0);
            }
            let user = |total_amount| Ranked {
                user_id: Arc::from("u"),
                order_count: u64::MAX,
                total_amount: Total::from_units(total_amount),
            };
            for by in [By::Amount, By::Orders] {
                let svg = top_users::draw(currency(), by, &[user(largest), user(0)], size);
                assert_is_within(&text(svg), 880.0);
            }
        }
    }
}

#[test]
fn a_bar_is_as_long_as_its_share() {
    let svg = text(sales::draw(
        currency(),
        Grain::Hour,
        &series(&[100_000, 50_000]),
        Size::Wide,
    ));
    let heights: Vec<f64> = svg
        .split("<rect class=\"bar\"")
        .skip(1)
        .map(|bar| {
            bar.split(" height=\"")
                .nth(1)
                .unwrap()
                .split('"')
                .next()
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect();
    assert_eq!(heights.len(), 2);
    assert!((heights[0] - 2.0 * heights[1]).abs() < 0.2, "{heights:?}");
}

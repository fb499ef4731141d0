//! What the query API must answer, worked out from the test's own ledger.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use serde_json::{Value, json};

use crate::ledger::{Ledger, UserLine};
use crate::orders::{TestOrder, canonical_time};
use crate::{Trio, units};

mod sales;

/// Answers of one list that are compared.
const LIMIT: usize = 10;

/// Compares every aggregate that the API gives with the ledger's, and each of `orders` with what it was.
///
/// # Errors
/// An answer was not a 200, or is of no known shape.
///
/// # Panics
/// An answer differs.
pub async fn assert_equal(
    trio: &Trio,
    ledger: &Ledger,
    orders: &[TestOrder],
) -> anyhow::Result<()> {
    summary(trio, ledger).await?;
    users(trio, ledger).await?;
    for currency in ledger.currencies() {
        tops(trio, ledger, currency).await?;
        anomalies(trio, ledger, currency).await?;
        sales::assert_equal(trio, ledger, currency).await?;
    }
    for order in orders {
        let path = format!("/orders/{}", order.order_id);
        assert_eq!(
            trio.ask(&path).await?,
            order.canonical,
            "{path} of {}",
            order.body
        );
    }
    Ok(())
}

/// Asserts that `answer` has everything that `expected` has; more fields are welcome.
#[track_caller]
fn assert_holds(path: &str, answer: &Value, expected: &Value) {
    assert!(
        holds(answer, expected),
        "GET {path}\nanswered {answer}\nexpected {expected}"
    );
}

fn holds(answer: &Value, expected: &Value) -> bool {
    match (answer, expected) {
        (Value::Object(answer), Value::Object(expected)) => expected
            .iter()
            .all(|(name, value)| answer.get(name).is_some_and(|found| holds(found, value))),
        (Value::Array(answer), Value::Array(expected)) => {
            answer.len() == expected.len()
                && answer
                    .iter()
                    .zip(expected)
                    .all(|(found, value)| holds(found, value))
        }
        _ => answer == expected,
    }
}

/// The order of the currencies in an answer is not promised.
fn by_currency(mut answer: Value) -> Value {
    if let Some(currencies) = answer["currencies"].as_array_mut() {
        currencies.sort_by_key(|line| line["currency"].to_string());
    }
    answer
}

async fn summary(trio: &Trio, ledger: &Ledger) -> anyhow::Result<()> {
    let currencies = ledger.currencies().into_iter().map(|currency| {
        let lines: Vec<&UserLine> = ledger.users_of(currency).map(|(_, line)| line).collect();
        json!({
            "currency": currency,
            "order_count": count(lines.iter().map(|line| line.order_count).sum()),
            "user_count": lines.len(),
            "total_amount": units::print(lines.iter().map(|line| line.total_amount).sum()),
        })
    });
    let users: BTreeSet<&str> = ledger.users.keys().map(|(_, user)| user.as_str()).collect();
    let last = ledger
        .users
        .values()
        .map(|line| line.last_order_at)
        .max()
        .context("there are orders")?;
    let expected = json!({
        "order_count": count(ledger.users.values().map(|line| line.order_count).sum()),
        "user_count": users.len(),
        "last_order_at": canonical_time(last),
        "currencies": currencies.collect::<Vec<_>>(),
    });
    assert_holds(
        "/summary",
        &by_currency(trio.ask("/summary").await?),
        &expected,
    );
    Ok(())
}

async fn users(trio: &Trio, ledger: &Ledger) -> anyhow::Result<()> {
    let mut users: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for ((currency, user), line) in &ledger.users {
        users.entry(user).or_default().push(json!({
            "currency": currency,
            "order_count": count(line.order_count),
            "total_amount": units::print(line.total_amount),
            "average_amount": units::print(half_even(line.total_amount, line.order_count)),
            "first_order_at": canonical_time(line.first_order_at),
            "last_order_at": canonical_time(line.last_order_at),
        }));
    }
    for (user, currencies) in users {
        let path = format!("/users/{user}");
        let answer = by_currency(trio.ask(&path).await?);
        assert_holds(
            &path,
            &answer,
            &json!({"user_id": user, "currencies": currencies}),
        );
    }
    Ok(())
}

fn half_even(total: i128, count: i128) -> i128 {
    let (quotient, twice) = (total / count, total % count * 2);
    let up = twice > count || (twice == count && quotient % 2 == 1);
    quotient + i128::from(up)
}

async fn tops(trio: &Trio, ledger: &Ledger, currency: &str) -> anyhow::Result<()> {
    for by in ["amount", "orders"] {
        let mut users: Vec<(&str, &UserLine)> = ledger.users_of(currency).collect();
        users.sort_by_key(|(user, line)| {
            (
                Reverse(if by == "amount" {
                    line.total_amount
                } else {
                    line.order_count
                }),
                *user,
            )
        });
        let users: Vec<Value> = users
            .iter()
            .take(LIMIT)
            .map(|(user, line)| user_line(user, line))
            .collect();
        let path = format!("/users/top?by={by}&currency={currency}&limit={LIMIT}");
        assert_holds(
            &path,
            &trio.ask(&path).await?,
            &json!({"currency": currency, "by": by, "users": users}),
        );
    }
    Ok(())
}

fn user_line(user: &str, line: &UserLine) -> Value {
    json!({
        "user_id": user,
        "order_count": count(line.order_count),
        "total_amount": units::print(line.total_amount),
    })
}

async fn anomalies(trio: &Trio, ledger: &Ledger, currency: &str) -> anyhow::Result<()> {
    let users: Vec<(&str, &UserLine)> = ledger.users_of(currency).collect();
    let unusual_count = beyond_two_sigma(users.iter().map(|(_, line)| line.order_count).collect());
    let unusual_amount =
        beyond_two_sigma(users.iter().map(|(_, line)| line.total_amount).collect());
    let mut found: Vec<(&str, &UserLine, bool, bool)> = users
        .into_iter()
        .map(|(user, line)| {
            (
                user,
                line,
                unusual_count(line.order_count),
                unusual_amount(line.total_amount),
            )
        })
        .filter(|(_, _, count, amount)| *count || *amount)
        .collect();
    found.sort_by_key(|(user, line, ..)| {
        (Reverse(line.order_count), Reverse(line.total_amount), *user)
    });
    let lines = found.iter().map(|(user, line, count, amount)| {
        let mut anomaly = user_line(user, line);
        anomaly["order_anomaly"] = json!(count);
        anomaly["spending_anomaly"] = json!(amount);
        anomaly
    });
    let expected =
        json!({"currency": currency, "count": found.len(), "users": lines.collect::<Vec<_>>()});
    let path = format!("/users/anomalies?sigma=2&currency={currency}");
    assert_holds(&path, &trio.ask(&path).await?, &expected);
    Ok(())
}

/// Whether a value lies beyond mean + 2 × sample standard deviation: x > m + 2s, squared and freed of fractions.
fn beyond_two_sigma(values: Vec<i128>) -> impl Fn(i128) -> bool {
    let count = i128::try_from(values.len()).expect("few users");
    let sum: i128 = values.iter().sum();
    let squares: i128 = values.iter().map(|value| value * value).sum();
    move |value| {
        let above = count * value - sum;
        count > 1
            && above > 0
            && above * above * (count - 1) > 4 * count * (count * squares - sum * sum)
    }
}

fn count(count: i128) -> u64 {
    u64::try_from(count).expect("a count")
}

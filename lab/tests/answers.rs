//! A comparison that cannot fail proves nothing: real answers are held here against books in which one thing is wrong, and
//! the answer that gives it away has to be named.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use lab::ledger::{HourLine, Ledger, UserLine};
use lab::orders::{Orders, TestOrder};
use lab::{Trio, answers};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);

/// What the comparison says; empty if it is content.
async fn verdict(trio: &Trio, ledger: &Ledger, orders: &[TestOrder]) -> String {
    let compared = AssertUnwindSafe(answers::assert_equal(trio, ledger, orders)).catch_unwind();
    match compared.await {
        Ok(Ok(())) => String::new(),
        Ok(Err(error)) => format!("{error:#}"),
        Err(panic) => panic
            .downcast_ref::<String>()
            .expect("it panics with words")
            .clone(),
    }
}

fn with_user(ledger: &Ledger, alter: impl Fn(&mut UserLine)) -> Ledger {
    let mut ledger = ledger.clone();
    alter(ledger.users.values_mut().next().expect("there are users"));
    ledger
}

fn with_hour(ledger: &Ledger, alter: impl Fn(&mut HourLine)) -> Ledger {
    let mut ledger = ledger.clone();
    alter(ledger.hours.values_mut().next().expect("there are hours"));
    ledger
}

#[tokio::test]
async fn every_answer_that_differs_from_the_books_is_named() -> anyhow::Result<()> {
    let trio = Trio::start().await?;
    let orders: Vec<TestOrder> = Orders::seeded(21).take(60).collect();
    for order in &orders {
        assert_eq!(trio.post(&order.body).await?.status, 202);
    }
    trio.quiet(PATIENCE).await?;
    let right = Ledger::of(&orders);
    assert_eq!(verdict(&trio, &right, &orders).await, "");

    // An order that is in the books, and in the answers not yet: a stale one.
    let one_more = Ledger::of(&Orders::seeded(21).take(61).collect::<Vec<_>>());
    assert!(
        verdict(&trio, &one_more, &orders)
            .await
            .contains("/summary")
    );
    // Counted twice, a wrong sum, a wrong time.
    for wrong in [
        with_user(&right, |line| line.order_count -= 1),
        with_user(&right, |line| line.total_amount += 1),
    ] {
        assert!(verdict(&trio, &wrong, &orders).await.contains("/summary"));
    }
    let earlier = chrono::TimeDelta::microseconds(1);
    let wrong = with_user(&right, |line| line.first_order_at -= earlier);
    assert!(verdict(&trio, &wrong, &orders).await.contains("/users/"));
    for wrong in [
        with_hour(&right, |line| line.order_count += 1),
        with_hour(&right, |line| line.item_count += 1),
        with_hour(&right, |line| line.amount -= 1),
    ] {
        assert!(
            verdict(&trio, &wrong, &orders)
                .await
                .contains("/sales?grain=")
        );
    }
    // An order with other content.
    let mut altered = orders.clone();
    altered[59].canonical["track_number"] = json!("ANOTHER");
    let path = format!("/orders/{}", altered[59].order_id);
    assert!(verdict(&trio, &right, &altered).await.contains(&path));
    Ok(())
}

//! Orders in, exact totals out.

use anyhow::{Context, ensure};
use lab::check::Expected;
use lab::ledger::Ledger;
use lab::orders::{self, Orders, TestOrder};
use lab::{Trio, answers};
use serde_json::{Value, json};

use crate::PATIENCE;

const ENDPOINTS: [&str; 3] = ["/orders", "/order", "/api/orders"];

async fn post_one_by_one(trio: &Trio, orders: &[TestOrder]) -> anyhow::Result<()> {
    for (order, path) in orders.iter().zip(ENDPOINTS.iter().cycle()) {
        let answer = trio
            .http
            .post_json(&trio.producer.url(path), &order.body)
            .await?;
        ensure!(
            answer.status == 202,
            "{}: {} {}",
            order.body,
            answer.status,
            answer.text()
        );
        let receipt = answer.json()?;
        ensure!(
            receipt["order_id"] == json!(order.order_id) && receipt["status"] == json!("accepted"),
            "{receipt}"
        );
    }
    Ok(())
}

async fn post_together(trio: &Trio, orders: &[TestOrder]) -> anyhow::Result<()> {
    let bodies: Vec<&Value> = orders.iter().map(|order| &order.body).collect();
    let answer = trio
        .http
        .post_json(&trio.producer.url("/orders/batch"), &bodies)
        .await?;
    ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
    ensure!(
        answer.json()?["accepted"] == json!(orders.len()),
        "{}",
        answer.text()
    );
    Ok(())
}

async fn load(trio: &Trio, orders: &[TestOrder]) -> anyhow::Result<()> {
    trio.load(&orders::file(orders)?)
        .await?
        .accepted_all(orders.len())
}

#[tokio::test]
async fn orders_that_are_posted_and_loaded_come_out_of_every_answer_with_exact_totals()
-> anyhow::Result<()> {
    let trio = Trio::start().await?;
    let orders: Vec<TestOrder> = Orders::seeded(1).take(600).collect();
    post_one_by_one(&trio, &orders[..100]).await?;
    post_together(&trio, &orders[100..200]).await?;
    load(&trio, &orders[200..]).await?;
    trio.quiet(PATIENCE).await?;
    answers::assert_equal(&trio, &Ledger::of(&orders), &orders).await?;
    trio.scene()
        .assert_clean(&Expected::acknowledged(orders))
        .await
}

#[tokio::test]
async fn orders_that_are_posted_while_a_file_is_loaded_are_all_counted() -> anyhow::Result<()> {
    let trio = Trio::start().await?;
    let loaded: Vec<TestOrder> = Orders::seeded(6).of_users(300).take(20_000).collect();
    let posted: Vec<TestOrder> = Orders::seeded(7).take(400).collect();
    let loading = trio.loading(&orders::file(&loaded)?, &[]);
    let (first, second) = posted.split_at(posted.len() / 2);
    let (one_by_one, together) = tokio::join!(post_one_by_one(&trio, first), async {
        for some in second.chunks(20) {
            post_together(&trio, some).await?;
        }
        anyhow::Ok(())
    });
    one_by_one?;
    together?;
    loading.await??.accepted_all(loaded.len())?;
    trio.quiet(PATIENCE).await?;
    let orders: Vec<TestOrder> = loaded.into_iter().chain(posted).collect();
    answers::assert_equal(&trio, &Ledger::of(&orders), &orders[20_000..]).await?;
    trio.scene()
        .assert_clean(&Expected::acknowledged(orders))
        .await
}

#[tokio::test]
async fn the_same_file_twice_changes_nothing() -> anyhow::Result<()> {
    let trio = Trio::start().await?;
    let mut orders: Vec<TestOrder> = Orders::seeded(3).take(500).collect();
    // An order that names no id is known by its place in the file.
    for order in &mut orders[..10] {
        let body = order.body.as_object_mut().context("an object")?;
        body.retain(|name, _| {
            !["order_id", "order_uid", "event_id", "id"].contains(&name.as_str())
        });
    }
    let file = orders::file(&orders)?;
    let questions = [
        "/summary",
        "/users/top?currency=USD&limit=1000",
        "/users/anomalies?currency=USD",
        "/sales?grain=month&currency=EUR",
        "/sales?grain=day&currency=USD&from=2024-01-01&to=2026-01-01",
        "/orders?limit=500",
    ];
    let mut before = Vec::new();
    for round in 1..=3 {
        trio.load(&file).await?.accepted_all(orders.len())?;
        trio.quiet(PATIENCE).await?;
        let mut now = Vec::new();
        for question in questions {
            now.push((question, trio.ask(question).await?));
        }
        ensure!(
            now[0].1["order_count"] == json!(500),
            "round {round}: {}",
            now[0].1
        );
        if round > 1 {
            assert_eq!(now, before, "round {round}");
        }
        before = now;
    }
    trio.scene().assert_consistent().await
}

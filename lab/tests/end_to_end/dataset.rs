//! A year of a real shop's orders, where the data set lies beside the clone, against figures that were computed from it by
//! others. Where it does not, this says so; the other tests make the same checks on generated orders.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, ensure};
use lab::{Trio, units};
use serde_json::{Value, json};

use crate::PATIENCE;

const ORDERS: usize = 18_532;

fn beside_the_clone(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data")
        .join(name)
}

/// Amounts are compared as numbers of ten-thousandths: the truth writes them with fewer zeros.
fn amount(value: &Value) -> anyhow::Result<i128> {
    units::parse(
        value
            .as_str()
            .with_context(|| format!("{value} is no amount"))?,
    )
}

async fn assert_truth(trio: &Trio, truth: &Value) -> anyhow::Result<()> {
    let summary = trio.ask("/summary").await?;
    assert_eq!(summary["order_count"], truth["orders"], "{summary}");
    assert_eq!(summary["user_count"], truth["users"], "{summary}");
    assert_eq!(summary["dead_letter_count"], json!(0), "{summary}");
    assert_eq!(summary["last_order_at"], truth["last"], "{summary}");
    let [line] = summary["currencies"]
        .as_array()
        .context("currencies")?
        .as_slice()
    else {
        anyhow::bail!("more than one currency: {summary}");
    };
    assert_eq!(line["currency"], truth["currency"]);
    assert_eq!(amount(&line["total_amount"])?, amount(&truth["amount"])?);
    for (by, list) in [("amount", "top10_by_amount"), ("orders", "top10_by_orders")] {
        let top = trio.ask(&format!("/users/top?by={by}&limit=10")).await?;
        assert_same_users(&top["users"], &truth[list], "orders", "amount")?;
    }
    assert_months(trio, truth).await?;
    assert_anomalies(trio, &truth["anomalies_sigma_2"]).await
}

fn assert_same_users(
    answer: &Value,
    truth: &Value,
    count: &str,
    total: &str,
) -> anyhow::Result<()> {
    let (answer, truth) = (
        answer.as_array().context("users")?,
        truth.as_array().context("users")?,
    );
    ensure!(answer.len() >= truth.len(), "{} users", answer.len());
    for (user, truth) in answer.iter().zip(truth) {
        assert_eq!(user["user_id"], truth["user_id"]);
        assert_eq!(user["order_count"], truth[count], "{user}");
        assert_eq!(
            amount(&user["total_amount"])?,
            amount(&truth[total])?,
            "{user}"
        );
        for kind in ["order_anomaly", "spending_anomaly"] {
            if let Some(expected) = truth.get(kind) {
                assert_eq!(&user[kind], expected, "{user}");
            }
        }
    }
    Ok(())
}

async fn assert_months(trio: &Trio, truth: &Value) -> anyhow::Result<()> {
    let sales = trio
        .ask("/sales?grain=month&from=2010-12-01&to=2012-01-01")
        .await?;
    let (buckets, months) = (sales["buckets"].as_array(), truth["by_month"].as_array());
    let (buckets, months) = (buckets.context("buckets")?, months.context("months")?);
    assert_eq!(buckets.len(), months.len());
    let mut items = 0;
    for (bucket, month) in buckets.iter().zip(months) {
        let start = format!(
            "{}-01T00:00:00Z",
            month["month"].as_str().context("a month")?
        );
        assert_eq!(bucket["bucket"], json!(start));
        assert_eq!(bucket["order_count"], month["orders"], "{bucket}");
        assert_eq!(
            amount(&bucket["amount"])?,
            amount(&month["amount"])?,
            "{bucket}"
        );
        items += bucket["item_count"].as_u64().context("items")?;
    }
    assert_eq!(json!(items), truth["items"]);
    Ok(())
}

async fn assert_anomalies(trio: &Trio, truth: &Value) -> anyhow::Result<()> {
    let anomalies = trio.ask("/users/anomalies?sigma=2").await?;
    assert_eq!(anomalies["count"], truth["users"]);
    let users = anomalies["users"].as_array().context("users")?;
    for kind in ["order_anomaly", "spending_anomaly"] {
        let count = users
            .iter()
            .filter(|user| user[kind] == json!(true))
            .count();
        assert_eq!(
            json!(count),
            truth[kind.replace("anomaly", "anomalies")],
            "{kind}"
        );
    }
    assert_same_users(
        &anomalies["users"],
        &truth["first_ten_by_orders"],
        "order_count",
        "total_amount",
    )
}

#[tokio::test]
async fn a_year_of_a_shops_orders_equals_the_published_figures_and_does_so_when_loaded_twice()
-> anyhow::Result<()> {
    let file = beside_the_clone("online-retail.ndjson.xz");
    if !file.is_file() {
        println!(
            "{} is not there: only generated orders are checked",
            file.display()
        );
        return Ok(());
    }
    let truth: Value = serde_json::from_slice(&std::fs::read(beside_the_clone(
        "online-retail.truth.json",
    ))?)?;
    let trio = Trio::plan().consumers(1).start().await?;
    for round in ["first", "second"] {
        let start = Instant::now();
        trio.load(&file).await?.accepted_all(ORDERS)?;
        trio.quiet(PATIENCE).await?;
        println!(
            "{round} load: {:.1} s from the loader's start until all is in every answer",
            start.elapsed().as_secs_f64()
        );
        assert_truth(&trio, &truth).await?;
    }
    trio.scene().assert_consistent().await
}

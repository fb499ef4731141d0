//! How fast answers come from memory: against a bare handler that always answers the same number of bytes.

use std::time::Duration;

use anyhow::ensure;
use lab::orders::{self, Orders, TestOrder};
use lab::{Program, Trio, free_address};

use crate::memory::Peaks;
use crate::report::{Figure, Pair};
use crate::wrk;

const REPEATS: usize = 3;
const CONNECTIONS: usize = 64;
const RUN: Duration = Duration::from_secs(6);
const PATIENCE: Duration = Duration::from_secs(60);
const ORDERS: usize = 1_000;

/// `read`.
///
/// # Errors
/// Something did not run.
pub async fn orders(peaks: &mut Peaks) -> anyhow::Result<Vec<Figure>> {
    let trio = Trio::start().await?;
    let orders: Vec<TestOrder> = Orders::seeded(1).take(ORDERS).collect();
    trio.load(&orders::file(&orders)?)
        .await?
        .accepted_all(ORDERS)?;
    trio.quiet(PATIENCE).await?;
    let paths: Vec<String> = orders
        .iter()
        .map(|order| format!("/orders/{}", order.order_id))
        .collect();
    let mut bytes = 0;
    for path in &paths {
        let answer = trio.http.get(&trio.query_api.url(path)).await?;
        ensure!(answer.status == 200, "{path}: {}", answer.status);
        bytes += answer.body.len();
    }
    let address = free_address();
    let mut constant = Program::named("stand-in")
        .argument("constant")
        .argument((bytes / paths.len()).to_string())
        .set("STAND_IN_ADDRESS", address)
        .serve("stand-in", address)?;
    constant.ready().await;
    let mut pairs = Vec::new();
    for _ in 0..REPEATS {
        let mut rates = [0.0; 2];
        for (rate, server) in rates.iter_mut().zip([&trio.query_api, &constant]) {
            *rate = wrk::run(&server.url(""), CONNECTIONS, RUN, wrk::GET, &paths)
                .await?
                .requests_per_second;
        }
        let [value, baseline] = rates;
        pairs.push(Pair { value, baseline });
    }
    peaks.note(&trio.query_api)?;
    constant.stop_within(PATIENCE).await?;
    Ok(vec![Figure::rate("read", "requests/s", &pairs, 0.85)])
}

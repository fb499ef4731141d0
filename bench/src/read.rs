//! How fast answers come from memory: against a bare handler that always answers the same number of bytes.

use std::time::Duration;

use anyhow::ensure;
use lab::orders::{self, Orders, TestOrder};
use lab::{Answer, Program, Trio, free_address};

use crate::memory::Peaks;
use crate::report::{Figure, Pair};
use crate::wrk::{self, Requests};

/// Many and short: what else this machine does comes and goes within seconds, and is to meet both sides alike.
const REPEATS: usize = 15;
const RUN: Duration = Duration::from_secs(2);
pub(crate) const CONNECTIONS: usize = 64;
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
    let figure = against_constant(&trio, "read", &paths).await?;
    peaks.note(&trio.query_api)?;
    Ok(vec![figure])
}

/// What a bare handler sends of these headers, too.
const BARE_HEADERS: [&str; 3] = ["content-length", "content-type", "date"];

/// The bytes of the headers that a bare handler does not send.
fn more_head(answer: &Answer) -> usize {
    let headers = answer.headers.iter();
    let more = headers.filter(|(name, _)| !BARE_HEADERS.contains(&name.as_str()));
    more.map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len())
        .sum()
}

/// Answers from memory over a bare handler's that are as long in the mean, head and body.
///
/// # Errors
/// An answer was none, or something did not run.
pub(crate) async fn against_constant(
    trio: &Trio,
    name: &str,
    paths: &[String],
) -> anyhow::Result<Figure> {
    let mut bytes = 0;
    for path in paths {
        let answer = trio.http.get(&trio.query_api.url(path)).await?;
        ensure!(answer.status == 200, "{path}: {}", answer.status);
        bytes += answer.body.len() + more_head(&answer);
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
            *rate = wrk::run(&server.url(""), CONNECTIONS, RUN, Requests::Paths(paths))
                .await?
                .requests_per_second;
        }
        let [value, baseline] = rates;
        pairs.push(Pair { value, baseline });
    }
    constant.stop_within(PATIENCE).await?;
    Ok(Figure::rate(name, "requests/s", &pairs, 0.85))
}

//! A service that is asked to stop finishes what it has begun, and says so with its exit code.

use std::time::Duration;

use anyhow::{Context, ensure};
use lab::check::Expected;
use lab::orders::{self, Orders, TestOrder};
use lab::process::Signal;
use lab::{Service, Trio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::PATIENCE;

/// The services' own default.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(25);

/// A request whose handler runs: the server has asked for the body, which it has not got yet.
async fn half_a_post(producer: &Service, body: &str) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(producer.address()).await?;
    let head = format!(
        "POST /orders HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        producer.address(),
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    let mut go_on = [0; 25];
    stream
        .read_exact(&mut go_on)
        .await
        .context("the server asks for the body")?;
    ensure!(
        go_on.starts_with(b"HTTP/1.1 100"),
        "{}",
        String::from_utf8_lossy(&go_on)
    );
    Ok(stream)
}

#[tokio::test]
async fn a_producer_asked_to_stop_answers_the_requests_in_flight() -> anyhow::Result<()> {
    let mut trio = Trio::start().await?;
    let orders: Vec<TestOrder> = Orders::seeded(31).take(20).collect();
    let mut requests = Vec::new();
    for order in &orders {
        requests.push((
            half_a_post(&trio.producer, &order.body.to_string()).await?,
            order,
        ));
    }
    trio.producer.signal(Signal::TERM)?;
    // It has heard: it takes no new connection.
    lab::eventually(PATIENCE, async || {
        match TcpStream::connect(trio.producer.address()).await {
            Ok(_) => Err("it still takes connections"),
            Err(_) => Ok(()),
        }
    })
    .await;
    for (mut stream, order) in requests {
        stream.write_all(order.body.to_string().as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        ensure!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    }
    let status = trio.producer.ended_within(SHUTDOWN_TIMEOUT).await?;
    ensure!(status.code() == Some(0), "{status}");
    trio.quiet(PATIENCE).await?;
    trio.scene()
        .assert_clean(&Expected::acknowledged(orders))
        .await
}

#[tokio::test]
async fn a_consumer_asked_to_stop_in_mid_load_leaves_nothing_half_done() -> anyhow::Result<()> {
    let mut trio = Trio::start().await?;
    let orders: Vec<TestOrder> = Orders::seeded(32).take(6_000).collect();
    let file = orders::file(&orders)?;
    let loading = trio.loading(&file, &["--rate=3000"]);
    trio.applied_at_least(500, PATIENCE).await;
    let status = trio.consumers[0].stop_within(SHUTDOWN_TIMEOUT).await?;
    ensure!(status.code() == Some(0), "{status}");
    let applied = trio.applied().await?;
    let committed: i64 = trio
        .topic
        .committed(&trio.group)
        .await?
        .into_iter()
        .flatten()
        .sum();
    ensure!(
        committed == applied,
        "Kafka has {committed} committed, the database {applied}"
    );
    trio.consumers[0].start()?;
    loading.await??.accepted_all(orders.len())?;
    trio.quiet(PATIENCE).await?;
    trio.scene()
        .assert_clean(&Expected::acknowledged(orders))
        .await
}

#[tokio::test]
async fn a_query_api_asked_to_stop_does_so_although_someone_is_waiting() -> anyhow::Result<()> {
    let mut trio = Trio::start().await?;
    let (http, url) = (
        trio.http.clone(),
        trio.query_api.url("/orders/never?wait=30"),
    );
    let waiting = tokio::spawn(async move { http.get(&url).await });
    trio.ask("/summary").await?;
    let status = trio.query_api.stop_within(SHUTDOWN_TIMEOUT).await?;
    ensure!(status.code() == Some(0), "{status}");
    // Whatever it was told, it was told something or the connection ended: nobody hangs.
    tokio::time::timeout(PATIENCE, waiting)
        .await??
        .map(drop)
        .or_else(|error| {
            ensure!(error.is::<reqwest::Error>(), "{error:#}");
            Ok(())
        })
}

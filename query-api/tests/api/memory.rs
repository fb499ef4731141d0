//! How much is kept, whatever is asked.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::app::{PATIENCE, process_with};
use crate::writer::Writer;

const CACHE_BYTES: u64 = 12 * 1024 * 1024;
const ORDERS: u64 = 20_000;
/// Every order about twice, in an order that nothing foresees.
const READS: u64 = 2 * ORDERS;
const READERS: u64 = 16;

/// As many orders as do not fit, written by the database itself.
const FILL: &str = "
    INSERT INTO orders (order_no, order_id, user_id, currency, amount, created_at, received_at, content_hash, attributes)
           SELECT n, 'order-' || n, 'user-' || n % 500, 'USD', n, '2026-01-01', now(), decode(md5(n::text), 'hex'),
                  jsonb_build_object('note', repeat(md5(n::text), 20))
             FROM generate_series(1, 20000) AS n;
    INSERT INTO user_stats (user_id, currency, order_count, total_amount, first_order_at, last_order_at)
           SELECT user_id, currency, count(*), sum(amount), min(created_at), max(created_at)
             FROM orders GROUP BY user_id, currency";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_reads_leave_the_cache_within_its_bound() {
    let database = lab::database().await;
    let writer = Writer::new(&database).await;
    writer.client().batch_execute(FILL).await.unwrap();
    // Warm from the start, it would have grown before it is looked at.
    let settings = [
        ("CACHE_BYTES", CACHE_BYTES.to_string()),
        ("WARM_ORDERS", "0".to_owned()),
    ];
    let mut service = process_with(&database, &settings).await;
    let resident = || service.process().unwrap().resident_bytes().unwrap();
    let before = resident();
    let readers: Vec<_> = (0..READERS)
        .map(|reader| {
            let (http, url) = (lab::Http::default(), service.url("/orders/order-"));
            tokio::spawn(async move {
                for read in 0..READS / READERS {
                    // A full cycle through all numbers, at another place for each reader.
                    let number = 1 + (reader * 1_250 + read * 7_919) % ORDERS;
                    let answer = http.get(&format!("{url}{number}")).await.unwrap();
                    assert_eq!(answer.status, 200, "{}", answer.text());
                }
            })
        })
        .collect();
    for reader in readers {
        reader.await.unwrap();
    }
    let http = lab::Http::default();
    lab::eventually(PATIENCE, async || {
        // The gauges are told each second.
        let metrics = http.get(&service.url("/metrics")).await.unwrap().text();
        let gauge = |name: &str| {
            let line = metrics.lines().find_map(|line| line.strip_prefix(name));
            line.map(|value| value.trim().parse::<f64>().unwrap())
        };
        let evicted = metrics.contains("query_api_cache_age_seconds_count{end=\"size\"}");
        let bytes = gauge("query_api_cache_bytes ").ok_or("no gauge yet")?;
        let bound = CACHE_BYTES as f64;
        if evicted && bytes > bound * 0.5 && bytes <= bound * 1.1 {
            return Ok(());
        }
        Err(if evicted {
            "not within the bound"
        } else {
            "nothing was evicted"
        })
    })
    .await;
    let grown = resident().saturating_sub(before);
    eprintln!("a cache of {CACHE_BYTES} bytes has made the process grow by {grown}");
    assert!(grown < CACHE_BYTES * 11 / 10, "{grown}");
    service.stop_within(Duration::from_secs(20)).await.unwrap();
}

/// A page as large as pages become.
const FILL_A_PAGE: &str = "
    INSERT INTO orders (order_no, order_id, user_id, currency, amount, created_at, received_at, content_hash, attributes)
           SELECT n, 'order-' || n, 'user', 'USD', n, '2026-01-01', now(), decode(md5(n::text), 'hex'),
                  jsonb_build_object('note', repeat(md5(n::text), 800))
             FROM generate_series(1, 500) AS n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_who_read_nothing_take_no_more_memory_than_there_is_for_large_answers() {
    const CLIENTS: u64 = 100;
    const PAGE: &str = "/orders?limit=500";
    let database = lab::database().await;
    let writer = Writer::new(&database).await;
    writer.client().batch_execute(FILL_A_PAGE).await.unwrap();
    let settings = [("SEND_TIMEOUT", "2s".to_owned())];
    let mut service = process_with(&database, &settings).await;
    let http = lab::Http::default();
    let page = http.get(&service.url(PAGE)).await.unwrap().body.len() as u64;
    assert!(page > 8_000_000, "{page}");
    let resident = || service.process().unwrap().resident_bytes().unwrap();
    let before = resident();
    let mut silent = Vec::new();
    for _ in 0..CLIENTS {
        let mut stream = TcpStream::connect(service.address()).await.unwrap();
        let request =
            format!("GET {PAGE} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        // It has been answered, 200 or 503.
        stream.readable().await.unwrap();
        silent.push(stream);
    }
    let grown = resident().saturating_sub(before);
    eprintln!(
        "{CLIENTS} clients who do not read {page} bytes have made the process grow by {grown}"
    );
    assert!(grown < CLIENTS * page / 4, "{grown}");
    for mut stream in silent {
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await;
        drop(read.expect("the connection has ended"));
    }
    assert_eq!(http.get(&service.url(PAGE)).await.unwrap().status, 200);
    service.stop_within(Duration::from_secs(20)).await.unwrap();
}

//! Clients that are slow, silent or many: they are cut off in time, and others do not feel them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use crate::support::{App, PATIENCE, send};

/// On top of a deadline, for a busy machine.
const SLACK: Duration = Duration::from_secs(5);
const ORDER: &str = r#"{"user_id":"u","amount":1}"#;

fn head(path: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
}

/// Sends `beginning`, then `{` without end, until the server hangs up: its answer, and after how long.
async fn drip(address: SocketAddr, beginning: &str) -> (String, Duration) {
    const PAUSE: Duration = Duration::from_millis(50);
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(beginning.as_bytes()).await.unwrap();
    let started = Instant::now();
    let (mut reading, mut writing) = stream.split();
    let mut answer = Vec::new();
    let dripping = async {
        while writing.write_all(b"{").await.is_ok() {
            tokio::time::sleep(PAUSE).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        // A reset is an end too.
        _ = reading.read_to_end(&mut answer) => {}
        () = dripping => {}
        () = tokio::time::sleep(PATIENCE) => panic!("still open"),
    }
    (String::from_utf8(answer).unwrap(), started.elapsed())
}

#[tokio::test]
async fn a_body_that_drips_is_cut_at_its_deadline_of_a_batch_too() {
    let topic = lab::topic(1).await;
    let app = App::ready(topic.brokers(), topic.name(), &["--body-timeout", "1s"]).await;
    for path in ["/orders", "/orders/batch"] {
        let (answer, time) = drip(app.address, &head(path, 100_000)).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{path}: {answer}");
        assert!(
            answer.contains("application/problem+json"),
            "{path}: {answer}"
        );
        assert!(
            (1.0..1.0 + SLACK.as_secs_f32()).contains(&time.as_secs_f32()),
            "{path}: {time:?}"
        );
    }
}

#[tokio::test]
async fn a_head_that_drips_is_cut_at_its_deadline_and_so_is_silence() {
    let topic = lab::topic(1).await;
    let app = App::ready(topic.brokers(), topic.name(), &["--header-timeout", "1s"]).await;
    for beginning in [
        "POST /orders HTTP/1.1\r\nHost: localhost\r\nX-Filler: ",
        "POST /",
    ] {
        let (answer, time) = drip(app.address, beginning).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
            "{answer}"
        );
        assert!(time < Duration::from_secs(1) + SLACK, "{time:?}");
    }
    let mut silent = TcpStream::connect(app.address).await.unwrap();
    let started = Instant::now();
    let mut answer = Vec::new();
    let end = tokio::time::timeout(PATIENCE, silent.read_to_end(&mut answer)).await;
    end.expect("silence is not listened to for ever").unwrap();
    assert!(started.elapsed() < Duration::from_secs(1) + SLACK);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let topic = lab::topic(1).await;
    let app = App::ready(topic.brokers(), topic.name(), &[]).await;
    let many: String = (0..200)
        .map(|number| format!("x-{number}: y\r\n"))
        .collect();
    let long = format!("x-long: {}\r\n", "y".repeat(200_000));
    for filler in [many, long] {
        let mut stream = TcpStream::connect(app.address).await.unwrap();
        let request = format!("GET /health/live HTTP/1.1\r\nHost: localhost\r\n{filler}\r\n");
        // The server may hang up before it has all of it.
        drop(stream.write_all(request.as_bytes()).await);
        let mut answer = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        drop(read.expect("the connection is closed"));
        let answer = String::from_utf8(answer).unwrap();
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
    }
    assert_eq!(app.post("/orders", ORDER).await.status, 202);
}

#[tokio::test]
async fn large_orders_share_a_room_and_small_ones_need_none() {
    let topic = lab::topic(1).await;
    let arguments = ["--order-buffer-bytes", "524288"];
    let app = App::ready(topic.brokers(), topic.name(), &arguments).await;
    let items: Vec<_> = (0..4_000)
        .map(|number| json!({"sku": format!("sku-{number}"), "unit_price": 1, "name": "x".repeat(50)}))
        .collect();
    let large = json!({"order_id": "large", "user_id": "u", "items": items}).to_string();
    assert!(large.len() > 300_000, "{}", large.len());
    let beginning = format!("{}{large}", head("/orders", large.len() + 1));
    let hold = async || {
        let mut holding = TcpStream::connect(app.address).await.unwrap();
        holding.write_all(beginning.as_bytes()).await.unwrap();
        holding
    };
    let mut holding = hold().await;
    let refused = async || {
        let answer = app.post("/orders", &large).await;
        if answer.status == 503 {
            return Ok(answer);
        }
        // This one may have come first, and the other been refused: then that one tries again.
        if holding.try_read(&mut [0; 12]).is_ok() {
            holding = hold().await;
        }
        Err(format!("{answer:?}"))
    };
    // As soon as the first has arrived, but for its last byte.
    let answer = lab::eventually(PATIENCE, refused).await;
    assert!(
        answer.json["detail"]
            .as_str()
            .unwrap()
            .contains("too many orders at once")
    );
    assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
    assert_eq!(app.post("/orders", ORDER).await.status, 202);
    holding.write_all(b" ").await.unwrap();
    let mut answer = vec![0; 12];
    holding.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 202");
    assert_eq!(app.post("/orders", &large).await.status, 202);
}

#[tokio::test]
async fn answers_to_batches_that_nobody_reads_hold_room_until_their_connections_are_given_up() {
    /// On one connection: the system's buffers take the first few.
    const BATCHES: usize = 8;
    let topic = lab::topic(1).await;
    let arguments = ["--batch-buffer-bytes", "16777216", "--send-timeout", "1s"];
    let app = App::ready(topic.brokers(), topic.name(), &arguments).await;
    // No orders, so that each has errors.
    let batch = format!("[{}{{}}]", "{},".repeat(9_999));
    let request = format!("{}{batch}", head("/orders/batch", batch.len())).repeat(BATCHES);
    let mut silent = Vec::new();
    let is_full = async || {
        let mut stream = TcpStream::connect(app.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        silent.push(stream);
        let answer = app.post("/orders/batch", &batch).await;
        (answer.status == 503).then_some(answer).ok_or("not full")
    };
    let answer = lab::eventually(PATIENCE, is_full).await;
    let detail = answer.json["detail"].as_str().unwrap();
    assert!(detail.contains("too many batches at once"), "{detail}");
    // On their side they stay open, and read nothing.
    let is_free = async || match app.post("/orders/batch", &batch).await.status {
        200 => Ok(()),
        status => Err(status),
    };
    lab::eventually(PATIENCE, is_free).await;
    drop(silent);
}

/// Connections that are open and never bring a request to its end.
struct Crowd {
    _idle: Vec<TcpStream>,
    _dripping: AbortOnDropHandle<()>,
}

impl Crowd {
    async fn gather(address: SocketAddr, idle: usize, slow: usize) -> Self {
        let connect = async || TcpStream::connect(address).await.unwrap();
        let mut silent = Vec::new();
        for _ in 0..idle {
            // Kept alive after a request, as a client's pool does.
            let mut stream = connect().await;
            let request = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
            stream.write_all(request).await.unwrap();
            stream.read_exact(&mut [0; 12]).await.unwrap();
            silent.push(stream);
        }
        let mut dripping = Vec::new();
        let beginnings = [
            head("/orders", 500_000),
            head("/orders/batch", 16_000_000),
            "POST /orders HTTP/1.1\r\nHost: localhost\r\nX-Filler: ".to_owned(),
        ];
        for beginning in beginnings.iter().cycle().take(slow) {
            let mut stream = connect().await;
            stream.write_all(beginning.as_bytes()).await.unwrap();
            dripping.push(stream);
        }
        Self {
            _idle: silent,
            _dripping: AbortOnDropHandle::new(tokio::spawn(drip_into(dripping))),
        }
    }
}

async fn drip_into(mut streams: Vec<TcpStream>) {
    let mut interval = tokio::time::interval(Duration::from_secs(1));
    loop {
        interval.tick().await;
        for stream in &mut streams {
            // One that was cut off stays so: the crowd was there all the same.
            drop(stream.write_all(b"[").await);
        }
    }
}

/// The time within which 99 of 100 orders are acknowledged, one after the other.
async fn p99(url: &str, orders: usize) -> Duration {
    let client = reqwest::Client::new();
    let mut times = Vec::with_capacity(orders);
    for _ in 0..orders {
        let request = client.post(url).header("content-type", "application/json");
        let started = Instant::now();
        assert_eq!(send(request.body(ORDER)).await.status, 202);
        times.push(started.elapsed());
    }
    times.sort_unstable();
    times[orders * 99 / 100]
}

/// The producer as a process, so that its memory is its own.
async fn is_not_felt(idle: usize, slow: usize, orders: usize) -> (Duration, Duration, f64) {
    let topic = lab::topic(2).await;
    let address = lab::free_address();
    let mut producer = lab::Program::named("producer")
        .set("KAFKA_BROKERS", topic.brokers())
        .set("KAFKA_TOPIC", topic.name())
        .set("PRODUCER_ADDRESS", address)
        .serve("producer", address)
        .unwrap();
    producer.ready().await;
    let url = producer.url("/orders");
    p99(&url, orders / 4).await;
    let alone = p99(&url, orders).await;
    let crowd = Crowd::gather(address, idle, slow).await;
    let crowded = p99(&url, orders).await;
    let metrics = reqwest::get(producer.url("/metrics")).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let resident = metrics
        .lines()
        .find_map(|line| line.strip_prefix("process_resident_memory_bytes "))
        .unwrap();
    drop(crowd);
    (alone, crowded, resident.parse().unwrap())
}

#[tokio::test]
async fn two_hundred_idle_and_fifty_slow_connections_are_not_felt_by_others() {
    let (alone, crowded, resident) = is_not_felt(200, 50, 400).await;
    // Twice, and some more for all that runs beside this test.
    let bound = 2 * alone + Duration::from_millis(100);
    assert!(crowded <= bound, "p99 {crowded:?}, {alone:?} alone");
    assert!(resident < 300.0 * 1024.0 * 1024.0, "{resident} bytes");
}

/// The scheduling policy of each of a process's threads, with its name: the 41st field, counted behind the name, which may
/// hold anything.
#[cfg(target_os = "linux")]
fn policies(process: i32) -> Vec<(String, u32)> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let stats = threads.map(|thread| std::fs::read_to_string(thread.unwrap().path().join("stat")));
    let policy = |stat: String| {
        let (head, fields) = stat.rsplit_once(") ").unwrap();
        let (_, name) = head.split_once('(').unwrap();
        let policy = fields.split_whitespace().nth(38).unwrap();
        (name.to_owned(), policy.parse().unwrap())
    };
    // A thread may end meanwhile.
    stats.filter_map(Result::ok).map(policy).collect()
}

/// Else it would stop whoever answers requests for each few records.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn kafkas_client_waits_for_its_turn_and_who_answers_does_not() {
    const SCHED_OTHER: u32 = 0;
    const SCHED_BATCH: u32 = 3;
    let topic = lab::topic(1).await;
    let address = lab::free_address();
    let mut producer = lab::Program::named("producer")
        .set("PRODUCER_ADDRESS", address)
        .set("KAFKA_BROKERS", topic.brokers())
        .set("KAFKA_TOPIC", topic.name())
        .serve("producer", address)
        .unwrap();
    producer.ready().await;
    let policies = policies(producer.process().unwrap().number());
    for (beginning, policy) in [("rdk:", SCHED_BATCH), ("actix-", SCHED_OTHER)] {
        let mut named = policies
            .iter()
            .filter(|(name, _)| name.starts_with(beginning));
        assert!(named.clone().count() > 0, "{beginning}: {policies:?}");
        assert!(named.all(|(_, is)| *is == policy), "{policies:?}");
    }
    producer.stop_within(PATIENCE).await.unwrap();
}

/// `cargo test --release -p producer -- --ignored two_thousand --nocapture`, on a machine that does nothing else.
#[tokio::test]
#[ignore = "a measurement: it needs a quiet machine and some thousand open files"]
async fn two_thousand_idle_and_five_hundred_slow_connections_at_most_double_the_p99() {
    let (alone, crowded, resident) = is_not_felt(2_000, 500, 5_000).await;
    println!(
        "p99 {crowded:?} ({alone:?} alone), {:.0} MiB resident",
        resident / 1024.0 / 1024.0
    );
    assert!(crowded <= 2 * alone, "p99 {crowded:?}, {alone:?} alone");
    assert!(resident < 300.0 * 1024.0 * 1024.0, "{resident} bytes");
}

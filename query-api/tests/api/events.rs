use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lab::{Proxy, eventually};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::app::{App, PATIENCE, process, with_orders};
use crate::writer::Writer;

const BOUND: Duration = Duration::from_millis(250);

fn order(user_id: &str) -> Value {
    json!({"user_id": user_id, "amount": "2.50"})
}

/// One who listens to `/events`.
struct Listener {
    lines: Lines<BufReader<TcpStream>>,
}

#[derive(Debug, Clone, Default)]
struct Event {
    id: Option<String>,
    name: String,
    data: Value,
}

impl Listener {
    async fn connect(address: SocketAddr, last_event_id: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let id = last_event_id.map(|id| format!("Last-Event-ID: {id}\r\n"));
        let request = format!(
            "GET /events HTTP/1.1\r\nHost: {address}\r\n{}\r\n",
            id.unwrap_or_default()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut lines = BufReader::with_capacity(1024, stream).lines();
        assert_eq!(
            lines.next_line().await.unwrap().as_deref(),
            Some("HTTP/1.1 200 OK")
        );
        Self { lines }
    }

    /// `None` at the end of the stream. The lines between chunks are no fields of an event, and its data comes last.
    async fn next(&mut self) -> Option<Event> {
        let mut event = Event::default();
        while let Some(line) = self.lines.next_line().await.ok()? {
            match line.split_once(": ") {
                Some(("id", id)) => event.id = Some(id.to_owned()),
                Some(("event", name)) => event.name = name.to_owned(),
                Some(("data", data)) => {
                    event.data = serde_json::from_str(data).unwrap();
                    return Some(event);
                }
                _ => {}
            }
        }
        None
    }

    async fn next_called(&mut self, name: &str) -> Event {
        loop {
            let event = tokio::time::timeout(PATIENCE, self.next()).await.unwrap();
            let event = event.expect("the stream goes on");
            if event.name == name {
                return event;
            }
        }
    }

    /// The first summary with so many orders.
    async fn order_count(&mut self, count: u64) -> Event {
        loop {
            let event = self.next_called("summary").await;
            if event.data["order_count"] == count {
                return event;
            }
        }
    }
}

#[tokio::test]
async fn a_listener_is_told_of_every_change_and_how_fresh_it_is() {
    let (_database, mut writer, app) = with_orders(&[order("u")]).await;
    let mut listener = Listener::connect(app.address(), None).await;
    let first = listener.next_called("summary").await;
    assert_eq!(first.data, app.json("/summary").await);
    let freshness = listener.next_called("freshness").await.data;
    assert_eq!(freshness["database"], "reachable");
    assert!(freshness["as_of"].is_string() && freshness["lag"].is_null());

    writer.commit(&[order("v")]).await;
    let second = listener.order_count(2).await;
    assert_eq!(second.data, app.json("/summary").await);
    assert_ne!(first.id, second.id);

    // Who comes back with the id of what he has is not told again, whichever server he comes to.
    let other = App::start(app.database_url()).await;
    for app in [&app, &other] {
        let mut back = Listener::connect(app.address(), second.id.as_deref()).await;
        assert_eq!(back.next().await.unwrap().name, "freshness");
        let mut late = Listener::connect(app.address(), first.id.as_deref()).await;
        assert_eq!(late.next().await.unwrap().data["order_count"], 2);
    }
}

#[tokio::test]
async fn a_listener_hears_that_the_database_is_away_and_that_it_is_back() {
    let database = lab::database().await;
    let proxy = Proxy::start(database.server_address()).await;
    let mut writer = Writer::new(&database).await;
    let app = App::start(&database.url_through(proxy.address())).await;
    let mut listener = Listener::connect(app.address(), None).await;
    listener.next_called("summary").await;
    proxy.refuse();
    while listener.next_called("freshness").await.data["database"] != "away" {}
    // It goes on hearing that the connection stands.
    listener.next_called("freshness").await;
    writer.commit(&[order("u")]).await;
    proxy.pass();
    listener.order_count(1).await;
}

#[tokio::test]
async fn listeners_are_few_enough_and_end_with_the_service() {
    let database = lab::database().await;
    let app = App::start_with(database.url(), &["--max-listeners", "1"]).await;
    let mut listener = Listener::connect(app.address(), None).await;
    listener.next_called("summary").await;
    let refused = app.get("/events").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, "1"));
    let head = app.request(Method::HEAD, "/events", &[]).await;
    assert_eq!(head.status, 503);
    drop(listener);
    // Its place is free as soon as the server has noticed, which takes two heartbeats at most.
    eventually(PATIENCE, async || {
        let head = app.request(Method::HEAD, "/events", &[]).await;
        let kind = head.header("content-type").to_owned();
        (head.status == 200 && kind == "text/event-stream")
            .then_some(())
            .ok_or(head.status)
    })
    .await;
    let mut listener = Listener::connect(app.address(), None).await;
    listener.next_called("summary").await;
    let started = Instant::now();
    app.stop().await;
    while listener.next().await.is_some() {}
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_listener_who_reads_nothing_gives_his_place_up() {
    let database = lab::database().await;
    let mut writer = Writer::new(&database).await;
    let flags = ["--max-listeners", "1", "--send-timeout", "1s"];
    let app = App::start_with(database.url(), &flags).await;
    let socket = TcpSocket::new_v4().unwrap();
    // As little as it can be: it is full after some events.
    socket.set_recv_buffer_size(1).unwrap();
    let mut silent = socket.connect(app.address()).await.unwrap();
    let request = b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    silent.write_all(request).await.unwrap();
    silent.readable().await.unwrap();
    assert_eq!(app.get("/events").await.status, 503);
    eventually(PATIENCE, async || {
        writer.commit(&[order("u")]).await;
        let head = app.request(Method::HEAD, "/events", &[]).await;
        (head.status == 200).then_some(()).ok_or(head.status)
    })
    .await;
    drop(silent);
}

/// Each listener ends with its delays behind the moments in `told`.
async fn listen(mut listener: Listener, changes: u64) -> Vec<(u64, Instant)> {
    let mut heard = Vec::new();
    for count in 2..2 + changes {
        listener.order_count(count).await;
        heard.push((count, Instant::now()));
    }
    heard
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_listeners_are_told_soon_and_cost_little() {
    const LISTENERS: usize = 1_000;
    const CHANGES: u64 = 5;
    let database = lab::database().await;
    let mut writer = Writer::new(&database).await;
    writer.commit(&[order("u")]).await;
    let mut service = process(&database).await;
    let address = service.address();
    let mut listening = JoinSet::new();
    for _ in 0..LISTENERS {
        let mut listener = Listener::connect(address, None).await;
        listener.order_count(1).await;
        listening.spawn(listen(listener, CHANGES));
    }
    let http = lab::Http::default();
    let cpu_seconds = async || {
        let metrics = http.get(&service.url("/metrics")).await.unwrap().text();
        let mut lines = metrics.lines();
        let value = lines.find_map(|line| line.strip_prefix("process_cpu_seconds_total "));
        value.unwrap().parse::<f64>().unwrap()
    };
    let (started, before) = (Instant::now(), cpu_seconds().await);
    let mut committed = Vec::new();
    let mut pace = tokio::time::interval(Duration::from_secs(1));
    for _ in 0..CHANGES {
        pace.tick().await;
        writer.commit(&[order("u")]).await;
        committed.push(Instant::now());
    }
    pace.tick().await;
    let share = (cpu_seconds().await - before) / started.elapsed().as_secs_f64();
    let mut delays = Vec::new();
    while let Some(heard) = listening.join_next().await {
        for ((_, at), committed) in heard.unwrap().into_iter().zip(&committed) {
            delays.push(at.saturating_duration_since(*committed));
        }
    }
    delays.sort();
    let p99 = delays[delays.len() * 99 / 100];
    eprintln!(
        "{LISTENERS} listeners: told after {:?} (median), {p99:?} (p99), {:?} (last), with {:.1} % of a core",
        delays[delays.len() / 2],
        delays[delays.len() - 1],
        share * 100.0
    );
    // Others are busy on the machine that tests, and this is no release build: the figures themselves are printed.
    assert_eq!(delays.len(), LISTENERS * usize::try_from(CHANGES).unwrap());
    assert!(delays[delays.len() / 2] < BOUND, "{delays:?}");
    assert!(p99 < BOUND * 8, "{p99:?}");
    assert!(share < 0.3, "{share} of a core");
    service.stop_within(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn the_lag_is_what_is_in_the_topic_and_not_in_the_tables() {
    let (_database, writer, app) = with_orders(&[order("u"), order("v")]).await;
    let unknown = app.json("/lag").await;
    assert_eq!(
        (&unknown["lag"], &unknown["read_at"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(unknown["partitions"][0]["next_offset"], 2);
    let mut listener = Listener::connect(app.address(), None).await;
    const SQL: &str = "
        INSERT INTO consumer_progress (group_id, topic, partition, end_offset, read_at)
        VALUES ('tally', 'orders', 0, 9, '2026-01-01T00:00:00Z')";
    writer.client().batch_execute(SQL).await.unwrap();
    while listener.next_called("freshness").await.data["lag"] != 7 {}
    let expected = json!({"lag": 7, "read_at": "2026-01-01T00:00:00Z", "partitions": [
        {"group_id": "tally", "topic": "orders", "partition": 0, "next_offset": 2, "end_offset": 9, "lag": 7,
         "read_at": "2026-01-01T00:00:00Z"}]});
    assert_eq!(app.json("/lag").await, expected);
}

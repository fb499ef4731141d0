//! The server as clients meet it, over a real socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use clap::Parser;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::gate_tests::KeysFile;
use super::*;

#[derive(Parser)]
struct Config {
    #[command(flatten)]
    server: ServerConfig,
}

fn config(arguments: &[&str]) -> ServerConfig {
    Config::parse_from([&["test", "--http-workers", "1"], arguments].concat()).server
}

/// What `/large` answers with: more than the system's buffers take.
pub(super) const LARGE_BYTES: usize = 16 * 1024 * 1024;
/// Of so many at once.
pub(super) const LARGE_ANSWERS: usize = 2;

/// How long what must happen may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Looks again and again.
pub(super) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    const LOOK: Duration = Duration::from_millis(10);
    let looking = async {
        while !holds().await {
            tokio::time::sleep(LOOK).await;
        }
    };
    let looked = tokio::time::timeout(PATIENCE, looking).await;
    assert!(looked.is_ok(), "not within {PATIENCE:?}: {what}");
}

pub(super) struct Running {
    address: SocketAddr,
    room: Arc<Room>,
    stop: CancellationToken,
    server: JoinHandle<std::io::Result<()>>,
}

fn start(readiness: Readiness) -> Running {
    start_with(readiness, &[])
}

pub(super) fn start_with(readiness: Readiness, arguments: &[&str]) -> Running {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::bind(loopback, &config(arguments)).unwrap();
    let server = server.open_to_all(&["/page", "/static/*"]);
    let address = server.address();
    let health = move || Health {
        readiness: readiness.clone(),
        details: Map::from_iter([("lag".into(), json!(0))]),
    };
    let room = Room::new(LARGE_ANSWERS * LARGE_BYTES);
    let large_room = Arc::clone(&room);
    let routes = move |config: &mut web::ServiceConfig| {
        let room = Arc::clone(&large_room);
        let large = move || {
            let body = body_in(&room, web::Bytes::from(vec![b'x'; LARGE_BYTES]));
            let answer = body.map(|body| HttpResponse::Ok().body(body));
            let no_room = |NoRoom| HttpError::Unavailable {
                detail: "no room".into(),
                retry_after: Duration::from_secs(1),
                order_id: None,
            };
            async move { answer.map_err(no_room) }
        };
        let thing = named("/thing")
            .route(web::get().to(async || HttpResponse::Ok().body("thing")))
            .route(web::head().to(async || HttpResponse::Ok().body("thing")))
            .route(web::post().to(async |body: web::Bytes| body));
        config
            .service(thing)
            .service(readable("/large", large))
            .service(readable("/page", async || "page"))
            .service(readable("/static/{name}", async || "file"))
            .service(readable("/caller", async |request: HttpRequest| {
                KeyName::of(&request).map_or("nobody".to_owned(), |name| name.to_string())
            }))
            .service(readable("/number", async |_: web::Query<Parameters>| {
                HttpResponse::Ok().finish()
            }))
            .service(readable("/known", async || {
                HttpResponse::NotModified().finish()
            }))
            .service(readable("/revalidated", async || {
                HttpResponse::Ok()
                    .insert_header(("cache-control", "no-cache"))
                    .finish()
            }))
            .service(readable("/slow", async || {
                tokio::time::sleep(Duration::from_millis(300)).await;
                HttpResponse::Ok().body("done")
            }));
    };
    let recorded = PrometheusBuilder::new().build_recorder().handle();
    let stop = CancellationToken::new();
    let server = tokio::spawn(server.run(
        routes,
        || unstamped,
        Arc::new(health),
        recorded,
        stop.clone(),
    ));
    Running {
        address,
        room,
        stop,
        server,
    }
}

#[derive(serde::Deserialize)]
struct Parameters {
    #[serde(rename = "n")]
    _n: u8,
}

impl Running {
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether nothing is on its way any more.
    pub(super) fn has_all_its_room(&self) -> bool {
        self.room.reserve(LARGE_ANSWERS * LARGE_BYTES).is_ok()
    }

    pub(super) async fn ask(&self, request: &str) -> (String, String) {
        self.ask_with(request, "").await
    }

    /// `headers`: each with its line's end.
    pub(super) async fn ask_with(&self, request: &str, headers: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let named = headers.contains("Host: ");
        let host = if named { "" } else { "Host: localhost\r\n" };
        let request = format!("{request} HTTP/1.1\r\n{host}Connection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_lowercase(), body.to_owned())
    }

    pub(super) async fn problem(&self, request: &str) -> (String, Value) {
        let (head, body) = self.ask(request).await;
        assert!(
            head.contains("content-type: application/problem+json"),
            "{head}"
        );
        assert!(head.contains("cache-control: no-store"), "{head}");
        (head, serde_json::from_str(&body).unwrap())
    }
}

#[tokio::test]
async fn an_unknown_path_a_wrong_method_and_a_bad_parameter_are_problem_documents() {
    let running = start(Readiness::Ready);
    let (_, problem) = running.problem("GET /nothing").await;
    assert_eq!(problem["status"], 404);
    let (head, problem) = running.problem("POST /page").await;
    assert_eq!(problem["status"], 405);
    assert!(head.contains("allow: get, head"), "{head}");
    let (_, problem) = running.problem("GET /number?n=many").await;
    assert_eq!(problem["status"], 400);
}

#[tokio::test]
async fn head_answers_as_get_without_the_body() {
    let running = start(Readiness::Ready);
    let (head, body) = running.ask("HEAD /thing").await;
    assert!(
        head.starts_with("http/1.1 200") && head.contains("content-length: 5"),
        "{head}"
    );
    assert!(head.contains("x-content-type-options: nosniff"), "{head}");
    assert_eq!(body, "");
}

#[tokio::test]
async fn readiness_is_200_or_503_and_the_report_alone_says_why_not() {
    let ready = start(Readiness::Ready);
    assert!(
        ready
            .ask("GET /health/ready")
            .await
            .0
            .starts_with("http/1.1 200")
    );
    let away = start(Readiness::NotReady("the broker is away".into()));
    let (head, problem) = away.problem("GET /health/ready").await;
    assert!(head.contains("retry-after: 1"), "{head}");
    assert_eq!(problem["detail"], "not ready");
    let (_, report) = away.ask("GET /health").await;
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(
        report,
        json!({"status": "not_ready", "reason": "the broker is away", "lag": 0})
    );
    assert!(
        away.ask("GET /health/live")
            .await
            .0
            .starts_with("http/1.1 200")
    );
}

#[tokio::test]
async fn metrics_tell_the_process_memory() {
    let running = start(Readiness::Ready);
    let (head, text) = running.ask("GET /metrics").await;
    assert!(
        head.contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    let line = text
        .lines()
        .find(|line| line.starts_with("process_resident_memory_bytes "));
    if cfg!(target_os = "linux") {
        let bytes: f64 = line.unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        assert!(bytes > 1e6, "{bytes}");
    }
}

#[tokio::test]
async fn what_is_in_flight_is_answered_when_the_server_stops() {
    let running = start(Readiness::Ready);
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream
        .write_all(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    // Answered on another connection of the only worker: the request before it has been taken up.
    running.ask("GET /thing").await;
    running.stop.cancel();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("done"), "{answer}");
    running.server.await.unwrap().unwrap();
    assert!(TcpStream::connect(running.address).await.is_err());
}

#[tokio::test]
async fn listening_beyond_loopback_needs_to_be_asked_for() {
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let refused = Server::bind(everywhere, &config(&[])).unwrap_err();
    assert!(matches!(refused, BindError::Exposed(_)));
    assert!(refused.to_string().contains("--insecure"));
    assert!(Server::bind(everywhere, &config(&["--insecure"])).is_ok());
    let keys = KeysFile::new("strangers");
    assert!(Server::bind(everywhere, &config(&keys.argument())).is_ok());
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let first = Server::bind(loopback, &config(&[])).unwrap();
    let error = Server::bind(first.address(), &config(&[]))
        .unwrap_err()
        .to_string();
    assert!(error.contains(&first.address().to_string()), "{error}");
}

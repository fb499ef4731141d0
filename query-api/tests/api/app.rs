//! The service, in the test's process, on a free port.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use lab::{Answer, Http, Program, START_PATIENCE, Service, TestDatabase, eventually};
use metrics_exporter_prometheus::PrometheusBuilder;
use query_api::{Application, Config};
use reqwest::Method;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::writer::Writer;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct App {
    url: String,
    address: SocketAddr,
    database_url: String,
    http: Http,
    stop: CancellationToken,
    running: Option<JoinHandle<()>>,
}

impl App {
    /// Started and ready.
    pub(crate) async fn start(database_url: &str) -> Self {
        Self::start_with(database_url, &[]).await
    }

    pub(crate) async fn start_with(database_url: &str, flags: &[&str]) -> Self {
        let app = Self::launch(database_url, flags);
        app.ready().await;
        app
    }

    /// Started, and nothing more is known of it.
    pub(crate) fn launch(database_url: &str, flags: &[&str]) -> Self {
        let common = [
            "query-api",
            "--address",
            "127.0.0.1:0",
            "--http-workers",
            "1",
            "--shutdown-timeout",
            "2s",
        ];
        let database = ["--database-url", database_url];
        let arguments = common.iter().chain(&database).chain(flags);
        let application = Application::build(&Config::parse_from(arguments)).unwrap();
        let address = application.address();
        let url = format!("http://{address}");
        let recorded = PrometheusBuilder::new().build_recorder().handle();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let running = tokio::spawn(async move {
            application
                .run_until_stopped(recorded, stopped)
                .await
                .unwrap()
        });
        Self {
            url,
            address,
            database_url: database_url.to_owned(),
            http: Http::default(),
            stop,
            running: Some(running),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn database_url(&self) -> &str {
        &self.database_url
    }

    pub(crate) async fn ready(&self) {
        eventually(PATIENCE, async || {
            let answer = self.get("/health/ready").await;
            if answer.status == 200 {
                Ok(())
            } else {
                Err(answer.text())
            }
        })
        .await;
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.http.get(&format!("{}{path}", self.url)).await.unwrap()
    }

    pub(crate) async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        self.http
            .request(method, &format!("{}{path}", self.url), headers)
            .await
            .unwrap()
    }

    /// The JSON of a 200.
    pub(crate) async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json().unwrap()
    }

    /// The pointers of a 422.
    pub(crate) async fn refused(&self, path: &str) -> Vec<String> {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 422, "{path}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let errors = answer.json().unwrap()["errors"].clone();
        errors
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["pointer"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Until the feed has seen everything that was committed before.
    pub(crate) async fn has_seen(&self, writer: &Writer) {
        let wanted = writer.positions();
        eventually(PATIENCE, async || {
            let seen = self.json("/health").await["positions"].clone();
            if seen == wanted {
                Ok(())
            } else {
                Err(format!("{seen} is not {wanted}"))
            }
        })
        .await;
    }

    pub(crate) fn cancel(&self) {
        self.stop.cancel();
    }

    pub(crate) async fn stop(mut self) {
        self.cancel();
        self.running.take().unwrap().await.unwrap();
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The service as a process of its own, ready.
pub(crate) async fn process(database: &TestDatabase) -> Service {
    process_with(database, &[]).await
}

pub(crate) async fn process_with(database: &TestDatabase, settings: &[(&str, String)]) -> Service {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let program = Program::named("query-api")
        .set("QUERY_API_ADDRESS", address)
        .set("DATABASE_URL", database.url());
    let program = settings
        .iter()
        .fold(program, |program, (name, value)| program.set(name, value));
    let mut service = program.serve("query-api", address).unwrap();
    service.ready_within(START_PATIENCE).await;
    service
}

/// A database with these orders in it, a writer for more, and the service.
pub(crate) async fn with_orders(orders: &[Value]) -> (TestDatabase, Writer, App) {
    let database = lab::database().await;
    let mut writer = Writer::new(&database).await;
    writer.commit(orders).await;
    let app = App::start(database.url()).await;
    (database, writer, app)
}

/// A question has come as far as a lock that somebody holds.
pub(crate) async fn waits_for_a_lock(database: &TestDatabase) {
    const SQL: &str = "SELECT count(*) FROM pg_stat_activity
                        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let client = database.client().await;
    eventually(PATIENCE, async || {
        match client.query_one(SQL, &[]).await.map(|row| row.get(0)) {
            Ok(0_i64) => Err("nobody waits for a lock".to_owned()),
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await;
}

//! A producer in this process, on a port and a topic of its own.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

use clap::Parser as _;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use producer::application::{Application, ApplicationError};
use producer::config::Config;
use reqwest::RequestBuilder;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// One for all tests of this process: what is recorded cannot be told apart by test.
fn recorder() -> PrometheusHandle {
    static HANDLE: LazyLock<PrometheusHandle> =
        LazyLock::new(|| PrometheusBuilder::new().install_recorder().unwrap());
    HANDLE.clone()
}

pub(crate) struct App {
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) running: JoinHandle<Result<(), ApplicationError>>,
    client: reqwest::Client,
}

/// An answer that was read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) json: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn order_id(&self) -> &str {
        self.json["order_id"]
            .as_str()
            .unwrap_or_else(|| panic!("no order_id in {self:?}"))
    }

    pub(crate) fn pointers(&self) -> Vec<&str> {
        let errors = self.json["errors"]
            .as_array()
            .unwrap_or_else(|| panic!("no errors in {self:?}"));
        errors
            .iter()
            .map(|error| error["pointer"].as_str().unwrap())
            .collect()
    }
}

impl App {
    /// Starts one and waits until it is ready.
    pub(crate) async fn ready(brokers: &str, topic: &str, arguments: &[&str]) -> Self {
        let app = Self::start(brokers, topic, arguments);
        app.becomes_ready(PATIENCE).await;
        app
    }

    pub(crate) fn start(brokers: &str, topic: &str, arguments: &[&str]) -> Self {
        let ours = [
            "producer",
            "--address",
            "127.0.0.1:0",
            "--http-workers",
            "2",
        ];
        let theirs = ["--kafka-brokers", brokers, "--kafka-topic", topic];
        let config = Config::try_parse_from([&ours[..], &theirs[..], arguments].concat()).unwrap();
        let application = Application::build(config).unwrap();
        let address = application.address();
        let stop = CancellationToken::new();
        let running = tokio::spawn(application.run_until_stopped(recorder(), stop.clone()));
        Self {
            address,
            stop,
            running,
            client: reqwest::Client::new(),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// `Err` with the reason why it is not.
    pub(crate) async fn readiness(&self) -> Result<(), String> {
        let answer = self.get("/health/ready").await;
        if answer.status == 200 {
            Ok(())
        } else {
            Err(answer.json.to_string())
        }
    }

    pub(crate) async fn becomes_ready(&self, patience: Duration) {
        lab::eventually(patience, async || self.readiness().await).await;
    }

    pub(crate) async fn becomes_unready(&self, patience: Duration) {
        let unready = async || match self.readiness().await {
            Ok(()) => Err("still ready"),
            Err(_) => Ok(()),
        };
        lab::eventually(patience, unready).await;
    }

    pub(crate) fn to(&self, path: &str) -> RequestBuilder {
        self.client
            .post(self.url(path))
            .header("content-type", "application/json")
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        send(self.to(path).body(body.to_owned())).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.client.get(self.url(path))).await
    }

    /// A metric's value; `None` where nothing was recorded yet.
    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        let text = self
            .client
            .get(self.url("/metrics"))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        Some(line.parse().unwrap())
    }

    pub(crate) async fn post_lines(&self, lines: impl Into<Vec<u8>>) -> Answer {
        self.post_as("/orders/batch", "application/x-ndjson", lines)
            .await
    }

    pub(crate) async fn post_as(
        &self,
        path: &str,
        content_type: &str,
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        send(
            self.client
                .post(self.url(path))
                .header("content-type", content_type)
                .body(body.into()),
        )
        .await
    }
}

pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await.unwrap();
    let json = serde_json::from_slice(&body)
        .unwrap_or_else(|error| panic!("{status} {}: {error}", String::from_utf8_lossy(&body)));
    Answer {
        status,
        headers,
        json,
    }
}

/// The value of each record of a topic under its order's id, several where they differ.
pub(crate) async fn values(topic: &lab::TestTopic) -> BTreeSet<(String, String)> {
    let values = topic.records().await.unwrap().into_iter().map(|record| {
        let value = String::from_utf8(record.value.unwrap()).unwrap();
        let order: Value = serde_json::from_str(&value).unwrap();
        (order["order_id"].as_str().unwrap().to_owned(), value)
    });
    values.collect()
}

/// Records in a topic, the repeated ones too.
pub(crate) async fn record_count(topic: &lab::TestTopic) -> i64 {
    topic.end_offsets().await.unwrap().iter().sum()
}

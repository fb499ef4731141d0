//! The producer as a whole: listens, publishes, and stops without losing what it has taken.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::http::{BindError, Health, Server, unstamped};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::config::Config;
use crate::http::{self, Door};
use crate::publisher::{Publisher, StartError};

/// The `ce_source` of orders that came over HTTP.
const SOURCE: &str = "/tally/producer";

#[derive(Debug, thiserror::Error)]
pub enum ApplicationError {
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Publisher(#[from] StartError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// A producer that listens and does not answer yet.
pub struct Application {
    config: Config,
    server: Server,
    publisher: Arc<Publisher>,
}

impl Application {
    /// Listens, and starts to look for the broker. It need not be there: until it is, orders are answered 503.
    ///
    /// # Errors
    /// The address cannot be listened on, or a setting is wrong.
    pub fn build(config: Config) -> Result<Self, ApplicationError> {
        let server = Server::bind(config.address, &config.server)?;
        let publisher = Arc::new(Publisher::start(config.publisher.clone(), SOURCE)?);
        Ok(Self {
            config,
            server,
            publisher,
        })
    }

    /// Where it listens: the real port where 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Answers until `stop` is cancelled, then finishes the requests in flight and waits for the broker's reports.
    ///
    /// # Errors
    /// The server ended unexpectedly.
    pub async fn run_until_stopped(
        self,
        recorded: PrometheusHandle,
        stop: CancellationToken,
    ) -> Result<(), ApplicationError> {
        let Self {
            config,
            server,
            publisher,
        } = self;
        tracing::info!(address = %server.address(), kafka.topic = publisher.topic(), "listening");
        let door = Door::new(
            Arc::clone(&publisher),
            config.orders,
            config.public_query_url,
        );
        let watched = Arc::clone(&publisher);
        let health = move || health(&watched);
        let asked_to_stop = AbortOnDropHandle::new(tokio::spawn(time_of(stop.clone())));
        let served = server
            .run(
                http::routes(door),
                || unstamped,
                Arc::new(health),
                recorded,
                stop.clone(),
            )
            .await;
        // One deadline for both: what the requests in flight took is no longer there for the reports.
        let stopping_since = if stop.is_cancelled() {
            asked_to_stop.await.ok()
        } else {
            None
        };
        let spent = stopping_since.map_or(Duration::ZERO, |since| since.elapsed());
        let left = config.server.shutdown_timeout.saturating_sub(spent);
        tokio::task::spawn_blocking(move || publisher.close(left))
            .await
            .map_err(std::io::Error::other)?;
        tracing::info!("stopped");
        Ok(served?)
    }
}

async fn time_of(stop: CancellationToken) -> Instant {
    stop.cancelled().await;
    Instant::now()
}

fn health(publisher: &Publisher) -> Health {
    let in_flight = publisher.in_flight();
    let details = [
        ("topic", Value::from(publisher.topic())),
        ("in_flight", Value::from(in_flight)),
    ];
    Health {
        readiness: publisher.readiness(),
        details: Map::from_iter(details.map(|(name, value)| (name.to_owned(), value))),
    }
}

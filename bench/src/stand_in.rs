//! The servers that ours are held against: the same HTTP server with a handler that does less.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer, Responder};
use clap::Parser;
use common::http::{Health, Readiness, Server, ServerConfig, named, unstamped};
use common::{shutdown, telemetry};
use metrics_exporter_prometheus::PrometheusHandle;
use producer::request::{Arrival, Record, new_order_id};
use serde_json::json;

/// What the benchmarks start beside a service.
#[derive(Debug, Clone, Parser)]
pub struct StandIn {
    #[command(subcommand)]
    kind: Kind,

    #[arg(long, env = "STAND_IN_ADDRESS")]
    address: SocketAddr,

    #[command(flatten)]
    server: ServerConfig,

    #[command(flatten)]
    telemetry: telemetry::TelemetryConfig,
}

#[derive(Debug, Clone, Copy, clap::Subcommand)]
enum Kind {
    /// Reads an order as the producer does, and answers as if it had been stored.
    Validating,
    /// Answers every `GET` with so many bytes, where an id is part of the path as a handler for that.
    Constant { bytes: usize },
}

impl StandIn {
    /// Answers until it is told to stop.
    ///
    /// # Errors
    /// The address is taken.
    pub async fn run(self) -> anyhow::Result<()> {
        let metrics = telemetry::init(&self.telemetry)?;
        match self.kind {
            Kind::Validating => {
                serve(
                    Server::bind(self.address, &self.server)?,
                    metrics,
                    validating,
                )
                .await
            }
            // Nothing around it: what our own middleware costs is part of what is measured.
            Kind::Constant { bytes } => constant(self.address, bytes).await,
        }
    }
}

async fn serve(
    server: Server,
    metrics: PrometheusHandle,
    routes: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
) -> anyhow::Result<()> {
    let health = || Health {
        readiness: Readiness::Ready,
        details: serde_json::Map::new(),
    };
    let stop = shutdown::on_signal()?;
    Ok(server
        .run(routes, || unstamped, Arc::new(health), metrics, stop)
        .await?)
}

fn validating(config: &mut web::ServiceConfig) {
    config.service(named("/orders").route(web::post().to(validate)));
}

async fn validate(body: Bytes) -> impl Responder {
    const SKEW: Duration = Duration::from_secs(3600);
    match Record::read(&body, Arrival::now(SKEW), new_order_id) {
        Ok(record) => HttpResponse::Accepted().json(json!({
            "order_id": record.order_id, "status": "accepted", "topic": "orders", "partition": 0, "offset": 0
        })),
        Err(rejection) => HttpResponse::UnprocessableEntity().body(rejection.to_string()),
    }
}

async fn constant(address: SocketAddr, bytes: usize) -> anyhow::Result<()> {
    let body = Bytes::from(vec![b' '; bytes]);
    let app = move || {
        let body = body.clone();
        let answer = move || {
            let body = body.clone();
            async move {
                HttpResponse::Ok()
                    .content_type("application/json")
                    .body(body)
            }
        };
        App::new()
            .route("/orders/{order_id}", web::get().to(answer.clone()))
            .route("/users/{user_id}", web::get().to(answer.clone()))
            .default_service(web::to(answer))
    };
    let workers = std::thread::available_parallelism()?.get();
    // Not awaited in the same expression: the builder is not Send, the running server is.
    let server = HttpServer::new(app).workers(workers).bind(address)?.run();
    Ok(server.await?)
}

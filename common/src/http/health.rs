//! `/health/live`, `/health/ready` and `/health`: for supervisors, load balancers and people.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::{HttpResponse, Responder, web};
use serde_json::{Map, Value};
use utoipa::openapi::{RefOr, Response};

use super::docs::problems;
use super::problem::HttpError;
use super::server::readable;

pub(super) const LIVE: &str = "/health/live";
pub(super) const READY: &str = "/health/ready";
pub(super) const REPORT: &str = "/health";
/// When to ask again whether a service has become ready.
const READY_RETRY_AFTER: Duration = Duration::from_secs(1);

/// In a word, and whatever else a report says.
#[derive(utoipa::ToSchema)]
pub(super) struct Status {
    #[schema(value_type = String)]
    #[expect(dead_code, reason = "it is a description")]
    status: &'static str,
}

struct NotReady;

impl utoipa::IntoResponses for NotReady {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems([("It is not ready; /health says why", not_ready())])
    }
}

/// What a service knows of itself.
#[derive(Debug, Clone)]
pub struct Health {
    pub readiness: Readiness,
    /// Members of `/health` beside `status` and `reason`; they must show no secrets.
    pub details: Map<String, Value>,
}

/// Whether requests can be answered now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    /// Why not, for whoever has to find out: told in `/health` alone.
    NotReady(String),
}

/// Asked at every probe: it reports what is known and waits for nothing.
pub trait HealthCheck: Send + Sync + 'static {
    fn health(&self) -> Health;
}

impl<F: Fn() -> Health + Send + Sync + 'static> HealthCheck for F {
    fn health(&self) -> Health {
        self()
    }
}

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(readable(LIVE, live))
        .service(readable(READY, ready))
        .service(readable(REPORT, report));
}

/// The process answers: a supervisor should not restart it.
#[utoipa::path(get, path = LIVE, tag = "operation", security(()), responses((status = 200, description = "It lives", body = Status, example = json!({"status": "live"}))))]
pub(super) async fn live() -> impl Responder {
    web::Json(serde_json::json!({"status": "live"}))
}

/// Requests may be sent here: 200, else 503.
#[utoipa::path(get, path = READY, tag = "operation", security(()), responses((status = 200, description = "It is ready", body = Status, example = json!({"status": "ready"})), NotReady))]
pub(super) async fn ready(check: web::Data<dyn HealthCheck>) -> Result<impl Responder, HttpError> {
    match check.health().readiness {
        Readiness::Ready => Ok(web::Json(serde_json::json!({"status": "ready"}))),
        Readiness::NotReady(_) => Err(not_ready()),
    }
}

/// Without the reason, which may name brokers: this is told to anyone, the report to whoever may read.
fn not_ready() -> HttpError {
    HttpError::Unavailable {
        detail: "not ready".into(),
        retry_after: READY_RETRY_AFTER,
        order_id: None,
    }
}

/// The whole report. It is 200 whatever it says: it was asked for a report and gave one.
#[utoipa::path(get, path = REPORT, tag = "operation", responses((status = 200, description = "status, reason where it is not ready, and what the service knows of itself", body = Status)))]
pub(super) async fn report(check: web::Data<dyn HealthCheck>) -> HttpResponse {
    let Health { readiness, details } = check.health();
    let mut report = Map::new();
    match readiness {
        Readiness::Ready => {
            report.insert("status".into(), "ready".into());
        }
        Readiness::NotReady(reason) => {
            report.insert("status".into(), "not_ready".into());
            report.insert("reason".into(), reason.into());
        }
    }
    report.extend(details);
    HttpResponse::Ok().json(report)
}

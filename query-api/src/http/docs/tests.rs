use std::collections::BTreeSet;
use std::sync::Arc;

use actix_web::introspection::IntrospectionTree;
use actix_web::{App, HttpResponse, test, web};
use clap::Parser as _;
use serde_json::Value;
use tokio::sync::watch;

use crate::analytics::Live;
use crate::cache::Cache;
use crate::config::Config;
use crate::events;
use crate::freshness::{Freshness, OwnFreshness};
use crate::http::{self, PAGES, State, routes};
use crate::repo::Repo;
use crate::touches::Touches;
use crate::waiting::Waiting;
use crate::warm_up::Warmth;

async fn report(tree: web::Data<IntrospectionTree>) -> HttpResponse {
    HttpResponse::Ok().body(tree.report_as_json())
}

/// Connected to nothing: routes need no answers.
fn state() -> State {
    let config = Config::parse_from(["query-api"]);
    let database = config.database.config().unwrap();
    let (_, freshness) = watch::channel(Freshness::default());
    let live = Arc::new(Live::default());
    let (_, events) = events::events(Arc::clone(&live), config.default_currency, 1);
    State {
        live,
        cache: Arc::new(Cache::new(1, Arc::new(Touches::default()))),
        repo: Repo::new(database, 1, config.acquire_timeout).unwrap(),
        waiting: Arc::new(Waiting::new(1)),
        freshness: OwnFreshness::new(freshness),
        warmth: Warmth::default(),
        events,
        anomalies: http::anomalies_gate(),
        sending: http::sending_room(),
        default_currency: config.default_currency,
    }
}

/// Pages are no calls.
fn is_page(path: &str) -> bool {
    path.starts_with("/docs") || path.starts_with("/static/") || PAGES.contains(&path)
}

#[actix_web::test]
async fn every_route_is_described_and_every_description_is_a_route() {
    let state = web::Data::new(state());
    // First: the service's own scope takes every path that is left.
    let app = App::new()
        .route("/report", web::get().to(report))
        .configure(common::http::shared_routes)
        .configure(|config| routes(config, &state));
    let app = test::init_service(app).await;
    let ask = async |path: &str| -> Value {
        let request = test::TestRequest::with_uri(path).to_request();
        test::call_and_read_body_json(&app, request).await
    };
    let routes = ask("/report").await;
    let document = ask("/openapi.json").await;
    let registered: BTreeSet<_> = lab::openapi::registered(&routes)
        .into_iter()
        .filter(|(_, path)| path != "/report" && !is_page(path))
        .collect();
    assert_eq!(lab::openapi::described(&document), registered);
}

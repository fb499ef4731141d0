//! What `/openapi.json` says of this service. The calls are described where they are handled; the examples of refusals are what
//! the code says when it refuses.

use std::collections::BTreeMap;
use std::time::Duration;

use common::http::{Docs, HttpError, problems};
use common::ids::OrderId;
use common::order::MAX_ORDER_BYTES;
use utoipa::openapi::{RefOr, Response};
use utoipa::{IntoResponses, OpenApi};

use super::ORDER_PATHS;
use super::batch::MAX_BATCH_BYTES;
use super::content::Ndjson;
use super::{batch, body, content, door, orders};
use crate::publisher::PublishError;
use crate::request::{Arrival, Record, new_order_id};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tally: orders in",
        description = "Takes orders and answers when Kafka has stored them. Errors are RFC 9457 problem documents; HEAD is answered wherever GET is."
    ),
    paths(orders::accept, batch::accept)
)]
struct Calls;

pub(super) fn docs() -> Docs {
    let mut document = Calls::openapi();
    let [canonical, aliases @ ..] = ORDER_PATHS;
    for alias in aliases {
        let mut item = document.paths.paths[canonical].clone();
        if let Some(operation) = &mut item.post {
            operation.operation_id = Some(format!("send_order_to{}", alias.replace('/', "_")));
            operation.description = Some(format!("The same as {canonical}."));
        }
        document.paths.paths.insert(alias.to_owned(), item);
    }
    Docs::new(document)
}

/// How one order may be refused.
pub(super) struct OrderProblems;

/// How a batch may be refused whole.
pub(super) struct BatchProblems;

impl IntoResponses for OrderProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let unconfirmed = PublishError::Unconfirmed("no delivery report in time".into());
        let order_id = OrderId::parse("o-1").expect("it keeps the rule");
        problems([
            (
                "Not JSON, not UTF-8, or empty",
                refusal_of(b"{\"user_id\": \"u1\","),
            ),
            (
                "The body came too slowly",
                body::too_slow(Duration::from_secs(30)),
            ),
            (
                "The body is too large, or more than the topic takes",
                body::too_large(MAX_ORDER_BYTES),
            ),
            (
                "Another content type",
                content::wrong_type("text/plain", Ndjson::Refused),
            ),
            (
                "JSON that is no order, or a bad header: all errors, each with its place in the sender's spelling",
                refusal_of(br#"{"order_id": "o-1", "user_id": "", "amount": "0.00001"}"#),
            ),
            (
                "Not known to be stored: send it again with this order_id after Retry-After seconds",
                door::not_published(&unconfirmed, order_id),
            ),
        ])
    }
}

impl IntoResponses for BatchProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let bad_key = content::bad_key(b"a b", "must be 1 to 255 visible ASCII characters");
        problems([
            (
                "Empty, or neither a JSON array nor lines",
                super::records::empty(),
            ),
            (
                "The body came too slowly",
                body::too_slow(Duration::from_secs(30)),
            ),
            (
                "More than 16 MiB or 10,000 orders",
                body::too_large(MAX_BATCH_BYTES),
            ),
            (
                "Another content type",
                content::wrong_type("text/plain", Ndjson::Allowed),
            ),
            ("A bad header", bad_key),
        ])
    }
}

fn refusal_of(body: &[u8]) -> HttpError {
    let rejection = Record::read(body, Arrival::now(Duration::ZERO), new_order_id);
    orders::refused(rejection.expect_err("the example is wrong on purpose"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use actix_web::introspection::IntrospectionTree;
    use actix_web::{App, HttpResponse, test, web};
    use clap::Parser as _;
    use serde_json::Value;

    use crate::config::Config;
    use crate::http::Door;
    use crate::publisher::Publisher;

    async fn report(tree: web::Data<IntrospectionTree>) -> HttpResponse {
        HttpResponse::Ok().body(tree.report_as_json())
    }

    /// Pages are no calls.
    fn is_page(path: &str) -> bool {
        path.starts_with("/docs")
    }

    #[actix_web::test]
    async fn every_route_is_described_and_every_description_is_a_route() {
        let config = Config::parse_from(["producer"]);
        let publisher = Arc::new(Publisher::start(config.publisher, "/test").unwrap());
        let door = Door::new(publisher, config.orders, None);
        let app = App::new()
            .configure(common::http::shared_routes)
            .configure(crate::http::routes(door))
            .route("/report", web::get().to(report));
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
}

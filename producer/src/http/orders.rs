//! `POST /orders`: one order in, one honest answer out.

use actix_web::http::header;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use common::http::HttpError;
use common::ids::{Offset, OrderId, Partition};
use common::order::{MAX_ORDER_BYTES, Order, Rejection};
use serde::Serialize;
use utoipa::ToSchema;

use super::ORDER_PATHS;
use super::body::{self, BodyLimits};
use super::content::{self, Ndjson};
use super::docs::OrderProblems;
use super::door::{Door, not_published};
use crate::request::{Arrival, IdempotencyKey, Record, new_order_id};

/// Up to here an order needs no room: as much as that, a connection's own buffer holds as well.
const SMALL_ORDER_BYTES: usize = 8 * 1024;

/// An order that the broker has stored.
#[derive(Serialize, ToSchema)]
pub(super) struct Accepted<'a> {
    #[schema(value_type = OrderId)]
    order_id: &'a OrderId,
    /// `accepted`
    #[schema(value_type = String)]
    status: &'static str,
    #[schema(value_type = String)]
    topic: &'a str,
    #[schema(value_type = i32)]
    partition: Partition,
    #[schema(value_type = i64)]
    offset: Offset,
}

/// Send one order. 202 once the broker has stored it; 503 means that nobody knows: send it again with the answer's order_id,
/// and it counts once.
#[utoipa::path(
    post,
    path = ORDER_PATHS[0],
    operation_id = "send_order",
    tag = "orders",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters: an order without an order_id gets the same one for the same key"),
        ("traceparent" = Option<String>, Header, description = "W3C trace context, carried on in the record")
    ),
    request_body(content = Order, content_type = "application/json", examples(
        ("Least" = (summary = "The least that is an order", value = json!({"user_id": "u1", "amount": 12.5}))),
        ("Items" = (summary = "With items; the amount follows from them", value = json!({
            "order_id": "o-1", "user_id": "u1", "currency": "EUR",
            "items": [{"sku": "A-1", "name": "Kettle", "quantity": 2, "unit_price": "24.95"}]}))),
        ("One item" = (summary = "One item at top level, in another system's spelling", value = json!({
            "event_id": "o-2", "user_id": "42", "product_id": "p1", "quantity": 2, "price": 6.25, "timestamp": "2026-01-01T03:00:00+03:00"}))),
        ("Whole" = (summary = "With everything that has a place, and a field that has none", value = json!({
            "order_id": "o-3", "user_id": "u1", "created_at": "2026-01-01T00:00:00Z", "currency": "USD", "amount": "1817.00",
            "track_number": "TRACK-1", "gift": true,
            "delivery": {"name": "Ada Byron", "phone": "+9720000000", "zip": "2639809", "city": "Kiryat Mozkin",
                         "address": "Ploshad Mira 15", "region": "Kraiot", "email": "ada@example.com"},
            "payment": {"transaction": "t-1", "currency": "USD", "provider": "card", "amount": 1817, "payment_dt": 1637907727,
                        "bank": "alpha", "delivery_cost": 1500, "goods_total": 317, "custom_fee": 0},
            "items": [{"sku": "9934930", "name": "Mascaras", "quantity": 1, "unit_price": "453.00", "total_price": "317.00"}]})))
    )),
    responses(
        (status = 202, description = "Stored by the broker", body = Accepted,
         headers(("Location" = String, description = "Where the order will be found, if that is configured")),
         example = json!({"order_id": "o-1", "status": "accepted", "topic": "orders", "partition": 4, "offset": 4132})),
        OrderProblems
    )
)]
pub(super) async fn accept(
    request: HttpRequest,
    payload: Payload,
    door: Data<Door>,
) -> Result<HttpResponse, HttpError> {
    content::format(&request, Ndjson::Refused)?;
    let key = content::idempotency_key(&request)?;
    let limits = BodyLimits {
        bytes: MAX_ORDER_BYTES,
        timeout: door.settings.body_timeout,
        free_bytes: SMALL_ORDER_BYTES,
        what: "orders",
    };
    // Held until the answer: the record is as large as the body.
    let mut reserved = door.order_room.reserve_nothing();
    let body = body::read(&request, payload, limits, &mut reserved).await?;
    let order_id = || {
        key.as_ref()
            .map_or_else(new_order_id, IdempotencyKey::order_id)
    };
    let arrival = Arrival::now(door.settings.max_future_skew);
    let mut record = match Record::read(&body, arrival, order_id) {
        Ok(record) => record,
        Err(rejection) => {
            door.outcomes.rejected.increment(1);
            let answer = refused(rejection).response_in(&door.batch_room);
            return answer.map_err(|_| body::no_room(limits.what));
        }
    };
    drop(body);
    record.traceparent = content::traceparent(&request);
    publish(&door, record).await
}

async fn publish(door: &Door, record: Record) -> Result<HttpResponse, HttpError> {
    let delivered = match door.publisher.publish(&record).await {
        Ok(delivered) => delivered,
        Err(error) => {
            let answer = not_published(&error, record.order_id);
            match answer {
                HttpError::PayloadTooLarge { .. } => door.outcomes.rejected.increment(1),
                _ => door.outcomes.unknown.increment(1),
            }
            return Err(answer);
        }
    };
    door.outcomes.accepted.increment(1);
    let mut response = HttpResponse::Accepted();
    if let Some(query_url) = &door.query_url {
        response.insert_header((header::LOCATION, query_url.of_order(&record.order_id)));
    }
    Ok(response.json(Accepted {
        order_id: &record.order_id,
        status: "accepted",
        topic: door.publisher.topic(),
        partition: delivered.partition,
        offset: delivered.offset,
    }))
}

pub(super) fn refused(rejection: Rejection) -> HttpError {
    match rejection {
        Rejection::NotJson { detail } => HttpError::BadRequest {
            detail: format!("the body is not JSON: {detail}"),
        },
        Rejection::Invalid { order_id, errors } => {
            let detail = "the order breaks rules; errors names each".into();
            HttpError::Unprocessable {
                detail,
                errors,
                order_id,
            }
        }
    }
}

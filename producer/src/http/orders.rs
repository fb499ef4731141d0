//! `POST /orders`: one order in, one honest answer out.

use actix_web::http::header;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use common::http::HttpError;
use common::ids::{Offset, OrderId, Partition};
use common::order::{MAX_ORDER_BYTES, Rejection};
use serde::Serialize;

use super::body::{self, BodyLimits};
use super::content::{self, Ndjson};
use super::door::{Door, not_published};
use crate::request::{Arrival, IdempotencyKey, Record, new_order_id};

/// Up to here an order needs no room: as much as that, a connection's own buffer holds as well.
const SMALL_ORDER_BYTES: usize = 8 * 1024;

/// An order that the broker has stored.
#[derive(Serialize)]
struct Accepted<'a> {
    order_id: &'a OrderId,
    status: &'static str,
    topic: &'a str,
    partition: Partition,
    offset: Offset,
}

/// 202 once the broker has confirmed; see the design's table for everything else.
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
    };
    // Held until the answer: the record is as large as the body.
    let mut reserved = door.order_room.reserve_nothing();
    let body = body::read(&request, payload, limits, &mut reserved).await?;
    let order_id = || {
        key.as_ref()
            .map_or_else(new_order_id, IdempotencyKey::order_id)
    };
    let arrival = Arrival::now(door.settings.max_future_skew);
    let mut record = Record::read(&body, arrival, order_id).map_err(|rejection| {
        door.outcomes.rejected.increment(1);
        refused(rejection)
    })?;
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

fn refused(rejection: Rejection) -> HttpError {
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

//! `POST /orders/batch`: many orders, a verdict for each. All are handed over before the first report is waited for, and
//! one deadline holds for all.
//!
//! The body is read whole before anything is published: whether it is an array at all shows only at its end, and a batch
//! that is cut off on its way is then not half taken.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use common::http::{HttpError, PROBLEM_JSON, Reserved, body_holding};
use common::order::{FieldError, Order, Rejection};
use tokio::time::Instant;

use super::BATCH_PATH;
use super::body::{self, BodyLimits};
use super::content::{self, Ndjson};
use super::docs::BatchProblems;
use super::door::{Door, RETRY_AFTER};
use super::records::records;
use super::verdict::{BatchAnswer, Entry, Problem, Reports, Verdict};
use crate::publisher::{Delivery, PublishError};
use crate::request::{Arrival, IdempotencyKey, Record, TraceParent, new_order_id};

pub(super) const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;
/// Errors told of one record, as long as those of the whole batch are no longer than the batch; then it is a short first one
/// alone. A batch of nothing but errors must not make an answer many times its size.
const MAX_ERRORS_OF_ONE: usize = 10;
const SHORT_ERROR_BYTES: usize = 80;
/// May be told of any batch, as large an answer as needs no room.
const FREE_ERROR_BYTES: usize = 32 * 1024;
/// Room for a record's verdict in the answer, which is held until the client has taken it. Accepted ones take half of it.
const ANSWER_BYTES_OF_ONE: usize = 256;
/// Between attempts to hand over a record while the queue is full.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(5);
/// Records handed over before other requests on this thread get their turn.
const RECORDS_PER_TURN: usize = 64;

/// Send up to 10,000 orders, as a JSON array or one a line (NDJSON, 16 MiB). A verdict for each, in the order in which they
/// were sent; a broken one spoils only itself. Those marked retry are to be sent again with their order_id.
#[utoipa::path(
    post,
    path = BATCH_PATH,
    operation_id = "send_orders",
    tag = "orders",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters: orders without an order_id get the same ones for the same key, by their place in the batch"),
        ("traceparent" = Option<String>, Header, description = "W3C trace context, carried on in each record")
    ),
    request_body(content(
        (Vec<Order> = "application/json", example = json!([{"order_id": "o-4", "user_id": "u1", "amount": "1.00"}, {"user_id": "u2", "amount": "2.00"}])),
        (String = "application/x-ndjson", example = json!("{\"order_id\": \"o-5\", \"user_id\": \"u1\", \"amount\": 1}\nrubbish\n"))
    )),
    responses(
        (status = 200, description = "A verdict for each order; Retry-After where any is to be sent again", body = BatchAnswer,
         example = json!({"accepted": 1, "rejected": 1, "retry": 0, "results": [
            {"index": 0, "order_id": "o-5", "status": "accepted"},
            {"index": 1, "order_id": null, "status": "rejected", "errors": [{"pointer": "", "detail": "is not JSON: expected value at line 1 column 1"}]}]})),
        (status = 503, description = "None was confirmed and some are to be sent again after Retry-After seconds: the same answer, and a problem document; or nothing was taken, then without results",
         body = common::http::Problem, content_type = "application/problem+json",
         example = json!({"type": "about:blank", "title": "Service Unavailable", "status": 503,
            "detail": "no order of the batch was confirmed; send those marked retry again with their order_id",
            "accepted": 0, "rejected": 0, "retry": 1, "results": [{"index": 0, "order_id": "o-5", "status": "retry"}]})),
        BatchProblems
    )
)]
pub(super) async fn accept(
    request: HttpRequest,
    payload: Payload,
    door: Data<Door>,
) -> Result<HttpResponse, HttpError> {
    let format = content::format(&request, Ndjson::Allowed)?;
    let key = content::idempotency_key(&request)?;
    let traceparent = content::traceparent(&request);
    let limits = BodyLimits {
        bytes: MAX_BATCH_BYTES,
        timeout: door.settings.body_timeout,
        free_bytes: 0,
        what: "batches",
    };
    let mut reserved = door.batch_room.reserve_nothing();
    let body = body::read(&request, payload, limits, &mut reserved).await?;
    let records = records(&body, format)?;
    // Afterwards it would be too late to say that there is no room for the answer.
    let room = reserved.grow_to(body.len() + records.len() * ANSWER_BYTES_OF_ONE);
    room.map_err(|_| body::no_room(limits.what))?;
    let batch = Batch {
        door: &door,
        key,
        traceparent,
        deadline: Instant::now() + door.publisher.delivery_timeout(),
    };
    let entries = batch.publish(&records, body.len()).await;
    Ok(answer(&door, entries, reserved))
}

/// What the records of one request have in common.
struct Batch<'a> {
    door: &'a Door,
    key: Option<IdempotencyKey>,
    traceparent: Option<TraceParent>,
    deadline: Instant,
}

impl Batch<'_> {
    /// Errors are told in as many bytes as the body had.
    async fn publish(&self, records: &[&[u8]], body_bytes: usize) -> Vec<Entry> {
        let arrival = Arrival::now(self.door.settings.max_future_skew);
        let reports = Reports::new();
        let mut entries: Vec<Entry> = Vec::with_capacity(records.len());
        let mut error_room = body_bytes + FREE_ERROR_BYTES;
        for (index, json) in records.iter().enumerate() {
            if index % RECORDS_PER_TURN == RECORDS_PER_TURN - 1 {
                tokio::task::yield_now().await;
            }
            let mut entry = self.enter(index, json, arrival, &reports).await;
            if let Verdict::Rejected(errors) = &mut entry.verdict {
                tell_few(errors, &mut error_room);
            }
            entries.push(entry);
        }
        for (index, verdict) in reports.wait(self.deadline).await {
            entries[index].verdict = verdict;
        }
        entries
    }

    /// Hands one record over. Its verdict is `Retry` until a report says otherwise.
    async fn enter(
        &self,
        index: usize,
        json: &[u8],
        arrival: Arrival,
        reports: &Arc<Reports>,
    ) -> Entry {
        let order_id = || {
            self.key
                .as_ref()
                .map_or_else(new_order_id, |key| key.order_id_at(index))
        };
        match Record::read(json, arrival, order_id) {
            Ok(mut record) => {
                record.traceparent.clone_from(&self.traceparent);
                let verdict = self.submit(index, &record, reports).await;
                Entry {
                    order_id: Some(record.order_id),
                    verdict,
                }
            }
            Err(rejection) => refused(rejection),
        }
    }

    async fn submit(&self, index: usize, record: &Record, reports: &Arc<Reports>) -> Verdict {
        let number = u64::try_from(index).expect("an index fits 64 bits");
        loop {
            reports.expect_one();
            let delivery = Delivery::Of(Arc::clone(reports) as _, number);
            let Err(error) = self.door.publisher.submit(record, delivery) else {
                return Verdict::Retry;
            };
            reports.one_less();
            if error != PublishError::QueueFull || Instant::now() >= self.deadline {
                return Verdict::of(&error);
            }
            tokio::time::sleep(QUEUE_FULL_PAUSE).await;
        }
    }
}

fn refused(rejection: Rejection) -> Entry {
    match rejection {
        Rejection::NotJson { detail } => Entry {
            order_id: None,
            verdict: Verdict::rejected_whole(format!("is not JSON: {detail}")),
        },
        Rejection::Invalid { order_id, errors } => {
            let verdict = Verdict::Rejected(errors);
            Entry { order_id, verdict }
        }
    }
}

/// Leaves of one record's errors what there is room for, and how many there are more.
fn tell_few(errors: &mut Vec<FieldError>, room_bytes: &mut usize) {
    let bytes = |errors: &[FieldError]| serde_json::to_vec(errors).map_or(0, |json| json.len());
    let all = errors.len();
    errors.truncate(MAX_ERRORS_OF_ONE);
    match room_bytes.checked_sub(bytes(errors)) {
        Some(rest) => *room_bytes = rest,
        None => {
            errors.truncate(1);
            errors.retain(|first| bytes(std::slice::from_ref(first)) <= SHORT_ERROR_BYTES);
        }
    }
    let more = all - errors.len();
    if more > 0 {
        let detail = if errors.is_empty() {
            format!("has {more} errors, too long to tell here")
        } else {
            format!("has {more} errors more")
        };
        errors.push(FieldError {
            pointer: String::new(),
            detail,
        });
    }
}

fn answer(door: &Door, entries: Vec<Entry>, reserved: Reserved) -> HttpResponse {
    let mut answer = BatchAnswer::new(entries);
    let count = |number: usize| u64::try_from(number).expect("a count fits 64 bits");
    door.outcomes.accepted.increment(count(answer.accepted));
    door.outcomes.rejected.increment(count(answer.rejected));
    door.outcomes.unknown.increment(count(answer.retry));
    let (mut status, mut content_type) = (StatusCode::OK, "application/json");
    if answer.retry > 0 && answer.accepted == 0 {
        (status, content_type) = (StatusCode::SERVICE_UNAVAILABLE, PROBLEM_JSON);
        answer.problem = Some(Problem {
            r#type: "about:blank",
            title: "Service Unavailable",
            status: status.as_u16(),
            detail: "no order of the batch was confirmed; send those marked retry again with their order_id",
        });
    }
    let mut response = HttpResponse::build(status);
    response.insert_header((header::CONTENT_TYPE, content_type));
    if answer.retry > 0 {
        response.insert_header((header::RETRY_AFTER, RETRY_AFTER.as_secs()));
    }
    let json = serde_json::to_vec(&answer).expect("verdicts are JSON");
    response.body(body_holding(reserved, json.into()))
}

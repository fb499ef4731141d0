//! Reading a body: no more than its limit, no longer than its deadline, and all bodies of a kind together within one bound.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::web::{Bytes, BytesMut, Payload};
use common::http::{HttpError, Reserved};
use futures_util::StreamExt as _;

use super::door::RETRY_AFTER;

/// How a body may arrive.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyLimits {
    pub(super) bytes: usize,
    pub(super) timeout: Duration,
    /// The beginning of a body that needs no room, so that small ones are read however little is left.
    pub(super) free_bytes: usize,
    /// What the body is: "orders", "batches".
    pub(super) what: &'static str,
}

/// Reads a body whole. What it takes is taken from `reserved`, which is to be held for as long as the body or what was made
/// of it.
pub(super) async fn read(
    request: &HttpRequest,
    payload: Payload,
    limits: BodyLimits,
    reserved: &mut Reserved,
) -> Result<Bytes, HttpError> {
    let announced = announced_length(request);
    if announced.is_some_and(|length| length > limits.bytes) {
        return Err(too_large(limits.bytes));
    }
    let arriving = arrive(payload, announced.unwrap_or(0), limits, reserved);
    match tokio::time::timeout(limits.timeout, arriving).await {
        Ok(body) => body,
        Err(_) => Err(too_slow(limits.timeout)),
    }
}

async fn arrive(
    mut payload: Payload,
    announced: usize,
    limits: BodyLimits,
    reserved: &mut Reserved,
) -> Result<Bytes, HttpError> {
    // Most orders come in one piece, which is then not copied.
    let mut only = Bytes::new();
    let mut pieces = BytesMut::new();
    while let Some(piece) = payload.next().await {
        let piece = piece.map_err(|error| broken(&error, limits.bytes))?;
        let length = only.len() + pieces.len() + piece.len();
        if length > limits.bytes {
            return Err(too_large(limits.bytes));
        }
        let room = reserved.grow_to(length.saturating_sub(limits.free_bytes));
        room.map_err(|_| no_room(limits.what))?;
        if only.is_empty() && pieces.is_empty() {
            only = piece;
            continue;
        }
        if pieces.is_empty() {
            pieces.reserve(announced.max(only.len() + piece.len()));
            pieces.extend_from_slice(&std::mem::take(&mut only));
        }
        pieces.extend_from_slice(&piece);
    }
    Ok(if pieces.is_empty() {
        only
    } else {
        pieces.freeze()
    })
}

fn announced_length(request: &HttpRequest) -> Option<usize> {
    request
        .headers()
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

pub(super) fn too_slow(timeout: Duration) -> HttpError {
    let seconds = timeout.as_secs_f32();
    HttpError::RequestTimeout {
        detail: format!("the body took longer than {seconds} s to arrive"),
    }
}

pub(super) fn too_large(limit: usize) -> HttpError {
    HttpError::PayloadTooLarge {
        detail: format!("the body may have at most {limit} bytes"),
        order_id: None,
    }
}

/// Nothing was published yet. No order is named: whose id it will be shows only in the body, and an `Idempotency-Key` gives
/// one only where that names none. To send another one would be to send another order.
pub(super) fn no_room(what: &str) -> HttpError {
    HttpError::Unavailable {
        detail: format!(
            "too many {what} at once; nothing of this request was taken: send it again as it is"
        ),
        retry_after: RETRY_AFTER,
        order_id: None,
    }
}

fn broken(error: &PayloadError, limit: usize) -> HttpError {
    match error {
        PayloadError::Overflow => too_large(limit),
        PayloadError::Incomplete(_) => HttpError::BadRequest {
            detail: "the body ended early".into(),
        },
        _ => HttpError::BadRequest {
            detail: "the body could not be read".into(),
        },
    }
}

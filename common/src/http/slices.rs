//! Answers on their way to clients who may never read them.
//!
//! The server library copies what a body hands it into the connection's buffer, all of it, and asks for more while there is
//! less than 32 KiB in that. So a body that comes as one piece is copied whole for a client who takes nothing. Small ones go
//! that way, which is the fast one; a large one is handed over in slices, and what it is made of counts as held until the
//! client has it, or is given up ([`ServerConfig::send_timeout`]).
//!
//! [`ServerConfig::send_timeout`]: super::ServerConfig::send_timeout

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, EitherBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Bytes;

use super::room::{NoRoom, Reserved, Room};

/// A larger body is handed over in slices of this size.
const SLICE_BYTES: usize = 64 * 1024;

/// A body of known length, a slice at a time.
#[derive(Debug)]
struct Slices {
    rest: Bytes,
    _held: Option<Arc<Reserved>>,
}

/// The room of one large body that many clients may take at once: it is in memory once, until the last of them has it.
#[derive(Debug, Default)]
pub struct SharedRoom(Mutex<Weak<Reserved>>);

impl SharedRoom {
    /// A form of the body whose longest has `most_bytes`.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn body_in(
        &self,
        room: &Arc<Room>,
        body: Bytes,
        most_bytes: usize,
    ) -> Result<BoxBody, NoRoom> {
        if body.len() <= SLICE_BYTES {
            return Ok(boxed(body, None));
        }
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = match shared.upgrade() {
            Some(held) => held,
            None => {
                let held = Arc::new(room.reserve(most_bytes)?);
                *shared = Arc::downgrade(&held);
                held
            }
        };
        Ok(boxed(body, Some(held)))
    }
}

/// A body that is in memory anyway, whoever is sent it.
#[must_use]
pub fn shared_body(body: Bytes) -> BoxBody {
    boxed(body, None)
}

/// A body for one client; a large one takes its place in `room` until it was sent.
///
/// # Errors
/// [`NoRoom`].
pub fn body_in(room: &Arc<Room>, body: Bytes) -> Result<BoxBody, NoRoom> {
    let is_large = body.len() > SLICE_BYTES;
    let held = is_large.then(|| room.reserve(body.len())).transpose()?;
    Ok(boxed(body, held.map(Arc::new)))
}

/// A body for which room was reserved before its length was known; what a large one does not need is given back now, the
/// rest when it was sent.
#[must_use]
pub fn body_holding(mut reserved: Reserved, body: Bytes) -> BoxBody {
    reserved.shrink_to(body.len());
    boxed(body, Some(Arc::new(reserved)))
}

fn boxed(body: Bytes, held: Option<Arc<Reserved>>) -> BoxBody {
    if body.len() <= SLICE_BYTES {
        return BoxBody::new(body);
    }
    BoxBody::new(Slices {
        rest: body,
        _held: held,
    })
}

/// The body of an answer that has none, like 304.
#[derive(Debug)]
pub(super) struct Nothing;

/// Lets an answer without a body wait until there is room in the connection's buffer, as those with one do. Else its head is
/// put there however much is, and the next request is read: who asks on and on and takes nothing would fill the memory.
pub(super) fn in_turn<B: MessageBody>(
    response: ServiceResponse<B>,
) -> ServiceResponse<EitherBody<B, Nothing>> {
    response.map_body(|head, body| {
        let is_empty = body.size() == BodySize::Sized(0);
        if !is_empty && body.size() != BodySize::None {
            return EitherBody::left(body);
        }
        // Of unknown length, which is what is asked for its next piece; but said to end at once, where that is to be said.
        head.no_chunking(true);
        let has_length = !matches!(
            head.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
        if is_empty && has_length {
            let none = HeaderValue::from_static("0");
            head.headers_mut().insert(header::CONTENT_LENGTH, none);
        }
        EitherBody::right(Nothing)
    })
}

impl MessageBody for Nothing {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(None)
    }
}

impl MessageBody for Slices {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.rest.len() as u64)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        let length = self.rest.len().min(SLICE_BYTES);
        let slice = self.rest.split_to(length);
        Poll::Ready((!slice.is_empty()).then_some(Ok(slice)))
    }
}

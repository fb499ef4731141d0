//! Large answers on their way to clients who may never read them.
//!
//! The server library copies what a body hands it into the connection's buffer, all of it, and asks for more while there is
//! less than 32 KiB in that. So a body that comes as one piece is copied whole for a client who takes nothing. Small ones go
//! that way, which is the fast one; a large one is handed over in slices, and what it is made of counts as held until the
//! client has it, or is given up ([`ServerConfig::send_timeout`]).
//!
//! [`ServerConfig::send_timeout`]: super::ServerConfig::send_timeout

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;

use super::room::{NoRoom, Reserved, Room};

/// A larger body is handed over in slices of this size.
const SLICE_BYTES: usize = 64 * 1024;

/// A body of known length, a slice at a time.
#[derive(Debug)]
struct Slices {
    rest: Bytes,
    _held: Option<Reserved>,
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
    Ok(boxed(body, held))
}

/// A body for which room was reserved before its length was known; what a large one does not need is given back now, the
/// rest when it was sent.
#[must_use]
pub fn body_holding(mut reserved: Reserved, body: Bytes) -> BoxBody {
    reserved.shrink_to(body.len());
    boxed(body, Some(reserved))
}

fn boxed(body: Bytes, held: Option<Reserved>) -> BoxBody {
    if body.len() <= SLICE_BYTES {
        return BoxBody::new(body);
    }
    BoxBody::new(Slices {
        rest: body,
        _held: held,
    })
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

//! `/events`: the summary as it changes, as server-sent events; `/lag`: how far the tables are behind the topic.
//! Source: <https://html.spec.whatwg.org/multipage/server-sent-events.html>.

use std::convert::Infallible;

use actix_web::http::Method;
use actix_web::http::header::{self, CacheDirective, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use common::http::{HttpError, readable};
use futures_util::StreamExt;

use super::answer::untagged;
use super::{State, unavailable};
use crate::views;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Proxies that collect a response before they pass it on are asked not to.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(readable("/events", events))
        .service(readable("/lag", lag));
}

async fn events(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, HttpError> {
    let last_event_id = request.headers().get(LAST_EVENT_ID);
    let last_event_id = last_event_id.map(|id| Bytes::copy_from_slice(id.as_bytes()));
    let listening = state.events.listen(last_event_id);
    let listening = listening.map_err(|error| unavailable(&error.to_string()))?;
    let mut response = HttpResponse::Ok();
    response
        .content_type("text/event-stream")
        .insert_header(header::CacheControl(vec![CacheDirective::NoStore]))
        .insert_header((X_ACCEL_BUFFERING, "no"));
    if request.method() == Method::HEAD {
        return Ok(response.finish());
    }
    Ok(response.streaming(listening.map(Ok::<_, Infallible>)))
}

async fn lag(state: web::Data<State>) -> Result<HttpResponse, HttpError> {
    let seen = state.seen()?;
    untagged(&state, views::lag(&seen.lag), None)
}

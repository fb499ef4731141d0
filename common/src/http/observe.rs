//! Around every request: its duration, the headers that every answer carries, and a problem document where the server
//! library itself answered an error without one (a wrong method, an unreadable parameter).

use std::cell::RefCell;
use std::time::Duration;

use actix_web::ResponseError;
use actix_web::body::MessageBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode, header};
use metrics::Histogram;

use super::problem::{HttpError, PROBLEM_JSON};
use super::slices::in_turn;

const DURATION: &str = "http_request_duration_seconds";
/// The route of requests to paths that nobody serves: one name for all, so that strangers cannot make up metrics.
const NO_ROUTE: &str = "none";

const NO_SNIFFING: HeaderValue = HeaderValue::from_static("nosniff");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
const NO_PAGE: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
const PRIVATE_NO_CACHE: HeaderValue = HeaderValue::from_static("private, no-cache");

/// Called last: with the headers that are still missing, and counted.
pub(super) fn finish(
    mut response: ServiceResponse,
    is_private: bool,
    duration: Duration,
) -> ServiceResponse<impl MessageBody> {
    let is_error = response.status().is_client_error() || response.status().is_server_error();
    secure(response.headers_mut(), is_error, is_private);
    record(&response, duration);
    in_turn(response)
}

/// What every answer says to browsers and caches. It is what it claims to be. It is no page, and nobody may frame it; what is
/// one says itself what it may show, and gives its address away to nobody whom it leads to. Unless its handler said otherwise,
/// errors are kept nowhere, and what only a key's holder may see by himself at most: nowhere either, unless its handler has it
/// asked for again each time.
fn secure(headers: &mut HeaderMap, is_error: bool, is_private: bool) {
    // Appended, here and wherever a header cannot be there yet: `insert` hands back what it replaced, 176 bytes even of nothing.
    headers.append(header::X_CONTENT_TYPE_OPTIONS, NO_SNIFFING);
    if headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        headers.append(header::REFERRER_POLICY, NO_REFERRER);
    } else {
        headers.append(header::CONTENT_SECURITY_POLICY, NO_PAGE);
    }
    if (is_error || is_private) && !headers.contains_key(header::CACHE_CONTROL) {
        headers.append(header::CACHE_CONTROL, NO_STORE);
    }
    if is_private && headers.get(header::CACHE_CONTROL) == Some(&NO_CACHE) {
        headers.insert(header::CACHE_CONTROL, PRIVATE_NO_CACHE);
    }
}

/// Called first: with a problem document where there should be one.
pub(super) fn explained(response: ServiceResponse) -> ServiceResponse {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let is_explained = content_type.is_some_and(|value| {
        value.as_bytes().starts_with(PROBLEM_JSON.as_bytes())
            || value.as_bytes().starts_with(b"application/json")
    });
    if is_explained {
        return response;
    }
    let allow = match status {
        StatusCode::METHOD_NOT_ALLOWED => allowed_methods(&response),
        _ => Vec::new(),
    };
    let problem = HttpError::from_library(status, allow).error_response();
    response.into_response(problem)
}

fn allowed_methods(response: &ServiceResponse) -> Vec<Method> {
    let listed = response.headers().get_all(header::ALLOW);
    listed
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|method| method.trim().parse().ok())
        .collect()
}

thread_local! {
    /// Each worker looks a route's histogram up once; they are few, and searched in order.
    static HISTOGRAMS: RefCell<Vec<(StatusCode, String, Histogram)>> = RefCell::default();
}

fn record(response: &ServiceResponse, duration: Duration) {
    let status = response.status();
    let route = response.request().match_name().unwrap_or(NO_ROUTE);
    HISTOGRAMS.with_borrow_mut(|histograms| {
        let mut known = histograms.iter();
        if let Some((.., histogram)) = known.find(|(of, at, _)| *of == status && at == route) {
            return histogram.record(duration);
        }
        let (at, of) = (route.to_owned(), status.as_str().to_owned());
        let histogram = metrics::histogram!(DURATION, "route" => at, "status" => of);
        histogram.record(duration);
        histograms.push((status, route.to_owned(), histogram));
    });
}

//! From an answer in memory to a response, and from what went wrong to a problem.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use common::http::{HttpError, NoRoom, body_in, shared_body};
use futures_util::future::{Either, ready};

use super::{State, unavailable};
use crate::cache::{Answer, Origin};
use crate::compression::Compressed;
use crate::gate::Crowded;
use crate::repo::RepoError;
use crate::views::NoAnswer;

const X_DATA_SOURCE: HeaderName = HeaderName::from_static("x-data-source");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const HIT: HeaderValue = HeaderValue::from_static("cache;desc=hit");
/// Caches on the way keep the two forms apart.
pub(super) const VARY: HeaderValue = HeaderValue::from_static("accept-encoding");
pub(super) const GZIP: HeaderValue = HeaderValue::from_static("gzip");
/// Answers may be kept, and are asked for again each time: with the entity tag that costs no body.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

/// Why there is nothing to answer with.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("there is no such order")]
    UnknownOrder,
    #[error("the database is away")]
    Away,
    #[error("the service is stopping")]
    Stopping,
    #[error(transparent)]
    Repo(#[from] RepoError),
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    #[error(transparent)]
    Crowded(#[from] Crowded),
}

impl LoadError {
    /// Shared by all who waited for the load, hence by reference.
    pub(super) fn to_http(&self) -> HttpError {
        match self {
            Self::UnknownOrder => HttpError::NotFound {
                detail: self.to_string(),
            },
            Self::Away => unavailable("not in memory, and the database cannot be reached"),
            Self::Repo(error @ RepoError::Crowded) => unavailable(&error.to_string()),
            Self::Crowded(error) => unavailable(&error.to_string()),
            Self::Stopping => unavailable(&self.to_string()),
            Self::Repo(error @ (RepoError::Unavailable(_) | RepoError::Silent(_))) => {
                // The feed reports once that the database is away; each request that met it need not.
                tracing::debug!(%error, "a load failed");
                unavailable("not in memory, and the database did not answer")
            }
            Self::Repo(RepoError::Corrupt(error)) => HttpError::internal(error),
            Self::NoAnswer(NoAnswer::NotLoaded(error)) => unavailable(&error.to_string()),
            Self::NoAnswer(NoAnswer::TooManyBuckets(error)) => {
                super::parameters::invalid("from", &error.to_string())
            }
        }
    }
}

/// What an answer is written in, and where it comes from if it was not ready.
#[derive(Debug)]
pub(super) struct Kind {
    content_type: HeaderValue,
    loaded_from: HeaderValue,
}

const MEMORY: HeaderValue = HeaderValue::from_static("cache");
const DATABASE: HeaderValue = HeaderValue::from_static("database");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Read from the tables.
pub(super) static ROWS: Kind = Kind {
    content_type: JSON,
    loaded_from: DATABASE,
};
/// Made of aggregates, which are always in memory.
pub(super) static TOTALS: Kind = Kind {
    content_type: JSON,
    loaded_from: MEMORY,
};
pub(super) static CHART: Kind = Kind {
    content_type: HeaderValue::from_static("image/svg+xml"),
    loaded_from: MEMORY,
};

/// The answer with its entity tag, compressed where the client reads that and it pays; 304 where the client has it. To be awaited
/// at once: what needs no compressing has been made when this returns.
pub(super) fn tagged<'a>(
    request: &'a HttpRequest,
    state: &'a State,
    found: (Answer, Origin),
    kind: &'static Kind,
) -> impl Future<Output = Result<HttpResponse, HttpError>> + 'a {
    if found.0.large.is_none() || !accepts_gzip(request) {
        return Either::Left(ready(respond(request, state, found, kind, None)));
    }
    // Boxed: few answers need a future of this size.
    Either::Right(Box::pin(async move {
        let compressed = found.0.compressed().await;
        respond(request, state, found, kind, compressed)
    }))
}

fn respond(
    request: &HttpRequest,
    state: &State,
    (answer, origin): (Answer, Origin),
    kind: &'static Kind,
    compressed: Option<Compressed>,
) -> Result<HttpResponse, HttpError> {
    let is_compressed = compressed.is_some();
    let (source, timing) = match origin {
        Origin::Cache => (MEMORY, HIT),
        Origin::Load => (kind.loaded_from.clone(), miss(answer.load_time)),
    };
    let (length, large) = (answer.body.len(), answer.large);
    let (body, etag) = match compressed {
        Some(Compressed { body, etag }) => (body, etag),
        None => (answer.body, answer.etag),
    };
    let is_known = matches_tag(request, &etag);
    let mut response = if is_known {
        HttpResponse::new(StatusCode::NOT_MODIFIED)
    } else {
        let body = match &large {
            Some(large) => large.sending.body_in(&state.sending, body, length),
            None => Ok(shared_body(body)),
        };
        HttpResponse::with_body(StatusCode::OK, body.map_err(too_many_large)?)
    };
    let headers = response.headers_mut();
    headers.append(header::CACHE_CONTROL, REVALIDATE);
    headers.append(header::ETAG, etag);
    headers.append(X_DATA_SOURCE, source);
    headers.append(SERVER_TIMING, timing);
    if large.is_some() {
        headers.append(header::VARY, VARY);
    }
    if !is_known {
        headers.append(header::CONTENT_TYPE, kind.content_type.clone());
        if is_compressed {
            headers.append(header::CONTENT_ENCODING, GZIP);
        }
    }
    Ok(response)
}

/// An answer that is not worth a tag: from memory, or loaded for this client alone within `load_time`.
pub(super) fn untagged(
    state: &State,
    body: impl Into<Bytes>,
    load_time: Option<Duration>,
) -> Result<HttpResponse, HttpError> {
    let body = body_in(&state.sending, body.into()).map_err(too_many_large)?;
    let (source, timing) = match load_time {
        None => (MEMORY, HIT),
        Some(load_time) => (DATABASE, miss(load_time)),
    };
    let mut response = HttpResponse::with_body(StatusCode::OK, body);
    let headers = response.headers_mut();
    headers.append(header::CACHE_CONTROL, REVALIDATE);
    headers.append(X_DATA_SOURCE, source);
    headers.append(SERVER_TIMING, timing);
    headers.append(header::CONTENT_TYPE, JSON);
    Ok(response)
}

fn too_many_large(_: NoRoom) -> HttpError {
    unavailable("too many large answers are on their way to clients")
}

fn miss(load_time: Duration) -> HeaderValue {
    let load_ms = load_time.as_secs_f64() * 1_000.0;
    let text = format!("cache;desc=miss, load;dur={load_ms:.3}");
    HeaderValue::from_maybe_shared(text).expect("digits are visible ASCII")
}

/// RFC 9110: the weight of `gzip`, else of `*`, is not zero. Without the header nothing is compressed: who can read it
/// says so.
pub(super) fn accepts_gzip(request: &HttpRequest) -> bool {
    let sent = request.headers().get_all(header::ACCEPT_ENCODING);
    let codings = sent.filter_map(|value| value.to_str().ok());
    let mut any = false;
    for coding in codings.flat_map(|value| value.split(',')) {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = parameters.trim().strip_prefix("q=").unwrap_or("1");
        let accepted = weight
            .trim()
            .parse::<f32>()
            .is_ok_and(|weight| weight > 0.0);
        match name.trim() {
            name if name.eq_ignore_ascii_case("gzip") => return accepted,
            "*" => any = accepted,
            _ => {}
        }
    }
    any
}

/// RFC 9110: a list of tags or `*`, compared weakly.
pub(super) fn matches_tag(request: &HttpRequest, etag: &HeaderValue) -> bool {
    let sent = request.headers().get_all(header::IF_NONE_MATCH);
    sent.flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|tag| {
            let tag = tag.trim_ascii();
            tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == etag.as_bytes()
        })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn gzip_is_sent_to_those_alone_who_say_that_they_read_it() {
        let accepts = |value: &str| {
            let request = TestRequest::get().insert_header((header::ACCEPT_ENCODING, value));
            accepts_gzip(&request.to_http_request())
        };
        for value in ["gzip", "br, GZIP;q=0.5", "*", "identity;q=0, *;q=0.1"] {
            assert!(accepts(value), "{value}");
        }
        for value in ["", "br", "gzip;q=0", "gzip;q=0.0, *", "gzip;q=x", "*;q=0"] {
            assert!(!accepts(value), "{value}");
        }
        assert!(!accepts_gzip(&TestRequest::get().to_http_request()));
    }

    #[test]
    fn a_tag_is_found_in_a_list_and_weak_ones_count() {
        let tag = HeaderValue::from_static("\"a\"");
        let request = |value: &str| {
            TestRequest::get()
                .insert_header((header::IF_NONE_MATCH, value))
                .to_http_request()
        };
        for value in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*"] {
            assert!(matches_tag(&request(value), &tag), "{value}");
        }
        for value in ["\"b\"", "a", "\"A\"", ""] {
            assert!(!matches_tag(&request(value), &tag), "{value}");
        }
        assert!(!matches_tag(&TestRequest::get().to_http_request(), &tag));
    }
}

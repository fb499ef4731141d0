//! From an answer in memory to a response, and from what went wrong to a problem.

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use common::http::HttpError;

use super::unavailable;
use crate::cache::{Answer, Origin};
use crate::repo::RepoError;
use crate::views::NoAnswer;

const X_DATA_SOURCE: HeaderName = HeaderName::from_static("x-data-source");
/// Answers may be kept, and are asked for again each time: with the entity tag that costs no body.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

/// Why there is nothing to answer with.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("there is no such order")]
    UnknownOrder,
    #[error("the database is away")]
    Away,
    #[error(transparent)]
    Repo(#[from] RepoError),
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
}

impl LoadError {
    /// Shared by all who waited for the load, hence by reference.
    pub(super) fn to_http(&self) -> HttpError {
        match self {
            Self::UnknownOrder => HttpError::NotFound {
                detail: self.to_string(),
            },
            Self::Away => unavailable("not in memory, and the database cannot be reached"),
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

/// Where the client is told that an answer came from.
pub(super) fn data_source(origin: Origin) -> &'static str {
    match origin {
        Origin::Cache => "cache",
        Origin::Load => "database",
    }
}

/// The answer with its entity tag; 304 where the client has it.
pub(super) fn tagged(
    request: &HttpRequest,
    answer: &Answer,
    source: Option<&'static str>,
) -> HttpResponse {
    let mut response = if matches_tag(request, &answer.etag) {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    response.insert_header((header::CACHE_CONTROL, REVALIDATE));
    if let Ok(etag) = HeaderValue::from_maybe_shared(answer.etag.clone()) {
        response.insert_header((header::ETAG, etag));
    }
    if let Some(source) = source {
        response.insert_header((X_DATA_SOURCE, HeaderValue::from_static(source)));
    }
    if matches_tag(request, &answer.etag) {
        return response.finish();
    }
    response
        .content_type(header::ContentType::json())
        .body(answer.body.clone())
}

/// An answer that is not worth a tag.
pub(super) fn untagged(body: impl Into<Bytes>, source: Option<&'static str>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CACHE_CONTROL, REVALIDATE));
    if let Some(source) = source {
        response.insert_header((X_DATA_SOURCE, HeaderValue::from_static(source)));
    }
    response
        .content_type(header::ContentType::json())
        .body(body.into())
}

/// RFC 9110: a list of tags or `*`, compared weakly.
pub(super) fn matches_tag(request: &HttpRequest, etag: &[u8]) -> bool {
    let sent = request.headers().get_all(header::IF_NONE_MATCH);
    sent.flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|tag| {
            let tag = tag.trim_ascii();
            tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == etag
        })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_tag_is_found_in_a_list_and_weak_ones_count() {
        let request = |value: &str| {
            TestRequest::get()
                .insert_header((header::IF_NONE_MATCH, value))
                .to_http_request()
        };
        for value in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*"] {
            assert!(matches_tag(&request(value), b"\"a\""), "{value}");
        }
        for value in ["\"b\"", "a", "\"A\"", ""] {
            assert!(!matches_tag(&request(value), b"\"a\""), "{value}");
        }
        assert!(!matches_tag(
            &TestRequest::get().to_http_request(),
            b"\"a\""
        ));
    }
}

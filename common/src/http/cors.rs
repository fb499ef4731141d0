//! Which web pages may call from a browser: those of the origins in `CORS_ORIGINS`, and our own. Browsers keep others from
//! reading; from sending they do not always (a body without a content type needs no leave), so that is refused here.
//!
//! It protects people who use a browser, not the server: whoever calls without one is not asked where he comes from.

use std::str::FromStr;

use actix_web::HttpResponse;
use actix_web::dev::ServiceRequest;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST");
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, idempotency-key, if-none-match, traceparent, x-api-key",
);
const ANSWER_HEADERS: HeaderValue = HeaderValue::from_static(
    "etag, location, ratelimit, ratelimit-policy, retry-after, x-as-of, x-data-source, x-stale",
);
/// Browsers ask again after this many seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const ANY: HeaderValue = HeaderValue::from_static("*");

/// `scheme://host[:port]` as browsers write it, or `*` for every page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(HeaderValue);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be * or an origin as browsers write it: lower case, without a path, like https://shop.example or http://localhost:3000"
)]
pub struct InvalidOrigin;

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let host = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"));
        let is_host_character = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._:[]".contains(&byte)
        };
        let is_origin =
            host.is_some_and(|host| !host.is_empty() && host.bytes().all(is_host_character));
        if text != "*" && !is_origin {
            return Err(InvalidOrigin);
        }
        HeaderValue::from_str(text)
            .map(Self)
            .map_err(|_| InvalidOrigin)
    }
}

/// The setting.
#[derive(Debug, Clone, Default)]
pub(super) struct Origins(Vec<Origin>);

impl Origins {
    pub(super) fn new(origins: &[Origin]) -> Self {
        Self(origins.to_vec())
    }

    /// What a page's request may be told; `None` where it is not to be read by that page.
    pub(super) fn grant(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        if self.0.is_empty() {
            return None;
        }
        let origin = headers.get(header::ORIGIN)?;
        if self.0.iter().any(|Origin(allowed)| *allowed == ANY) {
            return Some(ANY);
        }
        self.0
            .iter()
            .find(|Origin(allowed)| allowed == origin)
            .map(|Origin(allowed)| allowed.clone())
    }

    /// Whether a page would change something that is neither ours nor named. Only browsers say where a request comes from.
    pub(super) fn refuse(&self, request: &ServiceRequest) -> bool {
        if matches!(
            *request.method(),
            Method::GET | Method::HEAD | Method::OPTIONS
        ) {
            return false;
        }
        let headers = request.headers();
        let Some(origin) = headers.get(header::ORIGIN) else {
            return false;
        };
        let authority = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.split_once("://"));
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let is_own = authority.is_some_and(|(_, authority)| Some(authority) == host);
        !is_own && self.grant(headers).is_none()
    }

    /// The answer to a browser's question whether it may send a page's request, which carries no key.
    pub(super) fn preflight(&self, request: &ServiceRequest) -> Option<HttpResponse> {
        let asked = request.method() == Method::OPTIONS
            && request
                .headers()
                .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if !asked || self.0.is_empty() {
            return None;
        }
        let mut answer = HttpResponse::NoContent();
        if self.grant(request.headers()).is_some() {
            answer
                .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, METHODS))
                .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS))
                .insert_header((header::ACCESS_CONTROL_MAX_AGE, MAX_AGE));
        }
        Some(answer.finish())
    }

    /// Says who may read an answer.
    pub(super) fn tell(&self, grant: Option<HeaderValue>, headers: &mut HeaderMap) {
        if self.0.is_empty() {
            return;
        }
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = grant {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, ANSWER_HEADERS);
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn only_our_own_pages_and_those_that_are_named_may_send() {
        let origins = Origins::new(&["https://shop.example".parse().unwrap()]);
        let refused = |method, origin: Option<&'static str>| {
            let request = TestRequest::default()
                .method(method)
                .insert_header((header::HOST, "127.0.0.1:8080"));
            let request = match origin {
                Some(origin) => request.insert_header((header::ORIGIN, origin)),
                None => request,
            };
            origins.refuse(&request.to_srv_request())
        };
        assert!(refused(Method::POST, Some("https://evil.example")));
        assert!(refused(Method::POST, Some("null")));
        assert!(!refused(Method::POST, Some("http://127.0.0.1:8080")));
        assert!(!refused(Method::POST, Some("https://shop.example")));
        assert!(!refused(Method::POST, None));
        assert!(!refused(Method::GET, Some("https://evil.example")));
    }

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for good in [
            "*",
            "https://shop.example",
            "http://localhost:3000",
            "http://[::1]:80",
        ] {
            assert!(good.parse::<Origin>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "shop.example",
            "https://",
            "https://shop.example/",
            "https://Shop.example",
            "https://a b",
            "https://*.example",
            "null",
        ] {
            assert_eq!(bad.parse::<Origin>(), Err(InvalidOrigin), "{bad}");
        }
    }
}

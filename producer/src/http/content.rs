//! What a request's headers say about its body and about repetition.

use actix_web::HttpRequest;
use actix_web::http::header;
use common::http::{HttpError, KeyName};
use common::order::{FieldError, excerpt};

use crate::request::{IdempotencyKey, TraceParent};

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// How a body is written, as far as its sender says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Ndjson,
    /// No content type: read as what it looks like.
    Unsaid,
}

/// The format of a body that may be JSON, or NDJSON where `ndjson` allows.
pub(super) fn format(request: &HttpRequest, ndjson: Ndjson) -> Result<Format, HttpError> {
    let encoded = request.headers().get(header::CONTENT_ENCODING);
    if encoded.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(unsupported(
            "the body must not be compressed: send it without Content-Encoding",
        ));
    }
    let Some(content_type) = request.headers().get(header::CONTENT_TYPE) else {
        return Ok(Format::Unsaid);
    };
    let content_type = content_type
        .to_str()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let (essence, parameters) = content_type.split_once(';').unwrap_or((&content_type, ""));
    if !is_utf8(parameters) {
        return Err(unsupported(
            "the body must be UTF-8: send it with charset=utf-8 or without charset",
        ));
    }
    let essence = essence.trim();
    match essence {
        "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/x-jsonlines"
            if ndjson == Ndjson::Allowed =>
        {
            Ok(Format::Ndjson)
        }
        "application/json" | "text/json" => Ok(Format::Json),
        _ if essence.starts_with("application/") && essence.ends_with("+json") => Ok(Format::Json),
        _ => Err(wrong_type(essence, ndjson)),
    }
}

pub(super) fn wrong_type(essence: &str, ndjson: Ndjson) -> HttpError {
    let (accepted, got) = (ndjson.accepted(), excerpt(essence));
    unsupported(&format!("send Content-Type: {accepted} (got {got})"))
}

/// Whether a call reads NDJSON too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ndjson {
    Allowed,
    Refused,
}

impl Ndjson {
    fn accepted(self) -> &'static str {
        match self {
            Self::Allowed => {
                "application/json with an array of orders, or application/x-ndjson with one a line"
            }
            Self::Refused => "application/json",
        }
    }
}

fn is_utf8(parameters: &str) -> bool {
    let charset = parameters
        .split(';')
        .find_map(|parameter| parameter.trim().strip_prefix("charset="));
    charset.is_none_or(|charset| matches!(charset.trim_matches('"'), "utf-8" | "utf8" | "us-ascii"))
}

fn unsupported(detail: &str) -> HttpError {
    HttpError::UnsupportedMediaType {
        detail: detail.to_owned(),
    }
}

/// The `Idempotency-Key`, where one was sent.
pub(super) fn idempotency_key(request: &HttpRequest) -> Result<Option<IdempotencyKey>, HttpError> {
    let mut keys = request.headers().get_all(IDEMPOTENCY_KEY);
    let Some(key) = keys.next() else {
        return Ok(None);
    };
    if keys.next().is_some() {
        return Err(bad_key(key.as_bytes(), "must be sent once"));
    }
    // Without API keys nobody can tell callers apart.
    let caller = KeyName::of(request);
    let caller = caller.as_ref().map_or("", KeyName::as_str);
    match IdempotencyKey::parse(caller, key.as_bytes()) {
        Ok(key) => Ok(Some(key)),
        Err(error) => Err(bad_key(key.as_bytes(), &error.to_string())),
    }
}

pub(super) fn bad_key(key: &[u8], rule: &str) -> HttpError {
    let got = excerpt(&String::from_utf8_lossy(key));
    HttpError::Unprocessable {
        detail: "a header breaks a rule".into(),
        errors: vec![FieldError {
            pointer: "/headers/idempotency-key".into(),
            detail: format!("{rule} (got {got})"),
        }],
        order_id: None,
    }
}

/// The request's trace, where it carries one.
pub(super) fn traceparent(request: &HttpRequest) -> Option<TraceParent> {
    let header = request.headers().get(common::event::TRACEPARENT_HEADER)?;
    TraceParent::parse(header.to_str().ok()?)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn format_of(content_type: &str, ndjson: Ndjson) -> Result<Format, HttpError> {
        let request = TestRequest::post().insert_header((header::CONTENT_TYPE, content_type));
        format(&request.to_http_request(), ndjson)
    }

    #[test]
    fn json_is_read_under_each_of_its_names() {
        for name in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/cloudevents+json",
            "text/json",
        ] {
            assert_eq!(format_of(name, Ndjson::Refused), Ok(Format::Json), "{name}");
        }
        assert_eq!(
            format_of("application/x-ndjson", Ndjson::Allowed),
            Ok(Format::Ndjson)
        );
        let unsaid = TestRequest::post().to_http_request();
        assert_eq!(format(&unsaid, Ndjson::Refused), Ok(Format::Unsaid));
    }

    #[test]
    fn another_type_charset_or_compression_is_refused_and_told_what_to_send() {
        for name in [
            "application/x-www-form-urlencoded",
            "text/plain",
            "application/x-ndjson",
            "",
        ] {
            let error = format_of(name, Ndjson::Refused).unwrap_err().to_string();
            assert!(error.contains("application/json"), "{name}: {error}");
        }
        assert!(format_of("application/json; charset=latin1", Ndjson::Refused).is_err());
        let compressed = TestRequest::post().insert_header((header::CONTENT_ENCODING, "gzip"));
        assert!(format(&compressed.to_http_request(), Ndjson::Refused).is_err());
    }

    #[test]
    fn an_idempotency_key_is_sent_once_and_in_its_form() {
        let request = TestRequest::post()
            .insert_header((IDEMPOTENCY_KEY, "k1"))
            .to_http_request();
        assert!(idempotency_key(&request).unwrap().is_some());
        let twice = TestRequest::post()
            .append_header((IDEMPOTENCY_KEY, "k1"))
            .append_header((IDEMPOTENCY_KEY, "k2"))
            .to_http_request();
        assert!(matches!(
            idempotency_key(&twice),
            Err(HttpError::Unprocessable { .. })
        ));
        let spaced = TestRequest::post()
            .insert_header((IDEMPOTENCY_KEY, "a b"))
            .to_http_request();
        assert!(matches!(
            idempotency_key(&spaced),
            Err(HttpError::Unprocessable { .. })
        ));
    }
}

//! Errors as clients see them: RFC 9457 problem documents, <https://www.rfc-editor.org/rfc/rfc9457>.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::{Method, StatusCode, header};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use serde::Serialize;

use super::room::{NoRoom, Room};
use super::slices::body_in;
use crate::ids::OrderId;
use crate::order::FieldError;

pub const PROBLEM_JSON: &str = "application/problem+json";

/// Everything that a request can come to, apart from success. What is displayed and sent shows no internals: an error that
/// is not the client's is logged by [`HttpError::internal`] and answered without its text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// 400: not readable as what it says it is.
    #[error("{detail}")]
    BadRequest { detail: String },
    /// 401: no key, or one that is not known.
    #[error("{detail}")]
    Unauthorized { detail: String },
    /// 403: a key that may not do this.
    #[error("{detail}")]
    Forbidden { detail: String },
    /// 404: no such path, or nothing there.
    #[error("{detail}")]
    NotFound { detail: String },
    /// 405: the path knows only these methods.
    #[error("this path answers only {}", Methods(allow))]
    MethodNotAllowed { allow: Vec<Method> },
    /// 408: the body took too long to arrive.
    #[error("{detail}")]
    RequestTimeout { detail: String },
    /// 413: larger than a named limit.
    #[error("{detail}")]
    PayloadTooLarge {
        detail: String,
        order_id: Option<OrderId>,
    },
    /// 415: a content type that is not read here.
    #[error("{detail}")]
    UnsupportedMediaType { detail: String },
    /// 422: readable, but fields, parameters or headers break a rule; `errors` names every one.
    #[error("{detail}")]
    Unprocessable {
        detail: String,
        errors: Vec<FieldError>,
        order_id: Option<OrderId>,
    },
    /// 429: faster than allowed.
    #[error("{detail}")]
    TooManyRequests {
        detail: String,
        retry_after: Duration,
    },
    /// 500: our fault.
    #[error("the server failed to answer; the request may be sent again")]
    Internal,
    /// 503: not now; with an `order_id` the outcome is unknown and a retry with that id is safe.
    #[error("{detail}")]
    Unavailable {
        detail: String,
        retry_after: Duration,
        order_id: Option<OrderId>,
    },
}

/// RFC 9457. The members are written in this order.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Problem {
    #[schema(value_type = String)]
    r#type: &'static str,
    #[schema(value_type = String)]
    title: &'static str,
    status: u16,
    detail: String,
    /// Everything that is wrong with what was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<FieldError>>,
    /// The order to send again with this id, or that is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<OrderId>,
}

impl HttpError {
    /// Logs what happened and keeps it from the client.
    pub fn internal(error: impl fmt::Display) -> Self {
        tracing::error!(%error, "a request failed");
        Self::Internal
    }

    /// What the server library itself answers without a document: a wrong method, an unreadable parameter.
    pub(super) fn from_library(status: StatusCode, allow: Vec<Method>) -> Self {
        let detail = status
            .canonical_reason()
            .unwrap_or("the request was refused")
            .to_lowercase();
        match status {
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed { allow },
            StatusCode::NOT_FOUND => Self::NotFound {
                detail: "there is nothing at this path".into(),
            },
            StatusCode::REQUEST_TIMEOUT => Self::RequestTimeout { detail },
            StatusCode::PAYLOAD_TOO_LARGE => Self::PayloadTooLarge {
                detail,
                order_id: None,
            },
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType { detail },
            status if status.is_client_error() => Self::BadRequest { detail },
            _ => Self::Internal,
        }
    }

    fn problem(&self) -> Problem {
        let status = self.status_code();
        Problem {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: self.to_string(),
            errors: self.errors().map(<[_]>::to_vec),
            order_id: self.order_id().cloned(),
        }
    }

    /// The document as it is sent.
    pub(super) fn document(&self) -> serde_json::Value {
        serde_json::to_value(self.problem()).expect("a problem is JSON")
    }

    /// The answer for which a large document, one of very many errors, takes its place in `room` until it was sent.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn response_in(&self, room: &Arc<Room>) -> Result<HttpResponse, NoRoom> {
        Ok(self.head().body(body_in(room, self.body())?))
    }

    fn body(&self) -> Bytes {
        let json = serde_json::to_vec(&self.problem());
        json.expect("a problem is JSON").into()
    }

    /// Status and headers.
    fn head(&self) -> HttpResponseBuilder {
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header((header::CONTENT_TYPE, PROBLEM_JSON));
        if let Some(wait) = self.retry_after() {
            response.insert_header((header::RETRY_AFTER, retry_after_seconds(wait)));
        }
        match self {
            Self::MethodNotAllowed { allow } => {
                response.insert_header((header::ALLOW, Methods(allow).to_string()));
            }
            Self::Unauthorized { .. } => {
                response.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"tally\""));
            }
            _ => {}
        }
        response
    }

    fn errors(&self) -> Option<&[FieldError]> {
        match self {
            Self::Unprocessable { errors, .. } => Some(errors),
            _ => None,
        }
    }

    fn order_id(&self) -> Option<&OrderId> {
        match self {
            Self::PayloadTooLarge { order_id, .. }
            | Self::Unprocessable { order_id, .. }
            | Self::Unavailable { order_id, .. } => order_id.as_ref(),
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyRequests { retry_after, .. } | Self::Unavailable { retry_after, .. } => {
                Some(*retry_after)
            }
            _ => None,
        }
    }
}

impl ResponseError for HttpError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::BadRequest { .. } => StatusCode::BAD_REQUEST,
            Self::Unauthorized { .. } => StatusCode::UNAUTHORIZED,
            Self::Forbidden { .. } => StatusCode::FORBIDDEN,
            Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::PayloadTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unprocessable { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn error_response(&self) -> HttpResponse {
        self.head().body(self.body())
    }
}

/// `Retry-After` counts whole seconds; a wait is never told shorter than it is, nor as none.
fn retry_after_seconds(wait: Duration) -> u64 {
    wait.as_secs()
        .saturating_add(u64::from(wait.subsec_nanos() > 0))
        .max(1)
}

/// Methods as `Allow` lists them.
struct Methods<'a>(&'a [Method]);

impl fmt::Display for Methods<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, method) in self.0.iter().enumerate() {
            f.write_str(if position == 0 { "" } else { ", " })?;
            f.write_str(method.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::{MessageBody, to_bytes_limited};
    use serde_json::{Value, json};

    use super::*;

    async fn document(error: HttpError) -> (HttpResponse<()>, Value) {
        let (head, body) = error.error_response().into_parts();
        assert!(matches!(body.size(), actix_web::body::BodySize::Sized(_)));
        let bytes = to_bytes_limited(body, 64 * 1024).await.unwrap().unwrap();
        (head, serde_json::from_slice(&bytes).unwrap())
    }

    #[actix_web::test]
    async fn an_unknown_outcome_names_the_order_to_retry_with_and_when() {
        let (head, problem) = document(HttpError::Unavailable {
            detail: "not confirmed in time".into(),
            retry_after: Duration::from_millis(1_200),
            order_id: Some(OrderId::parse("o1").unwrap()),
        })
        .await;
        assert_eq!(head.headers().get("retry-after").unwrap(), "2");
        assert_eq!(head.headers().get("content-type").unwrap(), PROBLEM_JSON);
        assert_eq!(
            problem,
            json!({"type": "about:blank", "title": "Service Unavailable", "status": 503,
                   "detail": "not confirmed in time", "order_id": "o1"})
        );
    }

    #[actix_web::test]
    async fn a_document_of_very_many_errors_takes_room_until_it_was_sent() {
        let error = FieldError {
            pointer: "/items".into(),
            detail: "x".repeat(1_000),
        };
        let many = |count| HttpError::Unprocessable {
            detail: "many".into(),
            errors: vec![error.clone(); count],
            order_id: None,
        };
        const ROOM: usize = 150_000;
        let room = Room::new(ROOM);
        let sent = many(100).response_in(&room).unwrap();
        assert_eq!(many(100).response_in(&room).unwrap_err(), NoRoom);
        // Small ones need none.
        assert!(many(10).response_in(&room).is_ok());
        let bytes = to_bytes_limited(sent.into_body(), ROOM).await.unwrap();
        let document: Value = serde_json::from_slice(&bytes.unwrap()).unwrap();
        assert_eq!(document["errors"].as_array().unwrap().len(), 100);
        assert!(room.reserve(ROOM).is_ok());
    }

    #[actix_web::test]
    async fn a_wrong_method_lists_the_right_ones() {
        let (head, problem) = document(HttpError::MethodNotAllowed {
            allow: vec![Method::GET, Method::HEAD],
        })
        .await;
        assert_eq!(head.headers().get("allow").unwrap(), "GET, HEAD");
        assert_eq!(problem["detail"], "this path answers only GET, HEAD");
    }

    #[actix_web::test]
    async fn an_internal_error_shows_nothing_of_what_happened() {
        let (_, problem) = document(HttpError::internal("password=hunter2")).await;
        assert!(!problem.to_string().contains("hunter2"));
        assert_eq!(problem["status"], 500);
    }
}

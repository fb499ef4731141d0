//! The API's description: `/openapi.json`, made from the code, and `/docs`, Swagger UI before it. Both come out of the program
//! alone: nothing is fetched from elsewhere, and no inline code runs.
//!
//! A service describes its own calls; here what all calls share is added to each: health and metrics, the ways to send a key,
//! and the refusals that any call may meet. The examples of refusals are made by the code that refuses.

mod archive;
mod shapes;

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, ResponseError as _, web};
use utoipa::OpenApi as _;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Components, ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder};

use super::health::{LIVE, READY};
use super::problem::{HttpError, PROBLEM_JSON, Problem};
use super::server::readable;
use super::slices::shared_body;

/// What shows nothing of anybody's orders.
pub(super) const DOCS_PATHS: [&str; 3] = ["/openapi.json", "/docs", "/docs/*"];

const PAGE: &str = include_str!("index.html");
const START: &str = include_str!("start.js");
const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
/// Swagger UI sets styles of elements and draws its icons from `data:` URLs; scripts are its own files alone.
const POLICY: (HeaderName, HeaderValue) = (
    header::CONTENT_SECURITY_POLICY,
    HeaderValue::from_static(
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
);
const REVALIDATE: (HeaderName, HeaderValue) =
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
/// They change with releases alone.
const KEEP: (HeaderName, HeaderValue) = (
    header::CACHE_CONTROL,
    HeaderValue::from_static("public, max-age=86400"),
);
const GZIP: (HeaderName, HeaderValue) =
    (header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));

/// A service's description, complete.
#[derive(Debug, Clone)]
pub struct Docs(Bytes);

/// What all services answer.
#[derive(utoipa::OpenApi)]
#[openapi(
    paths(
        super::health::live,
        super::health::ready,
        super::health::report,
        super::metrics::render,
        document
    ),
    components(schemas(Problem))
)]
struct Shared;

impl Docs {
    /// Completes a service's description of its own calls.
    ///
    /// # Panics
    /// It cannot be written as JSON, which any description can.
    #[must_use]
    pub fn new(mut document: OpenApi) -> Self {
        document.merge(Shared::openapi());
        let components = document.components.get_or_insert_with(Components::new);
        for (name, _, response) in refusals() {
            components
                .responses
                .insert(name.to_owned(), response.into());
        }
        add_keys(&mut document);
        for (path, item) in &mut document.paths.paths {
            if ![LIVE, READY].contains(&path.as_str()) && !DOCS_PATHS.contains(&path.as_str()) {
                operations(item).for_each(add_refusals);
            }
        }
        let json = document.to_json().expect("a description is JSON");
        Self(json.into())
    }

    pub fn routes(&self, config: &mut web::ServiceConfig) {
        config
            .app_data(web::Data::new(self.0.clone()))
            .service(readable("/openapi.json", document))
            .service(readable("/docs", page))
            .service(readable("/docs/{file}", file));
    }
}

/// How calls are refused, by status: each with the answer that this very error gives.
#[must_use]
pub fn problems<const N: usize>(
    problems: [(&str, HttpError); N],
) -> BTreeMap<String, RefOr<Response>> {
    let entry = |(description, error): (&str, HttpError)| {
        let status = error.status_code().as_u16().to_string();
        (status, problem(description, &error).into())
    };
    problems.into_iter().map(entry).collect()
}

fn problem(description: &str, error: &HttpError) -> Response {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .example(Some(error.document()))
        .build();
    ResponseBuilder::new()
        .description(description)
        .content(PROBLEM_JSON, content)
        .build()
}

/// What any call may meet at the gate: name, status, response.
fn refusals() -> [(&'static str, &'static str, Response); 3] {
    let unauthorized = HttpError::Unauthorized {
        detail: "an API key is needed: send Authorization: Bearer KEY, or X-API-Key: KEY".into(),
    };
    let forbidden = HttpError::Forbidden {
        detail: "the API key dashboard has the role read; this needs write or admin".into(),
    };
    let too_fast = HttpError::TooManyRequests {
        detail: "too fast: at most 100 requests per second, 100 at once".into(),
        retry_after: Duration::from_secs(1),
    };
    [
        (
            "Unauthorized",
            "401",
            problem(
                "Where API keys are used: none was sent, or one that is not known",
                &unauthorized,
            ),
        ),
        (
            "Forbidden",
            "403",
            problem(
                "Where API keys are used: the key's role may not do this",
                &forbidden,
            ),
        ),
        (
            "TooManyRequests",
            "429",
            problem(
                "Where there is a rate limit: come again after Retry-After seconds",
                &too_fast,
            ),
        ),
    ]
}

fn add_refusals(operation: &mut Operation) {
    for (name, status, _) in refusals() {
        operation
            .responses
            .responses
            .entry(status.to_owned())
            .or_insert_with(|| Ref::from_response_name(name).into());
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post].into_iter().flatten()
}

/// Either header, or none where the service runs without keys.
fn add_keys(document: &mut OpenApi) {
    const BEARER: &str = "bearer";
    const HEADER: &str = "x-api-key";
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme(
        BEARER,
        SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
    );
    components.add_security_scheme(
        HEADER,
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key"))),
    );
    let with = |scheme| SecurityRequirement::new(scheme, [""; 0]);
    document.security = Some(vec![
        with(BEARER),
        with(HEADER),
        SecurityRequirement::default(),
    ]);
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "operation", responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
async fn document(json: web::Data<Bytes>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .insert_header(REVALIDATE)
        .body(shared_body(json.get_ref().clone()))
}

async fn page() -> HttpResponse {
    HttpResponse::Ok()
        .content_type(HTML)
        .insert_header(POLICY)
        .insert_header(REVALIDATE)
        .body(PAGE)
}

/// Swagger UI's two files are in the program compressed, and are sent so.
async fn file(name: web::Path<String>) -> Result<HttpResponse, HttpError> {
    static BUNDLE: LazyLock<Bytes> = LazyLock::new(|| archive::gzip("swagger-ui-bundle.js").into());
    static STYLES: LazyLock<Bytes> = LazyLock::new(|| archive::gzip("swagger-ui.css").into());
    let (content_type, compressed) = match name.as_str() {
        "swagger-ui-bundle.js" => (SCRIPT, &BUNDLE),
        "swagger-ui.css" => (STYLE, &STYLES),
        "start.js" => {
            let mut answer = HttpResponse::Ok();
            return Ok(answer
                .content_type(SCRIPT)
                .insert_header(REVALIDATE)
                .body(START));
        }
        _ => {
            return Err(HttpError::NotFound {
                detail: "there is nothing at this path".into(),
            });
        }
    };
    Ok(HttpResponse::Ok()
        .content_type(content_type)
        .insert_header(KEEP)
        .insert_header(GZIP)
        .body(shared_body(Bytes::clone(compressed))))
}

//! The static pages, held in the program itself. They load nothing from elsewhere and run no inline script or style.

use std::sync::LazyLock;

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use common::http::{HttpError, readable};

use super::answer::{GZIP, VARY, accepts_gzip, matches_tag};
use crate::compression::{self, Compressed, entity_tag};

const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; base-uri 'none'; \
     form-action 'self'; frame-ancestors 'none'",
);
/// Asked for again each time: a new version is seen at once, an old one costs no body.
const REVALIDATE: (HeaderName, HeaderValue) =
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));

/// A file below `static/`.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    body: &'static [u8],
}

macro_rules! assets {
    ($($name:literal: $content_type:expr),* $(,)?) => {
        [$(Asset { name: $name, content_type: $content_type, body: include_bytes!(concat!("../../static/", $name)) }),*]
    };
}

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
static ASSETS: [Asset; 14] = assets! {
    "index.html": HTML,
    "dashboard.html": HTML,
    "style.css": STYLE,
    "dashboard.css": STYLE,
    "icon.svg": "image/svg+xml",
    "access.js": SCRIPT,
    "lookup.js": SCRIPT,
    "dashboard.js": SCRIPT,
    "panels.js": SCRIPT,
    "live.js": SCRIPT,
    "order.js": SCRIPT,
    "customer.js": SCRIPT,
    "elements.js": SCRIPT,
    "format.js": SCRIPT,
};

/// An asset's entity tag, and its compressed form.
struct Form {
    etag: HeaderValue,
    compressed: Option<Compressed>,
}

static FORMS: LazyLock<[Form; ASSETS.len()]> = LazyLock::new(|| {
    ASSETS.each_ref().map(|asset| {
        let etag = entity_tag(asset.body);
        let compressed = compression::gzip_now(asset.body, &etag);
        Form { etag, compressed }
    })
});

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(readable("/", index))
        .service(readable("/dashboard", dashboard))
        .service(readable("/static/{name}", file));
}

async fn index(request: HttpRequest) -> Result<HttpResponse, HttpError> {
    asset(&request, "index.html")
}

async fn dashboard(request: HttpRequest) -> Result<HttpResponse, HttpError> {
    asset(&request, "dashboard.html")
}

async fn file(request: HttpRequest, name: web::Path<String>) -> Result<HttpResponse, HttpError> {
    asset(&request, &name)
}

fn asset(request: &HttpRequest, name: &str) -> Result<HttpResponse, HttpError> {
    let mut assets = ASSETS.iter().zip(FORMS.iter());
    let (asset, form) = assets
        .find(|(asset, _)| asset.name == name)
        .ok_or_else(|| HttpError::NotFound {
            detail: "there is nothing at this path".into(),
        })?;
    let compressed = form.compressed.as_ref().filter(|_| accepts_gzip(request));
    let etag = compressed.map_or(&form.etag, |compressed| &compressed.etag);
    let is_known = matches_tag(request, etag);
    let mut response = if is_known {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    response
        .insert_header(REVALIDATE)
        .insert_header((header::VARY, VARY))
        .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .insert_header((header::ETAG, etag.clone()));
    if is_known {
        return Ok(response.finish());
    }
    response.insert_header((header::CONTENT_TYPE, asset.content_type));
    Ok(match compressed {
        Some(compressed) => {
            response.insert_header((header::CONTENT_ENCODING, GZIP));
            response.body(compressed.body.clone())
        }
        None => response.body(asset.body),
    })
}

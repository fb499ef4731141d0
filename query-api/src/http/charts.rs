//! `/charts/…`: what `/sales` and `/users/top` say, as pictures; with the same parameters, and `size`.

use std::sync::LazyLock;

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::http::{HttpError, readable};
use sha2::{Digest, Sha256};

use super::State;
use super::answer::{CHART, LoadError, tagged};
use super::parameters::Parameters;
use super::totals::sales_question;
use super::users::top_question;
use crate::cache::Key;
use crate::charts::{self, Chart, Subject};

/// Of a chart that is opened by itself: nothing but its own style applies, and nothing runs.
static CONTENT_SECURITY_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(charts::STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    );
    HeaderValue::from_maybe_shared(policy).expect("a policy is visible ASCII")
});

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(readable("/charts/sales.svg", sales))
        .service(readable("/charts/top-users.svg", top_users));
}

async fn sales(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, HttpError> {
    chart(&request, &state, |parameters| {
        Subject::Sales(sales_question(parameters))
    })
    .await
}

async fn top_users(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, HttpError> {
    chart(&request, &state, |parameters| {
        Subject::TopUsers(top_question(parameters))
    })
    .await
}

/// Drawn once for all who ask the same between two changes.
async fn chart(
    request: &HttpRequest,
    state: &State,
    subject: impl FnOnce(&mut Parameters) -> Subject,
) -> Result<HttpResponse, HttpError> {
    let mut parameters = Parameters::of(request);
    let chart = Chart {
        subject: subject(&mut parameters),
        size: parameters.size(),
    };
    parameters.finish()?;
    let seen = state.seen()?;
    let draw = || async {
        let drawn = chart.draw(&state.live, state.default_currency);
        drawn.map_err(LoadError::from)
    };
    let drawn = state
        .cache
        .answer(&Key::Chart(chart), seen.tick, draw)
        .await;
    let drawn = drawn.map_err(|failed| failed.error.to_http())?;
    let mut response = tagged(request, state, drawn, &CHART).await?;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        CONTENT_SECURITY_POLICY.clone(),
    );
    Ok(response)
}

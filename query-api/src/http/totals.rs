//! `/summary`, `/sales`, and what all answers made of aggregates share.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use common::http::{HttpError, readable};

use super::State;
use super::answer::{LoadError, TOTALS, tagged};
use super::parameters::{Limit, Parameters};
use crate::analytics::MAX_BUCKETS;
use crate::cache::Key;
use crate::questions::{Question, SalesQuestion};
use crate::views;

const BUCKETS: Limit = Limit {
    default: MAX_BUCKETS,
    max: MAX_BUCKETS,
};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(readable("/summary", summary))
        .service(readable("/sales", sales));
}

async fn summary(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, HttpError> {
    answer(&request, &state, Question::Summary).await
}

async fn sales(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, HttpError> {
    let mut parameters = Parameters::of(&request);
    let question = sales_question(&mut parameters);
    parameters.finish()?;
    answer(&request, &state, Question::Sales(question)).await
}

pub(super) fn sales_question(parameters: &mut Parameters) -> SalesQuestion {
    let question = SalesQuestion {
        currency: parameters.currency(),
        grain: parameters.grain(),
        from: parameters.from(),
        to: parameters.to(),
        limit: parameters.limit(BUCKETS),
    };
    if question.from.is_some() && parameters.has("limit") {
        parameters.refuse("limit", "is of a series without from");
    }
    question
}

async fn print(state: &State, question: Question) -> Result<Vec<u8>, LoadError> {
    let (live, currency) = (&state.live, state.default_currency);
    let Question::Anomalies { .. } = question else {
        return Ok(views::answer(live, question, currency)?);
    };
    let inside = state.anomalies.enter().await?;
    let live = Arc::clone(live);
    // A million users take a while: not on a thread that others wait for.
    let printing = web::block(move || {
        let _inside = inside;
        views::answer(&live, question, currency)
    });
    Ok(printing.await.map_err(|_| LoadError::Stopping)??)
}

/// Printed once for all who ask the same between two changes.
pub(super) async fn answer(
    request: &HttpRequest,
    state: &State,
    question: Question,
) -> Result<HttpResponse, HttpError> {
    let seen = state.seen()?;
    let print = || print(state, question);
    let printed = state
        .cache
        .answer(&Key::Question(question), seen.tick, print)
        .await;
    let printed = printed.map_err(|failed| failed.error.to_http())?;
    tagged(request, state, printed, &TOTALS).await
}

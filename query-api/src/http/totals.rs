//! `/summary`, `/sales`, and what all answers made of aggregates share.

use actix_web::{HttpRequest, HttpResponse, web};
use common::http::{HttpError, readable};

use super::State;
use super::answer::{LoadError, tagged};
use super::parameters::Parameters;
use crate::cache::Key;
use crate::questions::Question;
use crate::views;

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
    let question = Question::Sales {
        currency: parameters.currency(),
        grain: parameters.grain(),
        from: parameters.from(),
        to: parameters.to(),
    };
    parameters.finish()?;
    answer(&request, &state, question).await
}

/// Printed once for all who ask the same between two changes.
pub(super) async fn answer(
    request: &HttpRequest,
    state: &State,
    question: Question,
) -> Result<HttpResponse, HttpError> {
    let seen = state.seen()?;
    let print = || async {
        views::answer(&state.live, question, state.default_currency).map_err(LoadError::from)
    };
    let printed = state
        .cache
        .answer(&Key::Question(question), seen.tick, print)
        .await;
    let (answer, _) = printed.map_err(|failed| failed.error.to_http())?;
    Ok(tagged(request, &answer, None))
}

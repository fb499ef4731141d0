//! `/users`: one user's statistics, the top, the anomalies.

use actix_web::{HttpRequest, HttpResponse, web};
use common::http::{HttpError, readable};
use common::ids::UserId;

use super::answer::untagged;
use super::parameters::{Limit, Parameters};
use super::{State, totals, unavailable};
use crate::questions::{Form, Question, TopQuestion};
use crate::views;

pub(super) const TOP: Limit = Limit {
    default: 10,
    max: 1_000,
};
pub(super) const ANOMALIES: Limit = Limit {
    default: 1_000,
    max: 10_000,
};

/// A user called `top` is found by `/users?user_id=top`.
pub(super) fn fixed_routes(config: &mut web::ServiceConfig) {
    config
        .service(readable("/users/top", top))
        .service(readable("/users/anomalies", anomalies))
        .service(readable("/users", user_in_query));
}

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(readable("/users/{user_id}", user_in_path));
}

async fn user_in_path(
    path: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, HttpError> {
    // What breaks the rule for ids is nobody's id.
    let user_id = UserId::parse(&path).map_err(|_| unknown_user())?;
    user(&state, &user_id)
}

async fn user_in_query(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, HttpError> {
    let mut parameters = Parameters::of(&request);
    let user_id = parameters.user_id();
    user(&state, &parameters.require("user_id", user_id)?)
}

fn user(state: &State, user_id: &UserId) -> Result<HttpResponse, HttpError> {
    let found = state
        .live
        .read(|analytics| analytics.user(user_id.as_str()).cloned());
    let stats = found
        .map_err(|error| unavailable(&error.to_string()))?
        .ok_or_else(unknown_user)?;
    untagged(state, views::user(user_id, &stats), None)
}

pub(super) fn unknown_user() -> HttpError {
    HttpError::NotFound {
        detail: "there is no order of such a user".into(),
    }
}

async fn top(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, HttpError> {
    let question = read_top(&request, Form::Canonical)?;
    totals::answer(&request, &state, question).await
}

async fn anomalies(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, HttpError> {
    let question = read_anomalies(&request, Form::Canonical)?;
    totals::answer(&request, &state, question).await
}

pub(super) fn read_top(request: &HttpRequest, form: Form) -> Result<Question, HttpError> {
    let mut parameters = Parameters::of(request);
    let question = top_question(&mut parameters);
    parameters.finish()?;
    Ok(Question::Top(form, question))
}

pub(super) fn top_question(parameters: &mut Parameters) -> TopQuestion {
    TopQuestion {
        currency: parameters.currency(),
        by: parameters.by(),
        limit: parameters.limit(TOP),
    }
}

pub(super) fn read_anomalies(request: &HttpRequest, form: Form) -> Result<Question, HttpError> {
    let mut parameters = Parameters::of(request);
    let question = Question::Anomalies {
        form,
        currency: parameters.currency(),
        sigma: parameters.sigma().unwrap_or_default(),
        limit: parameters.limit(ANOMALIES),
    };
    parameters.finish()?;
    Ok(question)
}

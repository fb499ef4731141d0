//! The paths and shapes that clients of earlier systems know.

use actix_web::{HttpRequest, HttpResponse, web};
use common::http::{HttpError, readable};
use common::money::Total;

use super::answer::untagged;
use super::parameters::Parameters;
use super::users::{read_anomalies, read_top};
use super::{State, totals, unavailable};
use crate::questions::Form;
use crate::views;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(readable("/total_orders", total_orders))
        .service(readable("/total_spendings", total_spendings))
        .service(readable("/top_users", top_users))
        .service(readable("/anomalies", anomalies));
}

/// In all currencies, unless one is asked for.
async fn total_orders(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, HttpError> {
    let mut parameters = Parameters::of(&request);
    let (user_id, currency) = (parameters.user_id(), parameters.currency());
    let user_id = parameters.require("user_id", user_id)?;
    let counted = state.live.read(|analytics| {
        let stats = analytics.user(user_id.as_str()).into_iter().flatten();
        let asked = stats.filter(|(of, _)| currency.is_none_or(|currency| *of == currency));
        asked.map(|(_, stats)| stats.order_count).sum()
    });
    let order_count = counted.map_err(|error| unavailable(&error.to_string()))?;
    let total = views::total_orders(&user_id, currency, order_count);
    untagged(&state, total, None)
}

async fn total_spendings(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, HttpError> {
    let mut parameters = Parameters::of(&request);
    let (user_id, currency) = (parameters.user_id(), parameters.currency());
    let user_id = parameters.require("user_id", user_id)?;
    let summed = state.live.read(|analytics| {
        let currency = currency.unwrap_or_else(|| analytics.currency_or(state.default_currency));
        let stats = analytics.user(user_id.as_str()).into_iter().flatten();
        let spent: Total = stats
            .filter(|(of, _)| *of == currency)
            .map(|(_, stats)| stats.total_amount)
            .sum();
        (currency, spent)
    });
    let (currency, spent) = summed.map_err(|error| unavailable(&error.to_string()))?;
    let total = views::total_spendings(&user_id, currency, spent);
    untagged(&state, total, None)
}

async fn top_users(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, HttpError> {
    let question = read_top(&request, Form::Compatible)?;
    totals::answer(&request, &state, question).await
}

async fn anomalies(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, HttpError> {
    let question = read_anomalies(&request, Form::Compatible)?;
    totals::answer(&request, &state, question).await
}

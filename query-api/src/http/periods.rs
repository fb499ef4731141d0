//! `/users/{user_id}/sales`: what one user ordered when; `/users/active`: how many users ordered in each period.
//!
//! Both are counted where the orders are stored, and kept until the user, or an hour of the range, is touched.

use actix_web::{HttpRequest, HttpResponse, web};
use common::http::{HttpError, readable};
use common::ids::{Currency, UserId};

use super::answer::{LoadError, ROWS, tagged, untagged};
use super::orders::reachable;
use super::parameters::{Parameters, invalid};
use super::totals::sales_question;
use super::users::unknown_user;
use super::{State, unavailable};
use crate::analytics::{Frame, Hour, StatsByCurrency};
use crate::cache::Key;
use crate::questions::SalesQuestion;
use crate::repo::Hours;
use crate::views;

pub(super) fn fixed_routes(config: &mut web::ServiceConfig) {
    config.service(readable("/users/active", active_users));
}

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(readable("/users/{user_id}/sales", series_of_user));
}

async fn series_of_user(
    request: HttpRequest,
    path: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, HttpError> {
    let mut parameters = Parameters::of(&request);
    let question = sales_question(&mut parameters);
    parameters.finish()?;
    let user_id = UserId::parse(&path).map_err(|_| unknown_user())?;
    let seen = state.seen()?;
    let stats = state
        .live
        .read(|analytics| analytics.user(user_id.as_str()).cloned());
    let stats = stats
        .map_err(|error| unavailable(&error.to_string()))?
        .ok_or_else(unknown_user)?;
    let (currency, ends) = of_user(&question, &stats, state.default_currency);
    let frame = frame(&question, ends)?;
    let grain = question.grain;
    let Some((from, to)) = frame.range().filter(|_| ends.is_some()) else {
        let empty = views::series_of_user(&user_id, currency, grain, &frame, &[]);
        return untagged(&state, empty, None);
    };
    let hours = Hours { from, to };
    let key = Key::SeriesOfUser {
        user_id: user_id.clone(),
        currency,
        grain,
        hours,
    };
    let load = || async {
        reachable(&state)?;
        let repo = &state.repo;
        let ordered = repo
            .ordered_by_user(&user_id, currency, grain, hours)
            .await?;
        Ok::<_, LoadError>(views::series_of_user(
            &user_id, currency, grain, &frame, &ordered,
        ))
    };
    let loaded = state.cache.answer(&key, seen.tick, load).await;
    let loaded = loaded.map_err(|failed| failed.error.to_http())?;
    tagged(&request, &state, loaded, &ROWS).await
}

async fn active_users(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, HttpError> {
    let mut parameters = Parameters::of(&request);
    let question = sales_question(&mut parameters);
    parameters.finish()?;
    let seen = state.seen()?;
    let looked = state.live.read(|analytics| {
        let currency = analytics.chosen(question.currency, state.default_currency);
        (currency, analytics.sales().ends(currency))
    });
    let (currency, ends) = looked.map_err(|error| unavailable(&error.to_string()))?;
    let frame = frame(&question, ends)?;
    let grain = question.grain;
    let Some((from, to)) = frame.range().filter(|_| ends.is_some()) else {
        let empty = views::active_users(currency, grain, &frame, &[]);
        return untagged(&state, empty, None);
    };
    let hours = Hours { from, to };
    let key = Key::ActiveUsers {
        currency,
        grain,
        hours,
    };
    let load = || async {
        reachable(&state)?;
        let counted = state.repo.users_by_period(currency, grain, hours).await?;
        Ok::<_, LoadError>(views::active_users(currency, grain, &frame, &counted))
    };
    let loaded = state.cache.answer(&key, seen.tick, load).await;
    let loaded = loaded.map_err(|failed| failed.error.to_http())?;
    tagged(&request, &state, loaded, &ROWS).await
}

/// The currency that is meant, and the hours of the user's first and last order in it: what is not named is about the
/// default where the user has ordered in it, else about the currency in which he has ordered most.
fn of_user(
    question: &SalesQuestion,
    stats: &StatsByCurrency,
    default: Currency,
) -> (Currency, Option<(Hour, Hour)>) {
    let most = stats
        .iter()
        .rev()
        .max_by_key(|(_, stats)| stats.order_count);
    let has_default = stats.iter().any(|(currency, _)| *currency == default);
    let meant = match most {
        Some((currency, _)) if !has_default => *currency,
        Some(_) | None => default,
    };
    let currency = question.currency.unwrap_or(meant);
    let of = stats.iter().find(|(known, _)| *known == currency);
    let ends = of.map(|(_, stats)| {
        (
            Hour::of(stats.first_order_at),
            Hour::of(stats.last_order_at),
        )
    });
    (currency, ends)
}

fn frame(question: &SalesQuestion, ends: Option<(Hour, Hour)>) -> Result<Frame, HttpError> {
    Frame::new(
        question.grain,
        (question.from, question.to),
        question.limit,
        ends,
    )
    .map_err(|error| invalid("from", &error.to_string()))
}

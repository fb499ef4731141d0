//! What `/openapi.json` says of this service. The functions here are never called: each stands for a call, with its parameters
//! and what it answers. Tests compare them with the routes, and the shapes with real answers.

#![expect(dead_code, reason = "what is described here is answered elsewhere")]

mod headers;
mod shapes;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use common::http::{Docs, HttpError, problems};
use common::order::Order;
use utoipa::openapi::{RefOr, Response};
use utoipa::{IntoResponses, OpenApi};

use super::answer::LoadError;
use super::parameters::invalid;
use super::unavailable;
use crate::events::TooManyListeners;
use shapes::{
    ActiveUsers, Anomalies, CompatibleAnomaly, Lag, OrdersPage, Sales, SeriesOfUser, Summary, Top,
    TopUser, TotalOrders, TotalSpendings, User,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tally: answers",
        description = "Answers from memory; every answer says up to when it is complete (X-As-Of). Errors are RFC 9457 problem documents; HEAD is answered wherever GET is."
    ),
    paths(
        order,
        orders,
        user,
        user_by_query,
        top,
        anomalies,
        active_users,
        series_of_user,
        summary,
        sales,
        sales_chart,
        top_users_chart,
        events,
        lag,
        total_orders,
        total_spendings,
        top_users,
        compatible_anomalies
    )
)]
struct Calls;

/// Other paths to the same call.
const ALIASES: [(&str, &str); 2] = [
    ("/orders/{order_id}", "/order/{order_id}"),
    ("/orders", "/api/orders"),
];

pub(super) fn docs() -> Docs {
    let mut document = Calls::openapi();
    for (path, item) in &mut document.paths.paths {
        if let Some(operation) = &mut item.get {
            headers::describe(path, operation);
        }
    }
    for (canonical, alias) in ALIASES {
        let mut item = document.paths.paths[canonical].clone();
        if let Some(operation) = &mut item.get {
            let id = operation.operation_id.take().unwrap_or_default();
            operation.operation_id = Some(format!("{id}_alias"));
            operation.description = Some(format!("The same as {canonical}."));
        }
        document.paths.paths.insert(alias.to_owned(), item);
    }
    Docs::new(document)
}

/// A parameter that breaks a rule, and what cannot be answered now.
struct Problems;
/// The same, where there may be nothing.
struct ProblemsOfOne;
/// Where no parameter can be wrong and the database is not asked.
struct NotLoaded;
/// Of those who would listen.
struct NoRoom;

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems([
            (
                "Parameters break rules: all of them, each with its rule",
                invalid("limit", "must be a whole number from 1 to 500 (got \"0\")"),
            ),
            (
                "Not in memory, and the database does not answer; or not loaded yet",
                unavailable("not in memory, and the database cannot be reached"),
            ),
        ])
    }
}

impl IntoResponses for ProblemsOfOne {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let unknown: HttpError = LoadError::UnknownOrder.to_http();
        let mut all = problems([("There is none", unknown)]);
        all.extend(Problems::responses());
        all
    }
}

impl IntoResponses for NotLoaded {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let error = unavailable("the totals are being loaded");
        problems([("Not loaded yet", error)])
    }
}

impl IntoResponses for NoRoom {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let error = unavailable(&TooManyListeners.to_string());
        problems([("No more may listen", error)])
    }
}

/// One order, whole.
#[utoipa::path(get, path = "/orders/{order_id}", tag = "orders",
    params(
        ("order_id" = String, Path, example = "o-1"),
        ("wait" = Option<u8>, Query, description = "Seconds, up to 30, to wait for an order that was just accepted")),
    responses(
        (status = 200, description = "The order", body = Order, example = json!({
            "order_id": "o-1", "user_id": "u1", "created_at": "2026-01-01T10:00:00Z", "currency": "EUR", "amount": "49.90",
            "items": [{"sku": "A-1", "name": "Kettle", "quantity": 2, "unit_price": "24.95", "total_price": "49.90"}]})),
        ProblemsOfOne))]
fn order() {}

/// A user's orders, the newest first; without user_id those of all, the newest received first.
#[utoipa::path(get, path = "/orders", tag = "orders",
    params(
        ("user_id" = Option<String>, Query, example = "u1"),
        ("limit" = Option<u16>, Query, description = "1 to 500, else 50"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before")),
    responses((status = 200, description = "A page", body = OrdersPage), Problems))]
fn orders() {}

/// One user's statistics.
#[utoipa::path(get, path = "/users/{user_id}", tag = "users",
    params(("user_id" = String, Path, example = "u1")),
    responses((status = 200, description = "By currency", body = User), ProblemsOfOne))]
fn user() {}

/// The same for any id, also one that a path cannot hold.
#[utoipa::path(get, path = "/users", tag = "users",
    params(("user_id" = String, Query, example = "u1")),
    responses((status = 200, description = "By currency", body = User), ProblemsOfOne))]
fn user_by_query() {}

/// The users who spend, or order, the most.
#[utoipa::path(get, path = "/users/top", tag = "users",
    params(
        ("by" = Option<String>, Query, description = "amount or orders", example = "orders"),
        ("currency" = Option<String>, Query, description = "ISO 4217", example = "EUR"),
        ("limit" = Option<u16>, Query, description = "1 to 1000, else 10")),
    responses((status = 200, description = "Ties by user_id", body = Top), Problems))]
fn top() {}

/// Users whose orders or amount are beyond mean + sigma × sample standard deviation.
#[utoipa::path(get, path = "/users/anomalies", tag = "users",
    params(
        ("sigma" = Option<String>, Query, description = "0 to 100, up to 4 decimals, else 2", example = "0.1"),
        ("currency" = Option<String>, Query, description = "ISO 4217", example = "EUR"),
        ("limit" = Option<u16>, Query, description = "1 to 10000, else 1000")),
    responses((status = 200, description = "count is of all, also of those beyond the limit", body = Anomalies), Problems))]
fn anomalies() {}

/// How many users ordered in each period; empty periods are there, with zero.
#[utoipa::path(get, path = "/users/active", tag = "users",
    params(
        ("grain" = Option<String>, Query, description = "hour, day, month or year, else day", example = "month"),
        ("from" = Option<String>, Query, description = "A date or an RFC 3339 instant, inclusive", example = "2026-01-01"),
        ("to" = Option<String>, Query, description = "The same, exclusive", example = "2026-03-01"),
        ("limit" = Option<u16>, Query, description = "Without from, how many of the latest buckets: 1 to 10000, else 10000"),
        ("currency" = Option<String>, Query, description = "ISO 4217", example = "EUR")),
    responses((status = 200, description = "At most 10,000 buckets", body = ActiveUsers), Problems))]
fn active_users() {}

/// What one user ordered when; else from the first to the last order.
#[utoipa::path(get, path = "/users/{user_id}/sales", tag = "users",
    params(
        ("user_id" = String, Path, example = "u1"),
        ("grain" = Option<String>, Query, description = "hour, day, month or year, else day", example = "month"),
        ("from" = Option<String>, Query, description = "A date or an RFC 3339 instant, inclusive", example = "2026-01-01"),
        ("to" = Option<String>, Query, description = "The same, exclusive", example = "2026-03-01"),
        ("limit" = Option<u16>, Query, description = "Without from, how many of the latest buckets: 1 to 10000, else 10000"),
        ("currency" = Option<String>, Query, description = "ISO 4217; else one that the user has ordered in", example = "EUR")),
    responses((status = 200, description = "At most 10,000 buckets", body = SeriesOfUser), ProblemsOfOne))]
fn series_of_user() {}

/// Totals.
#[utoipa::path(get, path = "/summary", tag = "totals",
    responses((status = 200, description = "Of everything", body = Summary), Problems))]
fn summary() {}

/// A series in UTC, with empty buckets filled.
#[utoipa::path(get, path = "/sales", tag = "totals",
    params(
        ("grain" = Option<String>, Query, description = "hour, day, month or year, else day", example = "month"),
        ("from" = Option<String>, Query, description = "A date or an RFC 3339 instant, inclusive", example = "2026-01-01"),
        ("to" = Option<String>, Query, description = "The same, exclusive", example = "2026-03-01"),
        ("limit" = Option<u16>, Query, description = "Without from, how many of the latest buckets: 1 to 10000, else 10000"),
        ("currency" = Option<String>, Query, description = "ISO 4217", example = "EUR")),
    responses((status = 200, description = "At most 10,000 buckets", body = Sales), Problems))]
fn sales() {}

/// What /sales says, as a picture for light and dark.
#[utoipa::path(get, path = "/charts/sales.svg", tag = "totals",
    params(
        ("grain" = Option<String>, Query, description = "hour, day, month or year, else day", example = "month"),
        ("from" = Option<String>, Query, description = "A date or an RFC 3339 instant, inclusive", example = "2026-01-01"),
        ("to" = Option<String>, Query, description = "The same, exclusive", example = "2026-03-01"),
        ("limit" = Option<u16>, Query, description = "Without from, how many of the latest buckets: 1 to 10000, else 10000"),
        ("currency" = Option<String>, Query, description = "ISO 4217", example = "EUR"),
        ("size" = Option<String>, Query, description = "wide or narrow, else wide", example = "narrow")),
    responses((status = 200, description = "The series", body = String, content_type = "image/svg+xml"), Problems))]
fn sales_chart() {}

/// What /users/top says, as a picture for light and dark.
#[utoipa::path(get, path = "/charts/top-users.svg", tag = "users",
    params(
        ("by" = Option<String>, Query, description = "amount or orders", example = "orders"),
        ("currency" = Option<String>, Query, description = "ISO 4217", example = "EUR"),
        ("limit" = Option<u16>, Query, description = "1 to 1000, else 10"),
        ("size" = Option<String>, Query, description = "wide or narrow, else wide", example = "narrow")),
    responses((status = 200, description = "The ranking", body = String, content_type = "image/svg+xml"), Problems))]
fn top_users_chart() {}

/// The summary at once and whenever it has changed, as server-sent events. A stream ends after 15 minutes: come back with
/// `Last-Event-ID`, as browsers do by themselves.
#[utoipa::path(get, path = "/events", tag = "totals",
    params(("Last-Event-ID" = Option<String>, Header, description = "The id of the last summary received: it is not sent again")),
    responses(
        (status = 200, description = "summary: as /summary. freshness, every 2 seconds at least: up to when it is complete, whether the database is reachable or away, and the lag",
            body = String, content_type = "text/event-stream", example = json!(crate::events::example())),
        NoRoom))]
fn events() {}

/// What is in Kafka and not in the tables yet.
#[utoipa::path(get, path = "/lag", tag = "totals",
    responses((status = 200, description = "By partition, and their sum", body = Lag), NotLoaded))]
fn lag() {}

/// For clients of earlier systems.
#[utoipa::path(get, path = "/total_orders", tag = "compatible",
    params(("user_id" = String, Query, example = "u1"), ("currency" = Option<String>, Query)),
    responses((status = 200, description = "Zero for unknown users", body = TotalOrders), Problems))]
fn total_orders() {}

/// For clients of earlier systems.
#[utoipa::path(get, path = "/total_spendings", tag = "compatible",
    params(("user_id" = String, Query, example = "u1"), ("currency" = Option<String>, Query)),
    responses((status = 200, description = "Zero for unknown users", body = TotalSpendings), Problems))]
fn total_spendings() {}

/// For clients of earlier systems.
#[utoipa::path(get, path = "/top_users", tag = "compatible",
    params(("limit" = Option<u16>, Query, description = "1 to 1000, else 10"), ("by" = Option<String>, Query), ("currency" = Option<String>, Query)),
    responses((status = 200, description = "As /users/top", body = Vec<TopUser>), Problems))]
fn top_users() {}

/// For clients of earlier systems.
#[utoipa::path(get, path = "/anomalies", tag = "compatible",
    params(("sigma" = Option<String>, Query, example = "0.1"), ("limit" = Option<u16>, Query), ("currency" = Option<String>, Query)),
    responses((status = 200, description = "As /users/anomalies", body = Vec<CompatibleAnomaly>), Problems))]
fn compatible_anomalies() {}

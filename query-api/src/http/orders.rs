//! `/orders`: one by its id, a user's, the newest of all.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use common::http::{HttpError, readable};
use common::ids::{OrderId, UserId};
use common::time::Timestamp;
use tokio::time::Instant;

use super::answer::{LoadError, ROWS, tagged, untagged};
use super::parameters::{Limit, Parameters, invalid};
use super::{State, tell, unavailable};
use crate::cache::{Answer, Key, Loaded, Origin};
use crate::freshness::{Database, Seen};
use crate::repo::OrderNo;
use crate::views::{Cursor, InvalidCursor, OrdersPage};

const PAGE: Limit = Limit {
    default: 50,
    max: 500,
};
const MAX_WAIT: Duration = Duration::from_secs(30);

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(readable("/orders/{order_id}", order))
        .service(readable("/orders", orders));
}

pub(super) fn aliases(config: &mut web::ServiceConfig) {
    config
        .service(readable("/api/orders", orders))
        .service(readable("/order/{order_id}", order));
}

async fn order(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, HttpError> {
    let mut parameters = Parameters::of(&request);
    let wait = parameters.wait(MAX_WAIT);
    parameters.finish()?;
    // What breaks the rule for ids is nobody's id; so does what is still encoded here, `/`, `%` and `+`.
    let order_id = OrderId::parse(request.match_info().query("order_id"))
        .map_err(|_| LoadError::UnknownOrder.to_http())?;
    let (found, seen) = find_order(&state, &order_id, wait).await?;
    let mut response = tagged(&request, &state, found, &ROWS).await?;
    if !wait.is_zero() {
        tell(&seen, response.headers_mut(), Instant::now());
    }
    Ok(response)
}

/// Waits for an order that is not stored yet; with it, how far was seen before it was looked up.
async fn find_order(
    state: &State,
    order_id: &OrderId,
    wait: Duration,
) -> Result<((Answer, Origin), Arc<Seen>), HttpError> {
    // Whoever waits for nothing needs no clock.
    let deadline = (!wait.is_zero()).then(|| Instant::now() + wait);
    let key = Key::Order(order_id.clone());
    loop {
        let seen = state.seen()?;
        let loaded = state
            .cache
            .answer(&key, seen.tick, || load_order(state, order_id))
            .await;
        match loaded {
            Ok(found) => return Ok((found, seen)),
            Err(failed) => Box::pin(wait_for(state, order_id, deadline, &failed.error)).await?,
        }
    }
}

/// Until the order is stored, if it is worth waiting for: not longer than to the deadline, and not where `failed` says more
/// than that it is not there.
async fn wait_for(
    state: &State,
    order_id: &OrderId,
    deadline: Option<Instant>,
    failed: &LoadError,
) -> Result<(), HttpError> {
    let deadline = deadline.filter(|deadline| Instant::now() < *deadline);
    let (LoadError::UnknownOrder, Some(deadline)) = (failed, deadline) else {
        return Err(failed.to_http());
    };
    let stored = state
        .waiting
        .wait_for(order_id)
        .map_err(|error| unavailable(&error.to_string()))?;
    match tokio::time::timeout_at(deadline, stored).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(LoadError::Stopping.to_http()),
        Err(_) if state.database() == Database::Away => Err(LoadError::Away.to_http()),
        Err(_) => Err(failed.to_http()),
    }
}

async fn load_order(state: &State, order_id: &OrderId) -> Result<Loaded, LoadError> {
    reachable(state)?;
    let order = state
        .repo
        .order(order_id)
        .await?
        .ok_or(LoadError::UnknownOrder)?;
    Ok(Loaded {
        user: Some(state.cache.slot(&order.user_id)),
        body: order.to_json(),
    })
}

pub(super) fn reachable(state: &State) -> Result<(), LoadError> {
    match state.database() {
        Database::Reachable => Ok(()),
        Database::Away => Err(LoadError::Away),
    }
}

/// A page of a list.
enum Asked {
    FirstOfUser(UserId),
    OfUser(UserId, (Timestamp, OrderNo)),
    First,
    After(OrderNo),
}

impl Asked {
    /// A cursor belongs to the list that gave it out.
    fn of(user_id: Option<UserId>, cursor: Option<Cursor>) -> Result<Self, InvalidCursor> {
        match (user_id, cursor) {
            (Some(user_id), None) => Ok(Self::FirstOfUser(user_id)),
            (
                Some(user_id),
                Some(Cursor::OfUser {
                    created_at,
                    order_no,
                }),
            ) => Ok(Self::OfUser(user_id, (created_at, order_no))),
            (None, None) => Ok(Self::First),
            (None, Some(Cursor::Newest { order_no })) => Ok(Self::After(order_no)),
            (Some(_), Some(Cursor::Newest { .. })) | (None, Some(Cursor::OfUser { .. })) => {
                Err(InvalidCursor)
            }
        }
    }
}

async fn orders(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, HttpError> {
    let mut parameters = Parameters::of(&request);
    let (user_id, cursor) = (parameters.user_id(), parameters.cursor());
    let limit = parameters.limit(PAGE);
    parameters.finish()?;
    let asked =
        Asked::of(user_id, cursor).map_err(|error| invalid("cursor", &error.to_string()))?;
    let seen = state.seen()?;
    let started = Instant::now();
    let later_page = match asked {
        Asked::FirstOfUser(user_id) => {
            return first_page_of_user(&request, &state, &seen, user_id, limit).await;
        }
        Asked::First => return first_page(&request, &state, &seen, limit).await,
        // Boxed: the first pages, which are in memory, need no futures of this size.
        Asked::OfUser(user_id, after) => {
            Box::pin(load_orders_of_user(&state, &user_id, limit, after)).await
        }
        Asked::After(order_no) => Box::pin(load_newest(&state, limit, order_no)).await,
    };
    let page = later_page.map_err(|error| error.to_http())?;
    untagged(&state, page, Some(started.elapsed()))
}

async fn first_page_of_user(
    request: &HttpRequest,
    state: &State,
    seen: &Seen,
    user_id: UserId,
    limit: u16,
) -> Result<HttpResponse, HttpError> {
    let is_known = state
        .live
        .read(|analytics| analytics.user(user_id.as_str()).is_some());
    if !is_known.map_err(|error| unavailable(&error.to_string()))? {
        // Who never ordered has no orders: strangers' ids reach neither the database nor the cache.
        return untagged(state, OrdersPage::of_user(limit).into_json(), None);
    }
    let key = Key::OrdersOfUser {
        user_id: user_id.clone(),
        limit,
    };
    let load = || load_orders_of_user(state, &user_id, limit, (Timestamp::MAX, OrderNo::MAX));
    let loaded = state.cache.answer(&key, seen.tick, load).await;
    let loaded = loaded.map_err(|failed| failed.error.to_http())?;
    tagged(request, state, loaded, &ROWS).await
}

async fn first_page(
    request: &HttpRequest,
    state: &State,
    seen: &Seen,
    limit: u16,
) -> Result<HttpResponse, HttpError> {
    let load = || load_newest(state, limit, OrderNo::MAX);
    let loaded = state
        .cache
        .answer(&Key::NewestOrders { limit }, seen.tick, load)
        .await;
    let loaded = loaded.map_err(|failed| failed.error.to_http())?;
    tagged(request, state, loaded, &ROWS).await
}

async fn load_orders_of_user(
    state: &State,
    user_id: &UserId,
    limit: u16,
    after: (Timestamp, OrderNo),
) -> Result<Vec<u8>, LoadError> {
    reachable(state)?;
    let mut page = OrdersPage::of_user(limit);
    let rows = page.rows_to_read();
    state
        .repo
        .orders_of_user(user_id, after, rows, |stored| page.take(stored))
        .await?;
    Ok(page.into_json())
}

async fn load_newest(state: &State, limit: u16, after: OrderNo) -> Result<Vec<u8>, LoadError> {
    reachable(state)?;
    let mut page = OrdersPage::newest(limit);
    let rows = page.rows_to_read();
    state
        .repo
        .newest_orders(after, rows, |stored| page.take(stored))
        .await?;
    Ok(page.into_json())
}

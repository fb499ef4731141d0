//! The API over HTTP: reads what was asked, finds the answer in memory or has it loaded, and sends it.
//!
//! Every answer about orders carries `X-As-Of` ([`as_of`]), read before anything that goes into the answer: every commit up to
//! that time is in it. Whether that is too long ago (`X-Stale`) is decided when the answer is there.

mod answer;
mod charts;
mod compatible;
mod docs;
mod events;
mod orders;
mod pages;
mod parameters;
mod periods;
mod totals;
mod users;

use std::sync::Arc;
use std::time::{self, Duration};

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::web;
use common::http::{Health, HttpError, Readiness, Room};
use common::ids::Currency;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::analytics::Live;
use crate::cache::Cache;
use crate::events::Events;
use crate::freshness::{Database, Freshness, OwnFreshness, Seen, Totals, is_stale};
use crate::gate::Gate;
use crate::repo::Repo;
use crate::waiting::Waiting;
use crate::warm_up::Warmth;

/// What shows no order: the pages' own files, which ask for the rest as everyone does.
pub const PAGES: [&str; 3] = ["/", "/dashboard", "/static/*"];

const X_AS_OF: HeaderName = HeaderName::from_static("x-as-of");
/// There where an answer is older than the stated bound, [`crate::freshness::BOUND`].
const X_STALE: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-stale"),
    HeaderValue::from_static("true"),
);
/// When to ask again for what cannot be answered now.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Those who wait for anomalies that nobody has asked for since the last change.
const WAITING_ANOMALIES: usize = 64;
const ANOMALIES_PATIENCE: Duration = Duration::from_secs(2);

/// Large answers on their way. However little their clients take, it is at most as much, beside what the cache holds.
const SENDING_BYTES: usize = 64 * 1024 * 1024;

/// For [`State::sending`].
pub(crate) fn sending_room() -> Arc<Room> {
    Room::new(SENDING_BYTES)
}

/// One at a time: with a small sigma nearly everybody stands out, and each of a million sigmas is another question.
pub(crate) fn anomalies_gate() -> Arc<Gate> {
    Arc::new(Gate::new(1, WAITING_ANOMALIES, ANOMALIES_PATIENCE))
}

/// What answers are made from; shared by all workers, each of which has a clone.
#[derive(Clone)]
pub struct State {
    pub live: Arc<Live>,
    pub cache: Arc<Cache>,
    pub repo: Repo,
    pub waiting: Arc<Waiting>,
    pub freshness: OwnFreshness,
    pub warmth: Warmth,
    pub events: Events,
    /// Anomalies are the one question whose cost the asker chooses.
    pub anomalies: Arc<Gate>,
    /// For large answers until their clients have them.
    pub sending: Arc<Room>,
    pub default_currency: Currency,
}

impl State {
    /// How far the feed has seen: to be asked before anything that an answer is made from.
    fn seen(&self) -> Result<Arc<Seen>, HttpError> {
        self.freshness
            .look(|freshness| freshness.seen.clone())
            .ok_or_else(|| unavailable("the totals are being loaded"))
    }

    /// Whether a load is worth an attempt: while the feed cannot reach the database, nobody waits for a connection.
    fn database(&self) -> Database {
        self.freshness.look(|freshness| freshness.database)
    }

    /// Whether requests can be answered now, and how far answers reach.
    #[must_use]
    pub fn health(&self) -> Health {
        let freshness = self.freshness.look(Freshness::clone);
        Health {
            readiness: readiness(&freshness, &self.warmth),
            details: details(&freshness),
        }
    }
}

fn readiness(freshness: &Freshness, warmth: &Warmth) -> Readiness {
    let not_ready = |reason: &str| Readiness::NotReady(reason.into());
    match (&freshness.seen, freshness.totals, freshness.database) {
        (None, _, Database::Away) => {
            not_ready("the database cannot be reached, or has not been migrated")
        }
        (None, _, _) | (_, Totals::Loading, _) => not_ready("the totals are being loaded"),
        // A database that is away is no reason to send readers elsewhere: answers from memory go on.
        (Some(_), Totals::Loaded, _) if warmth.is_warm() => Readiness::Ready,
        (Some(_), Totals::Loaded, _) => not_ready("the newest orders are being loaded"),
    }
}

/// `{"as_of", "database", "positions": {"orders/0": {"next_offset", "batch_no"}}}`; of several groups the one that is
/// ahead.
fn details(freshness: &Freshness) -> Map<String, Value> {
    let mut positions: Map<String, Value> = Map::new();
    for (source, position) in freshness.seen.iter().flat_map(|seen| seen.positions.iter()) {
        let name = format!("{}/{}", source.topic, source.partition);
        let is_behind = positions
            .get(&name)
            .is_some_and(|known| known["next_offset"].as_i64() >= Some(position.next_offset.0));
        if !is_behind {
            let position =
                json!({"next_offset": position.next_offset, "batch_no": position.batch_no});
            positions.insert(name, position);
        }
    }
    let mut details = Map::new();
    details.insert(
        "as_of".into(),
        json!(freshness.seen.as_ref().map(|seen| seen.as_of)),
    );
    details.insert("database".into(), freshness.database.name().into());
    details.insert("positions".into(), positions.into());
    details
}

/// Every route but health and metrics, which all services share.
pub fn routes(config: &mut web::ServiceConfig, state: &State) {
    // Called by each worker: what every request counts up and down is its own, not one that all cores write to.
    config.app_data(web::Data::new(state.clone()));
    // They are tried one after the other, each for some 50 ns: what is asked most comes first, and what has a name in it,
    // which is a regular expression, behind what could match that, too (`/users/top` is no user's statistics).
    config
        .configure(orders::routes)
        .configure(users::fixed_routes)
        .configure(periods::fixed_routes)
        .configure(users::routes)
        .configure(totals::routes)
        .configure(charts::routes)
        .configure(compatible::routes)
        .configure(events::routes)
        .configure(periods::routes)
        .configure(orders::aliases)
        .configure(pages::routes);
    docs::docs().routes(config);
}

/// What an answer to a request that is looked at from now on says of its age, unless its handler has said more.
pub fn as_of(freshness: &OwnFreshness) -> impl FnOnce(&mut HeaderMap, time::Instant) + use<> {
    let seen = freshness.look(|freshness| freshness.seen.clone());
    move |headers, now| {
        // What anybody may keep for a day is about no order, and is not old because the database is away.
        let is_public = headers
            .get(header::CACHE_CONTROL)
            .is_some_and(|value| value.as_bytes().starts_with(b"public"));
        if let Some(seen) = seen
            && !is_public
            && !headers.contains_key(&X_AS_OF)
        {
            tell(&seen, headers, now.into());
        }
    }
}

fn tell(seen: &Seen, headers: &mut HeaderMap, now: Instant) {
    headers.append(X_AS_OF, seen.as_of_header.clone());
    if is_stale(seen.looked_at, now) {
        headers.append(X_STALE.0, X_STALE.1);
    }
}

fn unavailable(detail: &str) -> HttpError {
    HttpError::Unavailable {
        detail: detail.into(),
        retry_after: RETRY_AFTER,
        order_id: None,
    }
}

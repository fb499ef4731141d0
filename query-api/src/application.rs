//! The service as a whole: put together from its settings, run until it is asked to stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::web;
use common::http::{BindError, Health, Server};
use common::pg::InvalidDatabaseUrl;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::analytics::Live;
use crate::cache::Cache;
use crate::config::Config;
use crate::events::{self, Publisher};
use crate::feed::Feed;
use crate::freshness::{Freshness, FreshnessReceiver, OwnFreshness};
use crate::http::{self, State};
use crate::repo::Repo;
use crate::touches::Touches;
use crate::waiting::Waiting;
use crate::warm_up::{WarmUp, Warmth};

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    DatabaseUrl(#[from] InvalidDatabaseUrl),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("the connection pool cannot be set up: {0}")]
    Pool(#[from] deadpool_postgres::BuildError),
}

#[derive(Debug, thiserror::Error)]
pub enum StopError {
    #[error("the HTTP server failed: {0}")]
    Server(#[from] io::Error),
    #[error("a background task ended unexpectedly: {0}")]
    Task(#[from] JoinError),
}

/// It listens, and answers nothing yet.
pub struct Application {
    server: Server,
    state: web::Data<State>,
    freshness: FreshnessReceiver,
    feed: Feed,
    warm_up: WarmUp,
    publisher: Publisher,
}

impl Application {
    /// Takes the port and puts everything together; connects to nothing. To be called within a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn build(config: &Config) -> Result<Self, StartError> {
        let database = config.database.config()?;
        let server = Server::bind(config.address, &config.server)?.open_to_all(&http::PAGES);
        let repo = Repo::new(
            database.clone(),
            config.pool_size.into(),
            config.acquire_timeout,
        )?;
        let touches = Arc::new(Touches::default());
        let live = Arc::new(Live::default());
        let cache = Arc::new(Cache::new(config.cache_bytes, Arc::clone(&touches)));
        let (publish, freshness) = watch::channel(Freshness::default());
        let warmth = Warmth::default();
        let warm_up = WarmUp {
            repo: repo.clone(),
            live: Arc::clone(&live),
            cache: Arc::clone(&cache),
            cache_bytes: config.cache_bytes,
            orders: config.warm_orders,
            warmth: warmth.clone(),
        };
        let feed = Feed::new(
            database,
            Arc::clone(&live),
            touches,
            Arc::clone(&cache),
            publish,
        );
        let (publisher, events) = events::events(
            Arc::clone(&live),
            config.default_currency,
            config.max_listeners,
        );
        let state = State {
            live,
            cache,
            repo,
            waiting: Arc::new(Waiting::new(config.max_waiting)),
            freshness: OwnFreshness::new(freshness.clone()),
            warmth,
            events,
            anomalies: http::anomalies_gate(),
            sending: http::sending_room(),
            default_currency: config.default_currency,
        };
        Ok(Self {
            server,
            state: web::Data::new(state),
            freshness,
            feed,
            warm_up,
            publisher,
        })
    }

    /// Where it listens: the real port where 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Answers until `stop`, then finishes what is in flight.
    ///
    /// # Errors
    /// [`StopError`]: it could not go on, and the process should end.
    pub async fn run_until_stopped(
        self,
        recorded: PrometheusHandle,
        stop: CancellationToken,
    ) -> Result<(), StopError> {
        let Self {
            server,
            state,
            freshness,
            feed,
            warm_up,
            publisher,
        } = self;
        let mut tasks = JoinSet::new();
        tasks.spawn(feed.run(stop.clone()));
        tasks.spawn(warm_up.run(freshness.clone(), stop.clone()));
        tasks.spawn(publisher.run(freshness.clone(), stop.clone()));
        tasks.spawn(wait_for_orders(
            state.clone().into_inner(),
            freshness,
            stop.clone(),
        ));
        let health = {
            let state = state.clone();
            Arc::new(move || -> Health { state.health() })
        };
        let freshness = state.freshness.clone();
        let stamp = move || http::as_of(&freshness);
        let routes = move |config: &mut web::ServiceConfig| http::routes(config, &state);
        // Whichever ends first ends the other: nothing may go on answering from what no longer changes.
        let serving = async {
            let served = server
                .run(routes, stamp, health, recorded, stop.clone())
                .await;
            stop.cancel();
            served
        };
        let working = async {
            let mut result = Ok(());
            while let Some(ended) = tasks.join_next().await {
                if ended.is_err() {
                    stop.cancel();
                    result = ended;
                }
            }
            result
        };
        let (served, worked) = tokio::join!(serving, working);
        served?;
        Ok(worked?)
    }
}

async fn wait_for_orders(state: Arc<State>, freshness: FreshnessReceiver, stop: CancellationToken) {
    state.waiting.run(&state.repo, freshness, stop).await;
}

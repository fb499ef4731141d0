//! A server with a bound on everything, which listens before it runs (so that a test learns its port) and stops when a
//! token is cancelled, after finishing what is in flight.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use actix_web::dev::{Handler, Service as _};
use actix_web::http::header::HeaderMap;
use actix_web::{App, FromRequest, HttpResponse, HttpServer, Resource, Responder, web};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpSocket;
use tokio::signal::unix::Signal;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::gate::{Gate, GateConfig};
use super::health::{self, HealthCheck};
use super::keys::{self, KeysError};
use super::metrics::{self, Metrics};
use super::observe;
use super::problem::HttpError;
use crate::setting;

/// Recorded samples are folded into their buckets this often; until then they take memory.
const METRICS_UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Shorter ones end clients over slow networks; the system counts in milliseconds of 31 bits.
const SEND_TIMEOUTS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);

/// Connections that the system has taken and the server has not.
const BACKLOG: u32 = 1024;

/// Limits of an HTTP server; the address is each service's own setting.
#[derive(Debug, Clone, clap::Args)]
pub struct ServerConfig {
    /// Threads that answer requests [default: one per core].
    #[arg(long, env = "HTTP_WORKERS", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub http_workers: Option<u16>,

    /// Connections open at once; more wait to be accepted.
    #[arg(long, env = "MAX_CONNECTIONS", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: u32,

    /// How long an idle connection is kept open.
    #[arg(long, env = "KEEP_ALIVE", default_value = "75s", value_parser = setting::duration)]
    pub keep_alive: Duration,

    /// How long the head of a request may take to arrive.
    #[arg(long, env = "HEADER_TIMEOUT", default_value = "10s", value_parser = setting::duration)]
    pub header_timeout: Duration,

    /// How long a client may be behind with taking what it is sent, counted from when it first could take no more, before its
    /// connection is given up.
    #[arg(long, env = "SEND_TIMEOUT", default_value = "5m", value_parser = setting::duration_within(SEND_TIMEOUTS))]
    pub send_timeout: Duration,

    /// How long what is in flight may take to finish once the service was asked to stop.
    #[arg(long, env = "SHUTDOWN_TIMEOUT", default_value = "25s", value_parser = setting::duration)]
    pub shutdown_timeout: Duration,

    #[command(flatten)]
    pub gate: GateConfig,
}

#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("cannot listen on {address}: {error}")]
    Listen {
        address: SocketAddr,
        error: io::Error,
    },
    #[error(
        "{0} can be reached from other machines and no API keys are set: set --api-keys-file (API_KEYS_FILE), listen on a \
         loopback address, or pass --insecure (INSECURE=true) if something else keeps strangers away"
    )]
    Exposed(SocketAddr),
    #[error("the API keys cannot be used: {0}")]
    Keys(#[from] KeysError),
    #[error("SIGHUP cannot be listened to: {0}")]
    Hangups(io::Error),
}

/// A server that listens and does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    config: ServerConfig,
    gate: Gate,
    /// Where there are keys to read again.
    hangups: Option<Signal>,
    started_at: SystemTime,
}

impl Server {
    /// Listens on `address`; port 0 takes a free one. To be called within a tokio runtime.
    ///
    /// # Errors
    /// The address is taken or not ours, or lies beyond loopback without keys or `insecure`; the keys cannot be used.
    pub fn bind(address: SocketAddr, config: &ServerConfig) -> Result<Self, BindError> {
        let gate = Gate::new(&config.gate, address)?;
        if !address.ip().is_loopback() && gate.keys().is_none() && !config.gate.insecure {
            return Err(BindError::Exposed(address));
        }
        let hangups = gate.keys().map(|_| keys::hangups());
        let hangups = hangups.transpose().map_err(BindError::Hangups)?;
        let failed = |error| BindError::Listen { address, error };
        let listener = listen(address, config.send_timeout).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self {
            listener,
            address,
            config: config.clone(),
            gate,
            hangups,
            started_at: SystemTime::now(),
        })
    }

    /// Where it listens: the real port where 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets everyone in to `paths`, keys or not; one that ends in `*` means all that begin so. To be used for what shows
    /// nothing of anybody's orders.
    #[must_use]
    pub fn open_to_all(mut self, paths: &[&'static str]) -> Self {
        self.gate.open(paths);
        self
    }

    /// Answers `routes`, `/health…` and `/metrics` until `stop` is cancelled; then takes no more connections and returns
    /// when the requests in flight are answered, or after `shutdown_timeout`.
    ///
    /// `stamp` is called before a request that was let in is looked at; what it returns, with the headers of the answer and
    /// the time when that was there.
    ///
    /// # Errors
    /// The server cannot be set up, or its threads ended unexpectedly.
    pub async fn run<R, S, F>(
        self,
        routes: R,
        stamp: S,
        health: Arc<dyn HealthCheck>,
        recorded: PrometheusHandle,
        stop: CancellationToken,
    ) -> io::Result<()>
    where
        R: Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
        S: Fn() -> F + Clone + Send + 'static,
        F: FnOnce(&mut HeaderMap, Instant) + 'static,
    {
        // Ends with this function, however that ends.
        let _upkeep = AbortOnDropHandle::new(tokio::spawn(keep_up(recorded.clone())));
        let _reload = self.hangups.zip(self.gate.keys()).map(|(hangups, keys)| {
            AbortOnDropHandle::new(tokio::spawn(Arc::clone(keys).reload_at(hangups)))
        });
        let workers = workers(&self.config);
        let own_gate = self.gate;
        let health = web::Data::from(health);
        let metrics = web::Data::new(Metrics {
            recorded,
            started_at: self.started_at,
        });
        let app = move || {
            // Each worker's own: every request counts its holders up and down.
            let gate = Rc::new(own_gate.clone());
            let stamp = stamp.clone();
            App::new()
                .app_data(health.clone())
                .app_data(metrics.clone())
                .configure(routes.clone())
                .configure(shared_routes)
                .default_service(web::to(no_such_path))
                // One for all: each layer costs a future of its own on the heap.
                .wrap_fn(move |request, app| {
                    let started = Instant::now();
                    let (terms, entered) = gate.enter(request);
                    let stamped = entered.is_ok().then(&stamp);
                    let answering = entered.map(|request| app.call(request));
                    let gate = Rc::clone(&gate);
                    async move {
                        let answer = match answering {
                            Ok(answering) => answering.await?,
                            Err(refused) => refused,
                        };
                        let mut response = observe::explained(answer);
                        let is_private = terms.is_private;
                        gate.tell(terms, response.headers_mut());
                        let now = Instant::now();
                        if let Some(stamp) = stamped {
                            stamp(response.headers_mut(), now);
                        }
                        Ok(observe::finish(response, is_private, now - started))
                    }
                })
        };
        // Not awaited in the same expression: the builder is not Send, the running server is.
        let server = HttpServer::new(app)
            .workers(workers)
            .max_connections(per_worker(self.config.max_connections, workers))
            .keep_alive(self.config.keep_alive)
            .client_request_timeout(self.config.header_timeout)
            .tcp_nodelay(true)
            .shutdown_timeout(self.config.shutdown_timeout.as_secs().max(1))
            .shutdown_signal(stop.cancelled_owned())
            .listen(self.listener)?
            .run();
        server.await
    }
}

fn workers(config: &ServerConfig) -> usize {
    match config.http_workers {
        Some(workers) => usize::from(workers),
        None => std::thread::available_parallelism().map_or(1, usize::from),
    }
}

/// For [`Server::run`], where answers say nothing of when they were made.
pub fn unstamped(_: &mut HeaderMap, _: Instant) {}

/// What every service answers beside its own.
pub fn shared_routes(config: &mut web::ServiceConfig) {
    health::routes(config);
    metrics::routes(config);
}

/// A resource whose name is its path, under which what it answers is counted: every resource is made by this, or counted as none.
pub fn named(path: &str) -> Resource {
    web::resource(path).name(path)
}

/// A resource that answers `GET`, and `HEAD` with the same headers; every other method 405.
pub fn readable<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args> + Clone,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    named(path)
        .route(web::get().to(handler.clone()))
        .route(web::head().to(handler))
}

/// As the standard library does it, with room for more who connect at once, and without patience for those who take nothing.
fn listen(address: SocketAddr, send_timeout: Duration) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    give_up_after(send_timeout, &socket)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// The server library waits for ever to get rid of what it has to send. The system does not: what its peer has not
/// acknowledged, or has closed its window to, for so long ends the connection. Those that are accepted inherit it. Linux goes
/// on counting while a peer takes a little now and then: whoever is slower than the server has this long for an answer.
#[cfg(target_os = "linux")]
fn give_up_after(send_timeout: Duration, socket: &TcpSocket) -> io::Result<()> {
    let milliseconds = u32::try_from(send_timeout.as_millis()).unwrap_or(u32::MAX);
    rustix::net::sockopt::set_tcp_user_timeout(socket, milliseconds)?;
    Ok(())
}

/// Other systems have no such option: there it takes as long as they will.
#[cfg(not(target_os = "linux"))]
fn give_up_after(_: Duration, _: &TcpSocket) -> io::Result<()> {
    Ok(())
}

async fn no_such_path() -> Result<HttpResponse, HttpError> {
    Err(HttpError::NotFound {
        detail: "there is nothing at this path".into(),
    })
}

async fn keep_up(recorded: PrometheusHandle) {
    let mut interval = tokio::time::interval(METRICS_UPKEEP_INTERVAL);
    loop {
        interval.tick().await;
        recorded.run_upkeep();
    }
}

fn per_worker(connections: u32, workers: usize) -> usize {
    usize::try_from(connections)
        .unwrap_or(usize::MAX)
        .div_ceil(workers)
}

//! Before any handler: who calls, whether he may, and whether he comes too fast. What is refused here costs no body.
//!
//! With keys, everything needs one, unknown paths too, but for what shows nothing of anybody's orders: the two health probes,
//! which supervisors ask without any, the API's description, and what a service names ([`Server::open_to_all`]), its page's
//! own files. `/metrics` and the report of `/health` do show how business goes: they need a key that may read, which
//! Prometheus can send.
//!
//! Without keys, on loopback, everyone on this machine is let in, but no page that a browser shows there ([`host`]).
//!
//! Probes are never counted; the operator's own looks at `/metrics` and `/health` are not either, so that a flood does not
//! blind him, once his key was known. Without keys nobody can tell him from others.
//!
//! [`Server::open_to_all`]: super::Server::open_to_all

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use actix_web::HttpMessage as _;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, HeaderValue};

use super::cors::{Origin, Origins};
use super::docs::DOCS_PATHS;
use super::health::{LIVE, READY, REPORT};
use super::host;
use super::keys::{Key, Keys, KeysError, Need, Presented};
use super::metrics::METRICS;
use super::problem::HttpError;
use super::rate::{Allowance, Limiter, Payer, Rate};

/// Who may come in, and how fast.
#[derive(Debug, Clone, clap::Args)]
pub struct GateConfig {
    /// API keys, one name:role:sha256hex a line, roles read, write and admin; read again on SIGHUP
    /// [default: no key is needed].
    #[arg(long, env = "API_KEYS_FILE")]
    pub api_keys_file: Option<PathBuf>,

    /// Something else keeps strangers away: without API keys, listen beyond loopback, or answer there under any name.
    #[arg(long, env = "INSECURE", default_value_t = false, value_parser = clap::builder::BoolishValueParser::new(), num_args = 0..=1, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub insecure: bool,

    /// Requests that each key, or each network without one, may make, like 100/s, 600/m or 5000/h; a batch is one request
    /// [default: no limit].
    #[arg(long, env = "RATE_LIMIT")]
    pub rate_limit: Option<Rate>,

    /// How many of them may come at once after a pause [default: the number in RATE_LIMIT].
    #[arg(long, env = "RATE_LIMIT_BURST", value_parser = burst, requires = "rate_limit")]
    pub rate_limit_burst: Option<NonZeroU32>,

    /// Origins of web pages that may call from a browser, comma-separated, like https://shop.example, or * for all
    /// [default: none].
    #[arg(long, env = "CORS_ORIGINS", value_delimiter = ',')]
    pub cors_origins: Vec<Origin>,
}

fn burst(text: &str) -> Result<NonZeroU32, &'static str> {
    const LARGEST: u32 = 1_000_000;
    text.parse()
        .ok()
        .filter(|burst: &NonZeroU32| burst.get() <= LARGEST)
        .ok_or("must be 1 to 1000000")
}

#[derive(Debug, Clone)]
pub(super) struct Gate {
    keys: Option<Arc<Keys>>,
    limiter: Option<Arc<Limiter>>,
    origins: Origins,
    /// Whether only those are let in who mean this machine.
    local_alone: bool,
    /// Paths, and beginnings of paths where they end in `*`.
    open: Vec<&'static str>,
}

impl Gate {
    /// # Errors
    /// The keys cannot be used.
    pub(super) fn new(config: &GateConfig, address: SocketAddr) -> Result<Self, KeysError> {
        let keys = config
            .api_keys_file
            .as_deref()
            .map(Keys::read)
            .transpose()?;
        Ok(Self {
            local_alone: keys.is_none() && address.ip().is_loopback() && !config.insecure,
            keys: keys.map(Arc::new),
            limiter: config
                .rate_limit
                .map(|rate| Arc::new(Limiter::new(rate, config.rate_limit_burst))),
            origins: Origins::new(&config.cors_origins),
            open: DOCS_PATHS.to_vec(),
        })
    }

    pub(super) fn keys(&self) -> Option<&Arc<Keys>> {
        self.keys.as_ref()
    }

    pub(super) fn open(&mut self, paths: &[&'static str]) {
        self.open.extend(paths);
    }

    fn is_open(&self, path: &str) -> bool {
        let mut open = self.open.iter();
        open.any(|open| match open.strip_suffix('*') {
            Some(beginning) => path.starts_with(beginning),
            None => path == *open,
        })
    }

    /// The request again if it is let in, or else the answer to it.
    pub(super) fn enter(
        &self,
        request: ServiceRequest,
    ) -> (Terms, Result<ServiceRequest, ServiceResponse>) {
        let grant = self.origins.grant(request.headers());
        if let Some(answer) = self.origins.preflight(&request) {
            let terms = Terms {
                grant,
                allowance: None,
                is_private: false,
            };
            return (terms, Err(request.into_response(answer)));
        }
        let Decision { caller, allowance } = self.decide(&request);
        let is_private = matches!(caller, Ok(Some(_)));
        let entered = match caller {
            Ok(key) => {
                if let Some(key) = key {
                    request.extensions_mut().insert(key.name);
                }
                Ok(request)
            }
            Err(error) => Err(request.error_response(error)),
        };
        let terms = Terms {
            grant,
            allowance,
            is_private,
        };
        (terms, entered)
    }

    pub(super) fn tell(&self, terms: Terms, headers: &mut HeaderMap) {
        self.origins.tell(terms.grant, headers);
        if let Some(allowance) = terms.allowance {
            allowance.tell(headers);
        }
    }

    fn decide(&self, request: &ServiceRequest) -> Decision {
        let path = request.path();
        let looks = matches!(*request.method(), Method::GET | Method::HEAD);
        if looks && matches!(path, LIVE | READY) {
            return Decision {
                caller: Ok(None),
                allowance: None,
            };
        }
        let caller = match &self.keys {
            _ if self.local_alone && !host::is_local(request.headers()) => {
                Err(HttpError::Forbidden {
                    detail: "without API keys this is answered as localhost or 127.0.0.1 alone"
                        .into(),
                })
            }
            _ if self.origins.refuse(request) => Err(HttpError::Forbidden {
                detail: "this page is of another origin, and CORS_ORIGINS does not name it".into(),
            }),
            Some(keys) if !self.is_open(path) => identify(keys, request).map(Some),
            _ => Ok(None),
        };
        let of_operator =
            looks && matches!(path, METRICS | REPORT) && matches!(caller, Ok(Some(_)));
        match &self.limiter {
            Some(limiter) if !of_operator => count(limiter, request, caller),
            _ => Decision {
                caller,
                allowance: None,
            },
        }
    }
}

/// What the answer to a request has to say beside what its handler says.
#[derive(Debug)]
pub(super) struct Terms {
    grant: Option<HeaderValue>,
    allowance: Option<Allowance>,
    /// It is answered to a key's holder.
    pub(super) is_private: bool,
}

/// What became of a request.
#[derive(Debug)]
struct Decision {
    /// Whose it is, where that had to be known; or why it goes no further.
    caller: Result<Option<Key>, HttpError>,
    /// Where requests are counted.
    allowance: Option<Allowance>,
}

/// The caller's key, if it may do this.
fn identify(keys: &Keys, request: &ServiceRequest) -> Result<Key, HttpError> {
    let unauthorized = |detail: &str| HttpError::Unauthorized {
        detail: detail.into(),
    };
    let key = match keys.presented(request.headers()) {
        Presented::Known(key) => key,
        Presented::Nothing => {
            return Err(unauthorized(
                "an API key is needed: send Authorization: Bearer KEY, or X-API-Key: KEY",
            ));
        }
        Presented::Unreadable => {
            return Err(unauthorized(
                "the API key cannot be read: send one Authorization: Bearer KEY, or one X-API-Key: KEY",
            ));
        }
        Presented::Unknown => return Err(unauthorized("the API key is not known")),
    };
    let need = match *request.method() {
        Method::GET | Method::HEAD | Method::OPTIONS => Need::Read,
        _ => Need::Write,
    };
    if key.role.may(need) {
        Ok(key)
    } else {
        let (role, need) = (key.role.as_str(), need.as_str());
        Err(HttpError::Forbidden {
            detail: format!(
                "the API key {} has the role {role}; this needs {need} or admin",
                key.name
            ),
        })
    }
}

/// Whoever has no key, or a wrong one, is counted by his network: guessing keys is limited too.
fn count(
    limiter: &Limiter,
    request: &ServiceRequest,
    caller: Result<Option<Key>, HttpError>,
) -> Decision {
    let payer = match &caller {
        Ok(Some(key)) => Payer::Key(key.name.clone()),
        Ok(None) | Err(_) => Payer::of_address(request.peer_addr().map(|peer| peer.ip())),
    };
    match limiter.check(&payer) {
        Ok(allowance) => Decision {
            caller,
            allowance: Some(allowance),
        },
        Err(allowance) => Decision {
            caller: Err(HttpError::TooManyRequests {
                detail: format!("too fast: {}", limiter.rule()),
                retry_after: allowance.reset(),
            }),
            allowance: Some(allowance),
        },
    }
}

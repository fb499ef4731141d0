//! What every HTTP server here has in common: one way to say that something went wrong ([`HttpError`], RFC 9457),
//! API keys and rates, health and metrics, limits on connections and time, and a stop that finishes what is in flight.
//!
//! It knows no route but `/health…` and `/metrics`; each service brings its own.

mod cors;
mod docs;
mod gate;
#[cfg(test)]
mod gate_tests;
mod health;
mod host;
mod keys;
mod metrics;
mod observe;
mod problem;
mod rate;
mod room;
mod server;
mod slices;
#[cfg(test)]
mod slices_tests;
#[cfg(test)]
mod tests;

pub use cors::Origin;
pub use docs::{Docs, problems};
pub use gate::GateConfig;
pub use health::{Health, HealthCheck, Readiness};
pub use keys::{KeyName, KeysError};
pub use problem::{HttpError, PROBLEM_JSON, Problem};
pub use rate::Rate;
pub use room::{NoRoom, Reserved, Room};
pub use server::{BindError, Server, ServerConfig, named, readable, shared_routes, unstamped};
pub use slices::{SharedRoom, body_holding, body_in, shared_body};

//! What every HTTP server here has in common: one way to say that something went wrong ([`HttpError`], RFC 9457),
//! health and metrics, limits on connections and time, and a stop that finishes what is in flight.
//!
//! It knows no route but `/health…` and `/metrics`; each service brings its own.

mod health;
mod metrics;
mod observe;
mod problem;
mod server;
#[cfg(test)]
mod tests;

pub use health::{Health, HealthCheck, Readiness};
pub use problem::{HttpError, PROBLEM_JSON};
pub use server::{BindError, Server, ServerConfig, readable};

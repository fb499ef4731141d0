//! Takes orders over HTTP and from NDJSON files and publishes them to Kafka.
//!
//! ```text
//! http ────┐
//!          ├─▶ request ─▶ publisher ─▶ topic
//! loader ──┘
//! ```
//!
//! [`request`] turns what was sent into the record that is published, the same over HTTP and from a file; [`publisher`]
//! is the only module that knows Kafka's client. An order counts as accepted when the broker's delivery report says so,
//! and never before.

pub mod application;
pub mod config;
pub mod http;
pub mod loader;
pub mod publisher;
pub mod request;

//! `scripts/bench`: every figure beside its baseline in the same run, since machines differ and drift.
//!
//! - [`suite`]: what can be measured, and in which order.
//! - [`ingest`], [`drain`], [`lone`], [`read`], [`million`], [`freshness`], [`memory`]: what is measured.
//! - [`raw`], [`memory_feed`], [`stand_in`]: the baselines, Kafka's client alone, the SQL alone, the HTTP server alone.
//! - [`backlog`]: the orders; [`wrk`]: who asks.
//! - [`report`]: ratios and targets.

pub mod backlog;
pub mod drain;
pub mod freshness;
pub mod ingest;
pub mod lone;
pub mod memory;
pub mod memory_feed;
pub mod million;
pub mod raw;
pub mod read;
pub mod report;
pub mod stand_in;
pub mod suite;
pub mod wrk;

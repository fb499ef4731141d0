//! `scripts/bench`: every figure beside its baseline in the same run, since machines differ and drift.
//!
//! - [`suite`]: what can be measured, and in which order.
//! - [`backlog`]: the orders; [`raw`] and [`memory_feed`]: the baselines, Kafka's client alone and the SQL alone.
//! - [`report`]: ratios and targets.

pub mod backlog;
pub mod drain;
pub mod memory;
pub mod memory_feed;
pub mod raw;
pub mod report;
pub mod suite;

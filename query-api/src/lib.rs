//! Answers questions about orders from memory, with a stated bound on staleness.
//!
//! ```text
//!  PostgreSQL ──▶ repo ──▶ feed (every 50 ms) ──▶ analytics: all aggregates       ──┐
//!                   │        └──▶ touches: what changed when ──┐                     ├──▶ views ──▶ http
//!                   └──▶ orders, pages, periods, on a miss ──▶ cache: answers ready to send ┘
//! ```
//!
//! The views are JSON and, as [`charts`], pictures; [`events`] sends the summary to all who listen.
//!
//! It reads what the consumer writes and needs nothing else from it; any number of these can stand side by side.

pub mod analytics;
pub mod cache;
pub mod charts;
mod compression;
pub mod config;
pub mod events;
pub mod feed;
pub mod freshness;
mod gate;
pub mod http;
pub mod lag;
pub mod positions;
pub mod questions;
pub mod repo;
pub mod touches;
pub mod views;
pub mod waiting;
pub mod warm_up;

mod application;

pub use application::{Application, StartError, StopError};
pub use config::Config;

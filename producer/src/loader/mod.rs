//! Loads orders from NDJSON files through the same [`crate::request`] and [`crate::publisher`] as HTTP.
//!
//! ```text
//! input ─▶ lines (a thread) ─▶ parse (a few threads) ─▶ load (this thread) ─▶ publisher
//!                                                          │    ▲                │
//!                                              rejects ◀───┘    └─── account ◀───┘ delivery reports
//! ```
//!
//! - Lines are sent in the order of the file: blocks go to the parsing threads in turn and are collected in turn.
//! - Memory is bounded whatever the file: blocks in flight, lines within a block, records that wait for the broker.
//! - What a checkpoint claims is a frontier: every line before it is settled. Never the furthest line that is.
//! - A record that was not confirmed is sent again with the same order_id, until there has been no progress for too long.

pub mod config;
pub mod generate;
pub mod judge;
pub mod lines;

mod account;
mod arrival;
mod checkpoint;
mod input;
mod load;
mod pace;
mod parse;
mod progress;
mod rejects;
mod resume;
mod send;
mod setup;
mod stopped;
mod summary;
mod whole;

pub use load::load;
pub use summary::{Ending, Summary};

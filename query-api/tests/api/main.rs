//! The query API on a real PostgreSQL, asked over HTTP. The tables are filled as the consumer fills them, by
//! [`writer::Writer`]: this service must work with whatever the migrations allow, not with the consumer's code.

#![expect(
    clippy::unwrap_used,
    reason = "what a test does not expect ends it, with the line where it happened"
)]

mod app;
mod writer;

mod access;
mod charts;
mod compatible;
mod consistency;
mod description;
mod events;
mod faults;
mod feed;
mod gaps;
mod loads;
mod memory;
mod orders;
mod pages;
mod periods;
mod totals;
mod transfer;
mod users;

//! The query API on a real PostgreSQL, asked over HTTP. The tables are filled as the consumer fills them, by
//! [`writer::Writer`]: this service must work with whatever the migrations allow, not with the consumer's code.

mod app;
mod writer;

mod compatible;
mod faults;
mod feed;
mod orders;
mod totals;
mod users;

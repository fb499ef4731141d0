//! The consumer on a real Kafka and a real PostgreSQL, in this process: what it makes of records, and what must hold when
//! something breaks.

mod applying;
mod commands;
mod dead_letters;
mod faults;
mod repair;
mod support;

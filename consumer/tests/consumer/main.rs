//! The consumer on a real Kafka and a real PostgreSQL, in this process: what it makes of records, and what must hold when
//! something breaks.

mod applying;
mod corpus;
mod faults;
mod support;

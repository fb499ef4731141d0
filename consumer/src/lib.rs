//! Orders from Kafka to PostgreSQL, each exactly once.
//!
//! ```text
//!  source ──▶ intake ──▶ batch ──▶ decode ──▶ tally ──▶ store ──▶ PostgreSQL
//!    ▲        (librdkafka's own    workers: one batch     one transaction:
//!    │         queue, bounded)     in flight a partition  position, orders, sums
//!    └────────────── pipeline ◀── Committed ─────────────────┘
//!          owns every partition's state; Kafka's offsets follow the database's
//! ```
//!
//! - [`source`]: the group and the records. Only it knows rdkafka.
//! - [`pipeline`] and [`lane`]: who works on which partition, through rebalances, fencing and shutdown.
//! - [`workers`]: one batch, retried and halved until it is decided.
//! - [`decode`], [`tally`]: pure.
//! - [`store`]: the transaction, and the truth about what was applied.
//! - [`verify`]: recomputes every sum from the orders.

pub mod batch;
pub mod commands;
pub mod config;
pub mod dead_letters;
pub mod decode;
pub mod feed;
pub mod housekeeping;
pub mod lane;
pub mod observe;
pub mod pipeline;
pub mod position;
pub mod service;
pub mod source;
pub mod store;
pub mod tally;
pub mod verify;
pub mod workers;

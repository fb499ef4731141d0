//! What two of Tally's services must agree on, or break: identifiers, money, time, the order and its spellings, the
//! topic's contract; and how each of them starts, retries and stops.
//!
//! Features: `pg` (SQL types, pool, migrations), `http` (problem documents, health, metrics).

pub mod event;
pub mod ids;
pub mod money;
pub mod order;
pub mod retry;
pub mod setting;
pub mod shutdown;
pub mod telemetry;
pub mod time;

#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "pg")]
pub mod migrate;
#[cfg(feature = "pg")]
pub mod pg;

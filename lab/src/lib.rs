//! The test laboratory: real servers, the services as processes, faults, and the checks that must hold afterwards.
//!
//! It knows the services as a user and an operator do: by their commands, their HTTP answers, the topic and the tables. No
//! code of theirs is used to judge them.
//!
//! Everything here panics or fails with what is missing: a test that cannot be set up must not pass.

pub mod answers;
mod browser;
pub mod check;
mod database;
mod http;
pub mod ledger;
mod load;
pub mod openapi;
pub mod orders;
mod patience;
mod place;
mod ports;
pub mod process;
mod program;
mod proxy;
mod servers;
pub mod settings;
mod topic;
mod trio;
pub mod units;

pub use browser::{Browser, ENTER, Element, TAB};
pub use database::{TestDatabase, database};
pub use http::{Answer, Http};
pub use load::{Load, LoadSummary};
pub use patience::eventually;
pub use ports::free_address;
pub use program::{Program, START_PATIENCE, Service};
pub use proxy::{Loss, Proxy};
pub use servers::{OwnKafka, OwnPostgres, Stop};
pub use topic::{Record, StoredRecord, TestTopic, topic};
pub use trio::{Plan, Trio};

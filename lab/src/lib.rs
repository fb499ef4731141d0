//! The test laboratory: real servers, the services as processes, faults, and the checks that must hold afterwards.
//!
//! It knows the services as a user and an operator do: by their commands, their HTTP answers, the topic and the tables. No
//! code of theirs is used to judge them.
//!
//! Everything here panics or fails with what is missing: a test that cannot be set up must not pass.

pub mod answers;
mod browser;
pub mod chaos;
pub mod check;
mod database;
mod group;
mod http;
pub mod ledger;
mod load;
mod metrics;
pub mod openapi;
pub mod orders;
mod pace;
mod patience;
mod place;
mod ports;
pub mod process;
mod program;
mod proxy;
mod secured;
mod servers;
pub mod settings;
mod topic;
mod trio;
pub mod units;

pub use browser::{ARROW_RIGHT, Browser, ENTER, TAB};
pub use database::{TestDatabase, database};
pub use group::Group;
pub use http::{Answer, Http};
pub use load::{Load, LoadSummary};
pub use metrics::Metrics;
pub use pace::Pace;
pub use patience::eventually;
pub use place::{make as place, tell_logs};
pub use ports::free_address;
pub use program::{Program, START_PATIENCE, Service};
pub use proxy::{Loss, Proxy};
pub use secured::SecuredKafka;
pub use servers::{OwnKafka, OwnPostgres, Stop};
pub use topic::{Record, RecordPublisher, StoredRecord, TestTopic, topic};
pub use trio::{Plan, Trio};

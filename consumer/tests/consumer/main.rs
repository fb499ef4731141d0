//! The consumer on a real Kafka and a real PostgreSQL, in this process or as processes: what it makes of records, and what
//! must hold when something breaks. Each failure test stages one failure and looks at the tables afterwards.

mod a_minute;
mod applying;
mod commands;
mod contention;
mod corpus;
mod crashes;
mod dead_letters;
mod lag;
mod ownership;
mod positions;
mod protocols;
mod refusals;
mod repair;
mod replays;
mod support;

//! What can break.

use std::fmt;
use std::time::Duration;

use crate::Loss;

/// One thing that goes wrong, for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// SIGKILL, and a new process later.
    ConsumerKilled(usize),
    /// SIGSTOP, sometimes for longer than the session: on waking it is a zombie.
    ConsumerFrozen(usize),
    /// SIGTERM, and a new process later: its partitions move twice.
    ConsumerStopped(usize),
    ProducerKilled,
    QueryApiKilled,
    /// PostgreSQL ends as in a crash, and recovers.
    DatabaseCrashed,
    /// PostgreSQL ends in order, and comes back.
    DatabaseStopped,
    /// Every process of PostgreSQL stands still.
    DatabaseFrozen,
    /// The consumers' connections are cut, and new ones are refused.
    DatabaseCut,
    /// Nothing flows between the consumers and the database, and nobody is told.
    DatabaseSilent,
    /// The answers to some COMMITs never arrive.
    CommitAnswersLost(Loss),
    /// Somebody else locks the orders.
    OrdersLocked,
    /// SIGKILL to Kafka.
    BrokerKilled,
    /// Kafka stands still.
    BrokerFrozen,
}

/// What a fault strikes: two at once strike different things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Consumer(usize),
    Producer,
    QueryApi,
    Database,
    Path,
    Broker,
}

impl Fault {
    /// The same fault for this consumer, where it is one of a consumer.
    #[must_use]
    pub(super) fn aimed(self, consumer: usize) -> Self {
        match self {
            Self::ConsumerKilled(_) => Self::ConsumerKilled(consumer),
            Self::ConsumerFrozen(_) => Self::ConsumerFrozen(consumer),
            Self::ConsumerStopped(_) => Self::ConsumerStopped(consumer),
            Self::ProducerKilled
            | Self::QueryApiKilled
            | Self::DatabaseCrashed
            | Self::DatabaseStopped
            | Self::DatabaseFrozen
            | Self::DatabaseCut
            | Self::DatabaseSilent
            | Self::CommitAnswersLost(_)
            | Self::OrdersLocked
            | Self::BrokerKilled
            | Self::BrokerFrozen => self,
        }
    }

    #[must_use]
    pub(super) fn target(self) -> Target {
        match self {
            Self::ConsumerKilled(number)
            | Self::ConsumerFrozen(number)
            | Self::ConsumerStopped(number) => Target::Consumer(number),
            Self::ProducerKilled => Target::Producer,
            Self::QueryApiKilled => Target::QueryApi,
            Self::DatabaseCrashed
            | Self::DatabaseStopped
            | Self::DatabaseFrozen
            | Self::OrdersLocked => Target::Database,
            Self::DatabaseCut | Self::DatabaseSilent | Self::CommitAnswersLost(_) => Target::Path,
            Self::BrokerKilled | Self::BrokerFrozen => Target::Broker,
        }
    }

    /// Whether orders cannot be acknowledged while it lasts.
    #[must_use]
    pub(super) fn stops_producer(self) -> bool {
        match self.target() {
            Target::Producer | Target::Broker => true,
            Target::Consumer(_) | Target::QueryApi | Target::Database | Target::Path => false,
        }
    }

    /// Whether a consumer cannot finish a batch while it lasts.
    #[must_use]
    pub(super) fn stops_batches(self) -> bool {
        match self.target() {
            Target::Database | Target::Path => true,
            Target::Consumer(_) | Target::Producer | Target::QueryApi | Target::Broker => false,
        }
    }

    /// The longest it lasts: one that freezes goes beyond the consumers' session of 6 s.
    #[must_use]
    pub(super) fn longest(self) -> Duration {
        match self {
            Self::ConsumerFrozen(_) | Self::DatabaseSilent => Duration::from_secs(10),
            Self::DatabaseFrozen | Self::BrokerFrozen | Self::OrdersLocked => {
                Duration::from_secs(8)
            }
            Self::ConsumerKilled(_)
            | Self::ConsumerStopped(_)
            | Self::ProducerKilled
            | Self::QueryApiKilled
            | Self::DatabaseCrashed
            | Self::DatabaseStopped
            | Self::DatabaseCut
            | Self::CommitAnswersLost(_)
            | Self::BrokerKilled => Duration::from_secs(3),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConsumerKilled(number) => write!(f, "consumer {} killed", number + 1),
            Self::ConsumerFrozen(number) => write!(f, "consumer {} frozen", number + 1),
            Self::ConsumerStopped(number) => write!(f, "consumer {} stopped", number + 1),
            Self::ProducerKilled => f.write_str("producer killed"),
            Self::QueryApiKilled => f.write_str("query API killed"),
            Self::DatabaseCrashed => f.write_str("database crashed"),
            Self::DatabaseStopped => f.write_str("database stopped"),
            Self::DatabaseFrozen => f.write_str("database frozen"),
            Self::DatabaseCut => f.write_str("connections to the database cut"),
            Self::DatabaseSilent => f.write_str("connections to the database silent"),
            Self::CommitAnswersLost(Loss::BeforeTheAnswer) => {
                f.write_str("answers to COMMIT lost, the commit still under way")
            }
            Self::CommitAnswersLost(Loss::AfterTheAnswer) => {
                f.write_str("answers to COMMIT lost, the commit done")
            }
            Self::OrdersLocked => f.write_str("table of orders locked"),
            Self::BrokerKilled => f.write_str("broker killed"),
            Self::BrokerFrozen => f.write_str("broker frozen"),
        }
    }
}

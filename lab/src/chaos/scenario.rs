//! Which faults strike together, by name.

use super::fault::{Fault, Target};
use super::loading::Loading;
use crate::Loss;

/// A kind of bad night.
#[derive(Debug)]
pub struct Scenario {
    pub name: &'static str,
    /// One line for who chooses.
    pub about: &'static str,
    pub consumers: usize,
    pub(super) faults: &'static [Fault],
    /// The most that strike at the same time.
    pub(super) at_once: usize,
    /// What a loader does meanwhile, if there is one.
    pub(super) loading: Option<Loading>,
}

impl Scenario {
    /// Whether its faults keep the query API from the database. Its way there is not the consumers'.
    pub(super) fn strikes_database(&self) -> bool {
        self.faults
            .iter()
            .any(|fault| fault.target() == Target::Database)
    }
}

const ONE_AT_A_TIME: Scenario = Scenario {
    name: "",
    about: "",
    consumers: 2,
    faults: &[],
    at_once: 1,
    loading: None,
};

pub const SCENARIOS: [Scenario; 13] = [
    Scenario {
        name: "consumer-killed",
        about: "kill -9 to one of three consumers, again and again",
        consumers: 3,
        faults: &[Fault::ConsumerKilled(0)],
        ..ONE_AT_A_TIME
    },
    Scenario {
        name: "consumer-frozen",
        about: "SIGSTOP to a consumer, also past its session: a zombie wakes after the takeover",
        faults: &[Fault::ConsumerFrozen(0)],
        ..ONE_AT_A_TIME
    },
    Scenario {
        name: "rebalance-storm",
        about: "consumers leave and come back",
        consumers: 3,
        faults: &[
            Fault::ConsumerStopped(0),
            Fault::ConsumerStopped(0),
            Fault::ConsumerKilled(0),
        ],
        at_once: 2,
        ..ONE_AT_A_TIME
    },
    Scenario {
        name: "database-crashed",
        about: "PostgreSQL crashes or is restarted",
        faults: &[Fault::DatabaseCrashed, Fault::DatabaseStopped],
        ..ONE_AT_A_TIME
    },
    Scenario {
        name: "database-stuck",
        about: "PostgreSQL stands still, or somebody locks the orders",
        faults: &[Fault::DatabaseFrozen, Fault::OrdersLocked],
        ..ONE_AT_A_TIME
    },
    Scenario {
        name: "network",
        about: "the way to PostgreSQL is cut, or falls silent",
        faults: &[Fault::DatabaseCut, Fault::DatabaseSilent],
        ..ONE_AT_A_TIME
    },
    Scenario {
        name: "commit-lost",
        about: "COMMITs whose answers never arrive",
        faults: &[
            Fault::CommitAnswersLost(Loss::BeforeTheAnswer),
            Fault::CommitAnswersLost(Loss::AfterTheAnswer),
        ],
        ..ONE_AT_A_TIME
    },
    Scenario {
        name: "replay",
        about: "a file is loaded again and again while consumers and PostgreSQL are killed",
        faults: &[
            Fault::ConsumerKilled(0),
            Fault::DatabaseCrashed,
            Fault::DatabaseCut,
            Fault::CommitAnswersLost(Loss::BeforeTheAnswer),
            Fault::CommitAnswersLost(Loss::AfterTheAnswer),
        ],
        loading: Some(Loading::Repeated),
        ..ONE_AT_A_TIME
    },
    Scenario {
        name: "broker-killed",
        about: "kill -9 to Kafka",
        faults: &[Fault::BrokerKilled],
        ..ONE_AT_A_TIME
    },
    Scenario {
        name: "broker-frozen",
        about: "SIGSTOP to Kafka",
        faults: &[Fault::BrokerFrozen],
        ..ONE_AT_A_TIME
    },
    Scenario {
        name: "producer-killed",
        about: "kill -9 to the producer in the middle of requests, and to a loader that resumes",
        faults: &[Fault::ProducerKilled],
        loading: Some(Loading::Killed),
        ..ONE_AT_A_TIME
    },
    Scenario {
        name: "query-api-killed",
        about: "kill -9 to the query API: it warms up while orders come in",
        faults: &[Fault::QueryApiKilled],
        ..ONE_AT_A_TIME
    },
    Scenario {
        name: "everything",
        about: "all of it, up to three at once",
        consumers: 3,
        faults: &[
            Fault::ConsumerKilled(0),
            Fault::ConsumerFrozen(0),
            Fault::ConsumerStopped(0),
            Fault::ProducerKilled,
            Fault::QueryApiKilled,
            Fault::DatabaseCrashed,
            Fault::DatabaseStopped,
            Fault::DatabaseFrozen,
            Fault::DatabaseCut,
            Fault::DatabaseSilent,
            Fault::CommitAnswersLost(Loss::BeforeTheAnswer),
            Fault::CommitAnswersLost(Loss::AfterTheAnswer),
            Fault::OrdersLocked,
            Fault::BrokerKilled,
            Fault::BrokerFrozen,
        ],
        at_once: 3,
        loading: Some(Loading::Killed),
    },
];

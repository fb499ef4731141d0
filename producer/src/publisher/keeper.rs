//! The publisher's background thread: finds the topic, asks the broker every other second whether it answers, and replaces
//! a client that failed for good.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use common::http::Readiness;
use common::retry::Backoff;

#[cfg(target_os = "linux")]
use preempt_rt::sched::{Pid, Scheduler, SchedulerParams, set_scheduler};

use super::Link;
use super::client::{Client, said};
use super::topic::{self, Topic};

/// Between two questions to the broker.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// After which a broker that has not answered counts as away.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// Between attempts to find the topic, and between replacements of clients that keep failing.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// What the keeper is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wake {
    /// Something failed that cannot wait for the next interval.
    Look,
    Stop,
}

pub(super) struct Keeper {
    link: Arc<Link>,
    source: &'static str,
    woken: Receiver<Wake>,
    backoff: Backoff,
    /// Once it was found. Later clients take it as it was then.
    topic: Option<Topic>,
}

impl Keeper {
    pub(super) fn new(link: Arc<Link>, source: &'static str, woken: Receiver<Wake>) -> Self {
        Self {
            link,
            source,
            woken,
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
            topic: None,
        }
    }

    pub(super) fn run(mut self) {
        take_turns();
        let mut wait = Duration::ZERO;
        while self.pause(wait) {
            wait = match self.fatal_error() {
                Some(error) => self.replace_client(&error),
                None if self.has_client() => self.probe(),
                None => self.connect(),
            };
        }
    }

    /// False when it is time to stop.
    fn pause(&self, wait: Duration) -> bool {
        match self.woken.recv_timeout(wait) {
            Ok(Wake::Look) | Err(RecvTimeoutError::Timeout) => true,
            Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => false,
        }
    }

    /// Finds the topic and makes a client for it. Returns how long to wait before looking again.
    fn connect(&mut self) -> Duration {
        match self.new_client() {
            Ok(client) => {
                drop(self.link.replace_client(Some(client)));
                self.report(Readiness::Ready);
                PROBE_INTERVAL
            }
            Err(reason) => {
                self.report(Readiness::NotReady(reason));
                self.backoff.next_wait()
            }
        }
    }

    fn new_client(&mut self) -> Result<Client, String> {
        let config = &self.link.config;
        let topic = match &self.topic {
            Some(topic) => topic,
            None => {
                let topic =
                    topic::ensure(config, PROBE_TIMEOUT).map_err(|error| error.to_string())?;
                self.topic.insert(topic)
            }
        };
        Client::new(config, topic.max_record_bytes, self.source, &self.link.wake)
            .map_err(|error| said(&error))
    }

    /// A client with a fatal error refuses everything from then on; what it still held is reported as unconfirmed.
    fn replace_client(&mut self, error: &str) -> Duration {
        tracing::error!(error, "kafka's client failed for good and is replaced");
        metrics::counter!("publisher_clients_replaced_total").increment(1);
        drop(self.link.replace_client(None));
        // The next look connects; each time in a row waits longer.
        self.backoff.next_wait()
    }

    fn probe(&mut self) -> Duration {
        metrics::gauge!("publisher_in_flight_records").set(self.in_flight());
        let answer = self
            .link
            .client()
            .as_ref()
            .map_or(Ok(()), |client| client.probe(PROBE_TIMEOUT));
        match answer {
            Ok(()) => {
                self.backoff.reset();
                self.report(Readiness::Ready);
            }
            Err(unusable) => self.report(Readiness::NotReady(unusable.to_string())),
        }
        PROBE_INTERVAL
    }

    fn in_flight(&self) -> f64 {
        let records = self.link.client().as_ref().map_or(0, Client::in_flight);
        f64::from(u32::try_from(records).unwrap_or(u32::MAX))
    }

    fn fatal_error(&self) -> Option<String> {
        self.link.client().as_ref().and_then(Client::fatal_error)
    }

    fn has_client(&self) -> bool {
        self.link.client().is_some()
    }

    /// One line for each change, however long a state lasts.
    fn report(&self, readiness: Readiness) {
        let before = self.link.readiness();
        match (&before, &readiness) {
            (Readiness::NotReady(_), Readiness::Ready) => tracing::info!("the broker is reachable"),
            (Readiness::Ready, Readiness::NotReady(reason)) => {
                tracing::warn!(reason, "the broker is not reachable");
            }
            (Readiness::NotReady(old), Readiness::NotReady(new)) if old != new => {
                tracing::warn!(reason = new, "still not ready to publish");
            }
            (Readiness::Ready, Readiness::Ready)
            | (Readiness::NotReady(_), Readiness::NotReady(_)) => {}
        }
        let reachable = if readiness == Readiness::Ready {
            1.0
        } else {
            0.0
        };
        metrics::gauge!("publisher_broker_reachable").set(reachable);
        self.link.set_readiness(readiness);
    }
}

/// This thread, and those that Kafka's client begins from here, wait for their turn when they are woken (`SCHED_BATCH`). Else
/// the system runs them at once: where all cores are busy they stop whoever answers requests, for each few records, which then
/// go out by themselves. On a core that is free they run as soon as ever.
#[cfg(target_os = "linux")]
fn take_turns() {
    let params = SchedulerParams { priority: 0 };
    if let Err(error) = set_scheduler(Pid::current_thread(), Scheduler::SCHED_BATCH, params) {
        tracing::debug!(%error, "kafka's client does not wait for its turn");
    }
}

/// Other systems have no such policy.
#[cfg(not(target_os = "linux"))]
fn take_turns() {}

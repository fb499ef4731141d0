//! Sends records and says when it has to wait: for room, for the broker, for what is open. It waits no longer than a tick
//! at a time, so that whoever calls can look around.

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::http::Readiness;
use common::retry::Backoff;

use super::account::{Account, Failed, Place};
use crate::publisher::{Delivery, PublishError, Publisher};
use crate::request::Record;

/// How long one wait lasts at most.
pub(super) const TICK: Duration = Duration::from_millis(100);
/// Between attempts while the client takes nothing.
const REFUSED_PAUSE: Duration = Duration::from_millis(10);
/// Between attempts to send what came back.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(5);

pub(super) struct Sender {
    publisher: Publisher,
    account: Arc<Account>,
    /// How long nothing may become known of what is open.
    patience: Duration,
    /// Since when the client takes nothing although nothing is open, if that is so. While orders are open their own clock
    /// counts: a full queue is full of them.
    refused_since: Option<Instant>,
    retries: Retries,
}

/// What became of an attempt to send.
pub(super) enum Attempt {
    Sent,
    /// The topic will never take it.
    TooLarge,
    /// Look around and try again.
    NotYet,
}

/// A record that came back because the topic will never take it.
pub(super) struct TooLarge {
    pub(super) place: Place,
    pub(super) value: Vec<u8>,
}

/// The broker has been silent for longer than anyone wants to wait.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the broker has confirmed nothing for {} s: {reason}", waited.as_secs())]
pub(super) struct NoProgress {
    waited: Duration,
    reason: String,
}

impl Sender {
    pub(super) fn new(publisher: Publisher, account: Arc<Account>, patience: Duration) -> Self {
        Self {
            publisher,
            account,
            patience,
            refused_since: None,
            retries: Retries::new(),
        }
    }

    /// See [`Publisher::cluster_id`].
    pub(super) fn cluster_id(&self) -> Option<String> {
        self.publisher.cluster_id()
    }

    /// Sends one record if that is possible within a tick.
    pub(super) fn attempt(&mut self, record: &Record, place: Place) -> Attempt {
        if !self.account.wait_for_room(TICK) {
            return Attempt::NotYet;
        }
        let number = self.account.open(place, record.value.len());
        let delivery = Delivery::Of(Arc::clone(&self.account) as _, number);
        match self.publisher.submit(record, delivery) {
            Ok(()) => {
                self.refused_since = None;
                Attempt::Sent
            }
            Err(PublishError::TooLarge) => {
                self.refused_since = None;
                self.account.withdraw();
                self.account.rejected();
                Attempt::TooLarge
            }
            Err(
                PublishError::QueueFull | PublishError::NotConnected | PublishError::Unconfirmed(_),
            ) => {
                self.account.withdraw();
                let since = self.refused_since.unwrap_or_else(Instant::now);
                self.refused_since = self.account.is_settled().then_some(since);
                std::thread::sleep(REFUSED_PAUSE);
                Attempt::NotYet
            }
        }
    }

    /// Sends again what came back, when it is time. What can never be sent is returned.
    pub(super) fn resend(&mut self) -> Vec<TooLarge> {
        let failed = self.account.take_failed();
        if failed.is_empty() {
            return Vec::new();
        }
        let (too_large, failed): (Vec<_>, Vec<_>) = failed
            .into_iter()
            .partition(|failed| failed.error == PublishError::TooLarge);
        let failed = if self.retries.are_due(self.account.counts().accepted) {
            failed
                .into_iter()
                .filter_map(|failed| self.resend_one(failed))
                .collect()
        } else {
            failed
        };
        self.account.put_back(failed);
        let reject = |Failed {
                          number,
                          place,
                          record,
                          ..
                      }: Failed| {
            self.account.reject_open(number);
            TooLarge {
                place,
                value: record.into_value(),
            }
        };
        too_large.into_iter().map(reject).collect()
    }

    /// The record, if it could not be sent.
    fn resend_one(&self, mut failed: Failed) -> Option<Failed> {
        let delivery = Delivery::Of(Arc::clone(&self.account) as _, failed.number);
        failed.error = self.publisher.resubmit(&failed.record, delivery).err()?;
        Some(failed)
    }

    /// What is being waited for, if the broker does not answer.
    pub(super) fn waiting_for(&self) -> Option<String> {
        match self.publisher.readiness() {
            Readiness::Ready => None,
            Readiness::NotReady(reason) => Some(reason),
        }
    }

    /// Ends; what is still open then stays unknown.
    pub(super) fn close(self, timeout: Duration) {
        self.publisher.close(timeout);
    }

    pub(super) fn check_patience(&self) -> Result<(), NoProgress> {
        let waited = if !self.account.is_settled() {
            self.account.stalled()
        } else if let Some(since) = self.refused_since {
            since.elapsed()
        } else {
            return Ok(());
        };
        if waited < self.patience {
            return Ok(());
        }
        let reason = self
            .waiting_for()
            .unwrap_or_else(|| "it answers but confirms no order".to_owned());
        Err(NoProgress { waited, reason })
    }
}

/// When what came back is sent again.
struct Retries {
    backoff: Backoff,
    due: Option<Instant>,
    accepted_before: u64,
}

impl Retries {
    fn new() -> Self {
        Self {
            backoff: Backoff::new(FIRST_RETRY, LONGEST_RETRY),
            due: None,
            accepted_before: 0,
        }
    }

    /// Whether the time has come; orders that were accepted meanwhile make it come sooner.
    fn are_due(&mut self, accepted: u64) -> bool {
        if accepted > self.accepted_before {
            self.accepted_before = accepted;
            self.backoff.reset();
        }
        let due = *self
            .due
            .get_or_insert_with(|| Instant::now() + self.backoff.next_wait());
        let now = Instant::now() >= due;
        if now {
            self.due = None;
        }
        now
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use common::ids::{Offset, Partition};

    use super::super::account::FileMark;
    use super::*;
    use crate::publisher::{Delivered, Ledger as _, PublisherConfig};
    use crate::request::{Arrival, new_order_id};

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        publisher: PublisherConfig,
    }

    const PLACE: Place = Place { file: 0, line: 1 };
    const PATIENCE: Duration = Duration::from_millis(300);

    /// One whose client takes nothing.
    fn refused() -> (Sender, Arc<Account>, Record) {
        let config = Command::parse_from(["test", "--kafka-brokers", "127.0.0.1:9"]).publisher;
        let account = Arc::new(Account::new(vec![FileMark::default()]));
        let publisher = Publisher::start(config, "/test").unwrap();
        let sender = Sender::new(publisher, Arc::clone(&account), PATIENCE);
        let arrival = Arrival::now(Duration::ZERO);
        let record = Record::read(br#"{"user_id":"u","amount":1}"#, arrival, new_order_id).unwrap();
        (sender, account, record)
    }

    fn deliver(account: &Account, number: u64) {
        let (partition, offset) = (Partition(0), Offset(0));
        account.delivered(number, Delivered { partition, offset });
    }

    #[test]
    fn a_refusal_does_not_count_while_what_is_open_is_being_confirmed() {
        let (mut sender, account, record) = refused();
        let open: Vec<_> = (0..3).map(|_| account.open(PLACE, 1)).collect();
        assert!(matches!(sender.attempt(&record, PLACE), Attempt::NotYet));
        // From here on nothing more is sent, as after a Ctrl-C; each report comes well within the patience.
        for number in &open[..2] {
            std::thread::sleep(PATIENCE * 2 / 3);
            deliver(&account, *number);
            assert_eq!(sender.check_patience(), Ok(()));
        }
        std::thread::sleep(PATIENCE);
        assert!(sender.check_patience().is_err());
    }

    #[test]
    fn a_refusal_counts_from_when_nothing_is_open() {
        let (mut sender, account, record) = refused();
        let number = account.open(PLACE, 1);
        sender.attempt(&record, PLACE);
        std::thread::sleep(PATIENCE);
        deliver(&account, number);
        sender.attempt(&record, PLACE);
        assert_eq!(sender.check_patience(), Ok(()));
        std::thread::sleep(PATIENCE);
        sender.attempt(&record, PLACE);
        let error = sender.check_patience().unwrap_err().to_string();
        assert!(error.contains("confirmed nothing"), "{error}");
    }
}

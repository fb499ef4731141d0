//! Publishing: records go to the topic, and what became of each comes back as a value. The only module that knows Kafka's
//! client.
//!
//! - [`Delivered`] comes from the broker's delivery report and from nowhere else.
//! - Every failure but one leaves open whether the record is in the topic: the client may have given up on a write that
//!   the broker made. Only [`PublishError::TooLarge`] is certain.
//! - Nothing waits without a bound: the client's queue is bounded in records and bytes, a delivery by its timeout.
//! - A client that failed for good (an idempotent producer does when its sequence is lost) is replaced by the
//!   [`keeper`], which also finds the topic at the start and knows whether the broker answers.

mod client;
mod complaint;
mod config;
mod delivery;
mod keeper;
mod topic;

use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use common::http::Readiness;
use common::ids::{NextOffset, Partition};
use tokio::sync::oneshot;

pub use config::PublisherConfig;
pub use delivery::{Delivered, Delivery, Ledger, PublishError, Undelivered};

use client::Client;
use keeper::{Keeper, Wake};

use crate::request::Record;

/// Publishes records to one topic. Shared by reference; [`Publisher::close`] ends it.
pub struct Publisher {
    link: Arc<Link>,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

/// Why nothing was begun.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("kafka's client refuses its settings, see --kafka-config: {0}")]
    Settings(String),
    #[error("no thread for the publisher: {0}")]
    Thread(#[from] std::io::Error),
}

/// What the keeper and those who publish share.
struct Link {
    config: PublisherConfig,
    /// `None` until the topic has been found.
    client: RwLock<Option<Client>>,
    readiness: Mutex<Readiness>,
    wake: SyncSender<Wake>,
}

impl Publisher {
    /// Starts to look for the broker and the topic, in the background; until they are found nothing can be published.
    /// `source` is the `ce_source` of every record.
    ///
    /// # Errors
    /// [`StartError`]; a broker that does not answer is none.
    pub fn start(config: PublisherConfig, source: &'static str) -> Result<Self, StartError> {
        client::check(&config).map_err(|error| StartError::Settings(client::said(&error)))?;
        // One reason to wake up is as good as many.
        let (wake, woken) = sync_channel(1);
        let link = Arc::new(Link {
            config,
            client: RwLock::default(),
            readiness: Mutex::new(Readiness::NotReady("looking for the broker".into())),
            wake,
        });
        let keeper = Keeper::new(Arc::clone(&link), source, woken);
        let keeper = std::thread::Builder::new()
            .name("publisher-keeper".into())
            .spawn(|| keeper.run())?;
        Ok(Self {
            link,
            keeper: Mutex::new(Some(keeper)),
        })
    }

    /// Publishes one record and waits for the broker's report, at most for the delivery timeout.
    ///
    /// # Errors
    /// [`PublishError`]; all but `TooLarge` leave the outcome open.
    pub async fn publish(&self, record: &Record) -> Result<Delivered, PublishError> {
        let (sender, report) = oneshot::channel();
        self.submit(record, Delivery::One(sender))?;
        match tokio::time::timeout(self.link.config.delivery_timeout, report).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(PublishError::Unconfirmed("the client was closed".into())),
            Err(_) => Err(PublishError::Unconfirmed(
                "no delivery report in time".into(),
            )),
        }
    }

    /// Hands one record to the client, without waiting; `delivery` is told what became of it, once, if and only if
    /// this returns `Ok`.
    ///
    /// # Errors
    /// [`PublishError`]: the record was not taken.
    pub fn submit(&self, record: &Record, delivery: Delivery) -> Result<(), PublishError> {
        self.with_client(|client| client.send(record, delivery))
    }

    /// As [`Publisher::submit`], for what came back.
    ///
    /// # Errors
    /// [`PublishError`]: the record was not taken.
    pub fn resubmit(&self, record: &Undelivered, delivery: Delivery) -> Result<(), PublishError> {
        self.with_client(|client| client.resend(record, delivery))
    }

    fn with_client(
        &self,
        send: impl FnOnce(&Client) -> Result<(), PublishError>,
    ) -> Result<(), PublishError> {
        self.link
            .client()
            .as_ref()
            .ok_or(PublishError::NotConnected)
            .and_then(send)
    }

    #[must_use]
    pub fn topic(&self) -> &str {
        &self.link.config.kafka_topic
    }

    #[must_use]
    pub fn delivery_timeout(&self) -> Duration {
        self.link.config.delivery_timeout
    }

    /// Whether the broker answered when it was last asked, a second or two ago.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.link.readiness()
    }

    /// Which cluster the topic is in: `None` until a broker has told, or where it does not.
    #[must_use]
    pub fn cluster_id(&self) -> Option<String> {
        self.link.client().as_ref().and_then(Client::cluster_id)
    }

    /// The offset that the next record of a partition will have, 0 of one that is not there; `None` while the broker does
    /// not say. Blocks for a few seconds at most.
    #[must_use]
    pub fn end_offset(&self, partition: Partition) -> Option<NextOffset> {
        let client = self.link.client();
        client.as_ref()?.end_offset(partition)
    }

    /// Records that were taken and of which nothing is known yet.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.link.client().as_ref().map_or(0, Client::in_flight)
    }

    /// Waits up to `timeout` for what was taken to be delivered, then ends. What is still open then is told
    /// `Unconfirmed`.
    pub fn close(&self, timeout: Duration) {
        let flushed = self
            .link
            .client()
            .as_ref()
            .is_none_or(|client| client.flush(timeout));
        if !flushed {
            tracing::warn!(
                kafka.in_flight = self.in_flight(),
                "stopping with unconfirmed orders"
            );
        }
        let keeper = self
            .keeper
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(keeper) = keeper {
            self.link.stop();
            if keeper.join().is_err() {
                tracing::error!("the publisher's keeper ended unexpectedly");
            }
        }
        // Dropping a client purges what is left and reports it.
        drop(self.link.replace_client(None));
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.close(Duration::ZERO);
    }
}

impl Link {
    /// Held while a record is copied into the queue, or the broker asked. Only the keeper and the end write, and neither
    /// while someone waits for the broker under this lock.
    fn client(&self) -> RwLockReadGuard<'_, Option<Client>> {
        self.client.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client that was there before is returned, to be dropped without holding anyone up.
    fn replace_client(&self, client: Option<Client>) -> Option<Client> {
        let mut current = self.client.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, client)
    }

    fn readiness(&self) -> Readiness {
        self.readiness
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set_readiness(&self, readiness: Readiness) {
        *self
            .readiness
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = readiness;
    }

    /// Blocks until the keeper has room to hear it, which is at once unless it is waiting for the broker.
    fn stop(&self) {
        if self.wake.send(Wake::Stop).is_err() {
            tracing::debug!("the publisher's keeper had ended before");
        }
    }
}

/// Wakes the keeper; one that has been woken already will look at everything anyway.
fn wake(keeper: &SyncSender<Wake>) {
    match keeper.try_send(Wake::Look) {
        Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
    }
}

//! Which partitions have records waiting: set by librdkafka's threads, taken by the pipeline.

use std::collections::BTreeSet;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use common::ids::Partition;
use tokio::sync::Notify;

/// A set, so that a partition is in it at most once however often it is announced: it cannot outgrow the topic.
#[derive(Debug, Clone, Default)]
pub struct ReadySet(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    partitions: Mutex<BTreeSet<Partition>>,
    changed: Notify,
}

impl ReadySet {
    pub fn insert(&self, partition: Partition) {
        self.0
            .partitions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(partition);
        self.0.changed.notify_one();
    }

    /// Waits until some partition is ready and takes all that are. Cancelling loses nothing: they are taken only when
    /// this returns.
    pub async fn take(&self) -> BTreeSet<Partition> {
        loop {
            let taken = mem::take(
                &mut *self
                    .0
                    .partitions
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner),
            );
            if !taken.is_empty() {
                return taken;
            }
            self.0.changed.notified().await;
        }
    }
}

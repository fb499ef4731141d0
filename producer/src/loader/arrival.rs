//! What the brokers themselves say of where lines went. A checkpoint remembers it: the names of brokers and topic stay the
//! same when a cluster is set up again, or a topic is deleted and made anew, and what was settled there is then gone.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use common::http::Readiness;
use common::ids::{NextOffset, Partition};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::send::TICK;
use crate::publisher::Publisher;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Arrival {
    /// `None` where brokers do not tell.
    cluster_id: Option<String>,
    /// Per partition, where to read on after the last record that was confirmed.
    next_offsets: BTreeMap<Partition, NextOffset>,
}

/// Why what arrived is not there any more.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Gone {
    #[error("it is of a load to the Kafka cluster {then}, and this one is {now}")]
    OtherCluster { then: String, now: String },
    #[error(
        "the topic was deleted and made again since, or has lost records: partition {partition} had come to offset \
         {then} and ends at {now}"
    )]
    OtherTopic {
        partition: Partition,
        then: NextOffset,
        now: NextOffset,
    },
}

impl Arrival {
    /// Adds what is known by now.
    pub(super) fn learn(
        &mut self,
        cluster_id: Option<String>,
        next_offsets: &BTreeMap<Partition, NextOffset>,
    ) {
        self.cluster_id = cluster_id.or(self.cluster_id.take());
        for (partition, next) in next_offsets {
            let known = self.next_offsets.entry(*partition).or_insert(*next);
            *known = (*known).max(*next);
        }
    }

    /// Compares with what is there. A topic that was made again and has outgrown the old one is not told apart.
    fn is_there(&self, found: &Self) -> Result<(), Gone> {
        if let (Some(then), Some(now)) = (&self.cluster_id, &found.cluster_id)
            && then != now
        {
            return Err(Gone::OtherCluster {
                then: then.clone(),
                now: now.clone(),
            });
        }
        for (partition, then) in &self.next_offsets {
            let now = found.next_offsets.get(partition);
            let now = now.copied().unwrap_or(NextOffset(0));
            if now < *then {
                return Err(Gone::OtherTopic {
                    partition: *partition,
                    then: *then,
                    now,
                });
            }
        }
        Ok(())
    }

    /// Asks the broker, for as long as `patience`, whether all of it is there still.
    ///
    /// # Errors
    /// [`Gone`]; or nobody answered.
    pub(super) fn verify(
        &self,
        publisher: &Publisher,
        patience: Duration,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(found) = self.find(publisher) {
                return self.is_there(&found).map_err(|gone| {
                    anyhow!(
                        "{gone}; load without --resume: an order that is there already counts once"
                    )
                });
            }
            if stop.is_cancelled() {
                bail!("asked to stop");
            }
            if Instant::now() >= deadline {
                let reason = match publisher.readiness() {
                    Readiness::NotReady(reason) => reason,
                    Readiness::Ready => "the broker does not say where the topic ends".to_owned(),
                };
                bail!("whether it is of this topic cannot be seen: {reason}");
            }
            std::thread::sleep(TICK);
        }
    }

    /// The same of the topic as it is; `None` while nobody answers.
    fn find(&self, publisher: &Publisher) -> Option<Self> {
        let ends = self.next_offsets.keys().map(|partition| {
            let end = publisher.end_offset(*partition)?;
            Some((*partition, end))
        });
        let next_offsets = ends.collect::<Option<_>>()?;
        Some(Self {
            next_offsets,
            // Known by then, where it is told at all.
            cluster_id: publisher.cluster_id(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(cluster_id: Option<&str>, next_offsets: &[(i32, i64)]) -> Arrival {
        let next_offsets = next_offsets.iter();
        Arrival {
            cluster_id: cluster_id.map(str::to_owned),
            next_offsets: next_offsets
                .map(|(partition, next)| (Partition(*partition), NextOffset(*next)))
                .collect(),
        }
    }

    #[test]
    fn what_arrived_is_there_as_long_as_no_partition_is_shorter_and_the_cluster_is_the_same() {
        let arrived = arrival(Some("a"), &[(0, 5), (2, 7)]);
        for found in [
            arrival(Some("a"), &[(0, 5), (2, 7)]),
            arrival(Some("a"), &[(0, 9), (1, 1), (2, 8)]),
            arrival(None, &[(0, 5), (2, 7)]),
        ] {
            assert_eq!(arrived.is_there(&found), Ok(()));
        }
        let elsewhere = arrival(Some("b"), &[(0, 5), (2, 7)]);
        assert!(matches!(
            arrived.is_there(&elsewhere),
            Err(Gone::OtherCluster { .. })
        ));
        for shorter in [
            arrival(Some("a"), &[(0, 5), (2, 6)]),
            arrival(Some("a"), &[(0, 5)]),
        ] {
            let gone = arrived.is_there(&shorter);
            assert!(matches!(
                gone,
                Err(Gone::OtherTopic {
                    partition: Partition(2),
                    ..
                })
            ));
        }
    }

    #[test]
    fn what_is_learned_adds_to_what_an_earlier_load_knew() {
        let mut arrived = arrival(Some("a"), &[(0, 5), (2, 7)]);
        let later = BTreeMap::from([
            (Partition(0), NextOffset(9)),
            (Partition(1), NextOffset(1)),
            (Partition(2), NextOffset(3)),
        ]);
        arrived.learn(None, &later);
        assert_eq!(arrived, arrival(Some("a"), &[(0, 9), (1, 1), (2, 7)]));
    }
}

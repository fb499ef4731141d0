//! What a scenario plays on: the trio, servers of its own, and the way between them.

use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::task::JoinHandle;

use super::fault::Fault;
use crate::patience::eventually;
use crate::process::Signal;
use crate::{OwnKafka, OwnPostgres, Proxy, Service, Stop, Trio};

/// Unconfirmed orders are answered soon, so that clients try again while the fault lasts.
const DELIVERY_TIMEOUT: &str = "3s";
/// So many COMMITs in a row lose their answers.
const LOST_ANSWERS: u32 = 5;
const STOP_PATIENCE: Duration = Duration::from_secs(40);

/// They end before their servers do: fields are dropped in this order.
pub(super) struct Stage {
    pub trio: Trio,
    proxy: Proxy,
    lock: Option<JoinHandle<()>>,
    /// The faults that last.
    struck: Vec<Fault>,
    /// What services did that they must not.
    pub violations: Vec<String>,
    postgres: OwnPostgres,
    kafka: OwnKafka,
}

impl Stage {
    pub(super) async fn set(consumers: usize) -> anyhow::Result<Self> {
        let (postgres, kafka) = tokio::try_join!(
            OwnPostgres::start(&["shared_buffers=128MB"]),
            OwnKafka::start(&[])
        )?;
        let database = postgres.database().await;
        let proxy = Proxy::start(database.server_address()).await;
        let url = database.url_through(proxy.address());
        let trio = Trio::plan()
            .brokers(kafka.brokers())
            .database(database)
            .consumers_database_url(url)
            .consumers(consumers)
            .set("DELIVERY_TIMEOUT", DELIVERY_TIMEOUT)
            // Small batches: a fault meets one at some point of its transaction.
            .set("BATCH_RECORDS", 200)
            .start()
            .await?;
        Ok(Self {
            trio,
            proxy,
            lock: None,
            struck: Vec::new(),
            violations: Vec::new(),
            postgres,
            kafka,
        })
    }

    pub(super) async fn strike(&mut self, fault: Fault) -> anyhow::Result<()> {
        self.struck.push(fault);
        match fault {
            Fault::ConsumerKilled(number) => self.trio.consumers[number].kill().await,
            Fault::ConsumerFrozen(number) => self.trio.consumers[number].signal(Signal::STOP),
            Fault::ConsumerStopped(number) => self.stop_consumer(number).await,
            Fault::ProducerKilled => self.trio.producer.kill().await,
            Fault::QueryApiKilled => self.trio.query_api.kill().await,
            Fault::DatabaseCrashed => self.postgres.stop(Stop::Immediate).await,
            Fault::DatabaseStopped => self.postgres.stop(Stop::Fast).await,
            Fault::DatabaseFrozen => self.postgres.freeze(),
            Fault::DatabaseCut => {
                self.proxy.refuse();
                Ok(())
            }
            Fault::DatabaseSilent => {
                self.proxy.hold();
                Ok(())
            }
            Fault::CommitAnswersLost(loss) => {
                self.proxy.lose_answer_to(b"COMMIT", loss, LOST_ANSWERS);
                Ok(())
            }
            Fault::OrdersLocked => {
                self.lock = Some(lock_orders(&self.trio).await?);
                Ok(())
            }
            Fault::BrokerKilled => self.kafka.kill().await,
            Fault::BrokerFrozen => self.kafka.freeze(),
        }
        .with_context(|| fault.to_string())
    }

    /// Ends a fault; what it broke may take longer.
    pub(super) async fn mend(&mut self, fault: Fault) -> anyhow::Result<()> {
        self.struck.retain(|struck| *struck != fault);
        match fault {
            Fault::ConsumerKilled(number) | Fault::ConsumerStopped(number) => {
                self.trio.consumers[number].start()
            }
            Fault::ConsumerFrozen(number) => self.trio.consumers[number].signal(Signal::CONT),
            Fault::ProducerKilled => self.trio.producer.start(),
            Fault::QueryApiKilled => self.trio.query_api.start(),
            Fault::DatabaseCrashed | Fault::DatabaseStopped => self.postgres.start_again().await,
            Fault::DatabaseFrozen => self.postgres.thaw(),
            Fault::DatabaseCut | Fault::DatabaseSilent | Fault::CommitAnswersLost(_) => {
                self.proxy.pass();
                Ok(())
            }
            Fault::OrdersLocked => {
                if let Some(lock) = self.lock.take() {
                    lock.abort();
                }
                Ok(())
            }
            Fault::BrokerKilled => self.kafka.start_again().await,
            Fault::BrokerFrozen => self.kafka.thaw(),
        }
        .with_context(|| format!("after {fault}"))
    }

    async fn stop_consumer(&mut self, number: usize) -> anyhow::Result<()> {
        let consumer = &mut self.trio.consumers[number];
        let status = consumer.stop_within(STOP_PATIENCE).await?;
        // A batch that the database does not take is given up in the end, which is said by the status.
        let may_give_up = self.struck.iter().any(|fault| fault.stops_batches());
        if !status.success() && !may_give_up {
            self.violations.push(ended(
                consumer,
                &format!("was stopped and ended with {status}"),
            ));
        }
        Ok(())
    }

    /// Whoever has ended by himself is started as his supervisor would.
    pub(super) fn look_after(&mut self) -> anyhow::Result<()> {
        for service in services(&mut self.trio) {
            if let Some(status) = service.ended_by_itself() {
                let ended = ended(service, &format!("ended by itself with {status}"));
                self.violations.push(ended);
                service.start()?;
            }
        }
        Ok(())
    }

    /// Nothing is broken any more, and every service says so.
    pub(super) async fn heal(&mut self) -> anyhow::Result<()> {
        self.proxy.disarm();
        self.look_after()?;
        self.trio.ready().await;
        Ok(())
    }

    /// Answers to COMMIT that were lost.
    pub(super) fn answers_lost(&self) -> u32 {
        self.proxy.lost()
    }

    /// Stops every service as an operator does.
    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        for service in services(&mut self.trio) {
            let status = service.stop_within(STOP_PATIENCE).await?;
            if !status.success() {
                let ended = ended(service, &format!("was stopped and ended with {status}"));
                self.violations.push(ended);
            }
        }
        Ok(())
    }

    /// Waits until everything that the topic holds is applied and in every answer, and no consumer sees any lag.
    pub(super) async fn settle(&self, patience: Duration) -> anyhow::Result<()> {
        self.trio.quiet(patience).await?;
        let no_lag = async || {
            for consumer in &self.trio.consumers {
                let health = self.trio.http.json(&consumer.url("/health")).await?;
                let lagging = health["partitions"]
                    .as_array()
                    .context("partitions")?
                    .iter()
                    .find(|partition| partition["lag"] != 0);
                ensure!(lagging.is_none(), "{}: {lagging:?}", consumer.name());
            }
            Ok::<_, anyhow::Error>(())
        };
        eventually(patience, no_lag).await;
        Ok(())
    }
}

fn services(trio: &mut Trio) -> impl Iterator<Item = &mut Service> {
    std::iter::once(&mut trio.producer)
        .chain(&mut trio.consumers)
        .chain(std::iter::once(&mut trio.query_api))
}

/// With the last that it said.
fn ended(service: &Service, how: &str) -> String {
    let log = service.log();
    let last = log.lines().next_back().unwrap_or_default();
    format!("{} {how}: {last}", service.name())
}

/// Held until the task is aborted, or the database goes away.
async fn lock_orders(trio: &Trio) -> anyhow::Result<JoinHandle<()>> {
    let config = trio.database.config();
    let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    client
        .batch_execute("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        .await?;
    Ok(tokio::spawn(async move {
        // The client is the transaction: it ends with this task.
        let _held = client;
        if let Err(error) = connection.await {
            eprintln!("the lock's connection: {error}");
        }
    }))
}

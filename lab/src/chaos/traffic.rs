//! The clients: each posts orders of its own one after another and writes down what it was told. Among new orders it repeats
//! some, sends some ids again with other content, and some that are no orders.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use rand::{Rng, RngExt};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::stage::Stage;
use crate::orders::{self, Orders, TestOrder, choices};
use crate::{Answer, Http, Program};

const CLIENTS: u64 = 8;
const USERS: u32 = 40;
/// Between two requests of a client.
const PAUSE: Duration = Duration::from_millis(4);
/// How often an order is sent before its outcome is left open.
const TRIES: u32 = 3;
const LOADED_ORDERS: usize = 20_000;
const LOADER_RATE: &str = "--rate=800";
/// What tells one content of an id from another: an attribute, so that no sum depends on which one stands.
pub(super) const EDITION: &str = "edition";

/// Orders under way.
pub(super) struct Traffic {
    stop: CancellationToken,
    clients: Vec<JoinHandle<anyhow::Result<Sent>>>,
    loader: Option<JoinHandle<anyhow::Result<Vec<TestOrder>>>>,
}

/// Where the broker put an order, as a 202 said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Receipt {
    pub order_id: String,
    pub edition: u64,
    pub partition: i64,
    pub offset: i64,
}

/// What was sent, and what became of it as the clients know.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// By id: the order, whether any content of it was acknowledged, and how many contents were sent.
    pub orders: BTreeMap<String, (TestOrder, bool, u64)>,
    pub receipts: Vec<Receipt>,
    pub loaded: Vec<TestOrder>,
    /// Requests whose outcome was left open.
    pub open: usize,
    pub violations: Vec<String>,
}

enum Told {
    Accepted { partition: i64, offset: i64 },
    Rejected,
    Nothing,
}

impl Sent {
    /// How many orders were acknowledged, and how many were left open.
    pub(super) fn counts(&self) -> (usize, usize) {
        let acknowledged = self
            .orders
            .values()
            .filter(|(_, acknowledged, _)| *acknowledged);
        (
            acknowledged.count() + self.loaded.len(),
            self.orders
                .values()
                .filter(|(_, acknowledged, _)| !*acknowledged)
                .count(),
        )
    }

    fn absorb(&mut self, other: Self) {
        self.orders.extend(other.orders);
        self.receipts.extend(other.receipts);
        self.open += other.open;
        self.violations.extend(other.violations);
    }
}

impl Traffic {
    pub(super) fn start(stage: &Stage, seed: u64, kills_loader: bool) -> Self {
        let stop = CancellationToken::new();
        let url = stage.trio.producer.url("/orders");
        let clients = (0..CLIENTS)
            .map(|number| {
                // Ids begin with the stream's seed: no two clients share any.
                let seed = seed * 1_000 + number;
                tokio::spawn(Client::new(seed, url.clone()).post_until(stop.clone()))
            })
            .collect();
        let loader = kills_loader.then(|| {
            let program = stage.trio.program("loader");
            tokio::spawn(load(program, seed, stop.clone()))
        });
        Self {
            stop,
            clients,
            loader,
        }
    }

    /// Stops the clients and waits for their last answers; a loader ends its file.
    pub(super) async fn finish(self, stage: &Stage) -> anyhow::Result<Sent> {
        self.stop.cancel();
        let mut sent = Sent::default();
        for client in self.clients {
            sent.absorb(client.await??);
        }
        if let Some(loader) = self.loader {
            sent.loaded = loader.await??;
        }
        ensure!(
            !sent.receipts.is_empty(),
            "{} took no order at all",
            stage.trio.producer.name()
        );
        Ok(sent)
    }
}

struct Client<R> {
    orders: Orders,
    random: R,
    http: Http,
    url: String,
    sent: Sent,
}

impl Client<()> {
    fn new(seed: u64, url: String) -> Client<impl Rng + Send> {
        Client {
            orders: Orders::seeded(seed).of_users(USERS),
            random: choices(seed),
            http: Http::default(),
            url,
            sent: Sent::default(),
        }
    }
}

impl<R: Rng + Send> Client<R> {
    async fn post_until(mut self, stop: CancellationToken) -> anyhow::Result<Sent> {
        while !stop.is_cancelled() {
            match self.random.random_range(0..100) {
                0..80 => self.post_new().await?,
                80..90 => self.post_again().await?,
                90..96 => self.post_other_content().await?,
                _ => self.post_no_order().await,
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(self.sent)
    }

    async fn post_new(&mut self) -> anyhow::Result<()> {
        let order = self.orders.next().context("an endless stream")?;
        self.sent
            .orders
            .insert(order.order_id.clone(), (order.clone(), false, 1));
        self.post(&order.order_id, &order.body, 0).await;
        Ok(())
    }

    async fn post_again(&mut self) -> anyhow::Result<()> {
        if let Some(order) = self.earlier() {
            self.post(&order.order_id, &order.body, 0).await;
        }
        Ok(())
    }

    async fn post_other_content(&mut self) -> anyhow::Result<()> {
        let Some(order) = self.earlier() else {
            return Ok(());
        };
        let (_, _, editions) = self
            .sent
            .orders
            .get_mut(&order.order_id)
            .context("it was sent")?;
        let edition = *editions;
        *editions += 1;
        let mut body = order.body.clone();
        body[EDITION] = json!(edition);
        self.post(&order.order_id, &body, edition).await;
        Ok(())
    }

    async fn post_no_order(&mut self) {
        let body = json!({"order_id": "never", "user_id": "u", "amount": "-1"});
        let told = tell(self.http.post_json(&self.url, &body).await);
        if let Ok(Told::Accepted { .. }) = told {
            self.sent.violations.push(format!("{body} was accepted"));
        }
    }

    fn earlier(&mut self) -> Option<TestOrder> {
        let skip = self.random.random_range(0..self.sent.orders.len().max(1));
        self.sent
            .orders
            .values()
            .nth(skip)
            .map(|(order, ..)| order.clone())
    }

    /// Tries until there is an answer, or the outcome is left open.
    async fn post(&mut self, order_id: &str, body: &Value, edition: u64) {
        for attempt in 1..=TRIES {
            match tell(self.http.post_json(&self.url, body).await) {
                Ok(Told::Accepted { partition, offset }) => {
                    if let Some((_, acknowledged, _)) = self.sent.orders.get_mut(order_id) {
                        *acknowledged = true;
                    }
                    self.sent.receipts.push(Receipt {
                        order_id: order_id.to_owned(),
                        edition,
                        partition,
                        offset,
                    });
                    return;
                }
                Ok(Told::Rejected) => {
                    self.sent.violations.push(format!("{body} was refused"));
                    return;
                }
                Ok(Told::Nothing) => {}
                Err(violation) => {
                    self.sent.violations.push(violation);
                    return;
                }
            }
            let wait = Duration::from_millis(100) * attempt;
            tokio::time::sleep(self.random.random_range(wait / 2..wait)).await;
        }
        self.sent.open += 1;
    }
}

/// What an answer says; one that says neither yes, no nor unknown is a violation.
fn tell(answer: anyhow::Result<Answer>) -> Result<Told, String> {
    let Ok(answer) = answer else {
        return Ok(Told::Nothing);
    };
    match answer.status {
        202 => {
            let receipt = answer.json().unwrap_or_default();
            match (receipt["partition"].as_i64(), receipt["offset"].as_i64()) {
                (Some(partition), Some(offset)) => Ok(Told::Accepted { partition, offset }),
                _ => Err(format!("a 202 without a place: {}", answer.text())),
            }
        }
        422 => Ok(Told::Rejected),
        503 if answer.header("retry-after").is_empty() => {
            Err(format!("a 503 without Retry-After: {}", answer.text()))
        }
        503 => Ok(Told::Nothing),
        status => Err(format!("answered {status}: {}", answer.text())),
    }
}

/// A loader that is killed and goes on, until the storm is over; then it ends its file.
async fn load(
    program: Program,
    seed: u64,
    stop: CancellationToken,
) -> anyhow::Result<Vec<TestOrder>> {
    let orders: Vec<TestOrder> = Orders::seeded(seed * 1_000 + CLIENTS)
        .of_users(USERS)
        .take(LOADED_ORDERS)
        .collect();
    let file = orders::file(&orders)?;
    let mut random = choices(seed);
    let loader = program.argument("--resume").argument("--json");
    let slow = loader
        .clone()
        .argument(LOADER_RATE)
        .argument(file.to_string_lossy());
    while !stop.is_cancelled() {
        let life = random.random_range(Duration::from_millis(500)..Duration::from_secs(6));
        // Its process is killed with the future.
        if let Ok(ended) = tokio::time::timeout(life, slow.run()).await
            && ended?.status.success()
        {
            return Ok(orders);
        }
    }
    let ended = loader.argument(file.to_string_lossy()).run().await?;
    ensure!(
        ended.status.success(),
        "the loader could not finish: {}",
        String::from_utf8_lossy(&ended.stderr)
    );
    Ok(orders)
}

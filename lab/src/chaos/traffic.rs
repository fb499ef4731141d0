//! The clients: each posts orders of its own one after another and writes down what it was told. Among new orders it repeats
//! some, sends some ids again with other content, and some that are no orders.

use std::time::Duration;

use anyhow::Context;
use rand::{Rng, RngExt};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::books::{EDITION, Receipt, SharedBook};
use super::loading::{LOADED_ORDERS, Loading, Loads};
use super::stage::Stage;
use crate::orders::{Orders, TestOrder, choices};
use crate::{Answer, Http};

const CLIENTS: u64 = 8;
const USERS: u32 = 40;
/// Between two requests of a client.
const PAUSE: Duration = Duration::from_millis(4);
/// How often an order is sent before its outcome is left open.
const TRIES: u32 = 3;
/// Between two looks at how many orders were acknowledged.
const LOOK: Duration = Duration::from_millis(20);

/// Orders under way.
pub(super) struct Traffic {
    /// A run that breaks off stops them too.
    stop: DropGuard,
    books: Vec<SharedBook>,
    clients: Vec<JoinHandle<anyhow::Result<()>>>,
    loader: Option<JoinHandle<anyhow::Result<()>>>,
}

enum Told {
    Accepted { partition: i64, offset: i64 },
    Rejected,
    Nothing,
}

impl Traffic {
    pub(super) fn start(
        stage: &Stage,
        seed: u64,
        loading: Option<Loading>,
    ) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let url = stage.trio.producer.url("/orders");
        let mut books = Vec::new();
        let clients = (0..CLIENTS).map(|number| {
            let book = SharedBook::default();
            books.push(book.clone());
            // Ids begin with the stream's seed: no two clients share any.
            let seed = seed * 1_000 + number;
            tokio::spawn(Client::new(seed, url.clone(), book).post_until(stop.clone()))
        });
        let clients = clients.collect();
        let loader = match loading {
            Some(part) => {
                let book = SharedBook::default();
                books.push(book.clone());
                let orders = Orders::seeded(seed * 1_000 + CLIENTS).of_users(USERS);
                let orders = orders.take(LOADED_ORDERS).collect();
                let loads = Loads::of(orders, &stage.trio, book)?;
                Some(tokio::spawn(loads.play(part, seed, stop.clone())))
            }
            None => None,
        };
        Ok(Self {
            stop: stop.drop_guard(),
            books,
            clients,
            loader,
        })
    }

    /// What is written down while orders come in.
    pub(super) fn books(&self) -> &[SharedBook] {
        &self.books
    }

    /// How many 202s there were so far.
    pub(super) fn acknowledged(&self) -> usize {
        let receipts = |book: &SharedBook| book.lock().receipts.len();
        self.books.iter().map(receipts).sum()
    }

    /// Waits until `more` orders were acknowledged than by now, and says how many there were within `patience`.
    pub(super) async fn acknowledges(&self, more: usize, patience: Duration) -> usize {
        let (before, deadline) = (self.acknowledged(), Instant::now() + patience);
        loop {
            let acknowledged = self.acknowledged() - before;
            if acknowledged >= more || Instant::now() >= deadline {
                return acknowledged;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Stops the clients and waits for their last answers; a loader ends its file.
    pub(super) async fn finish(self) -> anyhow::Result<()> {
        drop(self.stop);
        for client in self.clients {
            client.await??;
        }
        if let Some(loader) = self.loader {
            loader.await??;
        }
        Ok(())
    }
}

struct Client<R> {
    orders: Orders,
    random: R,
    http: Http,
    url: String,
    book: SharedBook,
}

impl Client<()> {
    fn new(seed: u64, url: String, book: SharedBook) -> Client<impl Rng + Send> {
        Client {
            orders: Orders::seeded(seed).of_users(USERS),
            random: choices(seed),
            http: Http::default(),
            url,
            book,
        }
    }
}

impl<R: Rng + Send> Client<R> {
    async fn post_until(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        while !stop.is_cancelled() {
            match self.random.random_range(0..100) {
                0..80 => self.post_new().await?,
                80..90 => self.post_again().await?,
                90..96 => self.post_other_content().await?,
                _ => self.post_no_order().await,
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    async fn post_new(&mut self) -> anyhow::Result<()> {
        let order = self.orders.next().context("an endless stream")?;
        self.book.lock().enter(order.clone());
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
        let edition = {
            let mut book = self.book.lock();
            let entry = book.orders.get_mut(&order.order_id);
            let entry = entry.context("it was sent")?;
            entry.editions += 1;
            entry.editions - 1
        };
        let mut body = order.body.clone();
        body[EDITION] = json!(edition);
        self.post(&order.order_id, &body, edition).await;
        Ok(())
    }

    async fn post_no_order(&mut self) {
        let body = json!({"order_id": "never", "user_id": "u", "amount": "-1"});
        let told = tell(self.http.post_json(&self.url, &body).await);
        if let Ok(Told::Accepted { .. }) = told {
            let violation = format!("{body} was accepted");
            self.book.lock().violations.push(violation);
        }
    }

    fn earlier(&mut self) -> Option<TestOrder> {
        let book = self.book.lock();
        let skip = self.random.random_range(0..book.orders.len().max(1));
        let entry = book.orders.values().nth(skip);
        entry.map(|entry| entry.order.clone())
    }

    /// Tries until there is an answer, or the outcome is left open.
    async fn post(&mut self, order_id: &str, body: &Value, edition: u64) {
        for attempt in 1..=TRIES {
            match tell(self.http.post_json(&self.url, body).await) {
                Ok(Told::Accepted { partition, offset }) => {
                    let mut book = self.book.lock();
                    if let Some(entry) = book.orders.get_mut(order_id) {
                        entry.acknowledged = true;
                    }
                    return book.receipts.push(Receipt {
                        order_id: order_id.to_owned(),
                        edition,
                        partition,
                        offset,
                    });
                }
                Ok(Told::Rejected) => {
                    let violation = format!("{body} was refused");
                    return self.book.lock().violations.push(violation);
                }
                Ok(Told::Nothing) => {}
                Err(violation) => return self.book.lock().violations.push(violation),
            }
            let wait = Duration::from_millis(100) * attempt;
            tokio::time::sleep(self.random.random_range(wait / 2..wait)).await;
        }
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

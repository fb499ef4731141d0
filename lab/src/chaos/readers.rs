//! The readers: they ask for orders, users and sums while faults strike, and hold every answer against what was sent, what
//! they heard before and what the database holds.

use std::time::Duration;

use chrono::Utc;
use rand::{Rng, RngExt};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_postgres::{Config, NoTls};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::books::{Book, Entry, SharedBook};
use super::stage::Stage;
use super::witness::{Heard, OrderCounts, Question, Witness};
use crate::Http;
use crate::orders::choices;

const READERS: usize = 4;
/// Between two questions of a reader.
const PAUSE: Duration = Duration::from_millis(20);
/// Between two looks into the database.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// For one look: the database may be away.
const LOOK_PATIENCE: Duration = Duration::from_secs(2);
/// Orders of each client, acknowledged last, that must be seen once faults are over.
const LAST_SEEN: usize = 20;
/// So many answers with content all readers must have had, or they have tested nothing.
const ENOUGH_ANSWERS: usize = 200;

/// Questions under way.
pub(super) struct Readers {
    /// A run that breaks off stops them too.
    stop: DropGuard,
    tasks: Vec<JoinHandle<Reader<Box<dyn Rng + Send>>>>,
}

struct Reader<R> {
    random: R,
    http: Http,
    query_api: String,
    database: Config,
    /// All of them, and which one is this reader's to ask about: every `READERS`th from `first`.
    books: Vec<SharedBook>,
    first: usize,
    witness: Witness,
}

impl Readers {
    /// `may_be_stale`: faults keep the query API from the database.
    pub(super) fn start(
        stage: &Stage,
        books: &[SharedBook],
        seed: u64,
        may_be_stale: bool,
    ) -> Self {
        let stop = CancellationToken::new();
        let tasks = (0..READERS).map(|first| {
            let random: Box<dyn Rng + Send> = Box::new(choices(seed + first as u64));
            let reader = Reader {
                random,
                http: Http::default(),
                query_api: stage.trio.query_api.url(""),
                database: stage.trio.database.config(),
                books: books.to_vec(),
                first,
                witness: Witness::new(may_be_stale),
            };
            tokio::spawn(reader.ask_until(stop.clone()))
        });
        let tasks = tasks.collect();
        Self {
            stop: stop.drop_guard(),
            tasks,
        }
    }

    /// Stops them once each has seen the last orders that were acknowledged, and returns what contradicts.
    pub(super) async fn finish(self, patience: Duration) -> anyhow::Result<Vec<String>> {
        drop(self.stop);
        let deadline = Instant::now() + patience;
        let (mut heard, mut violations) = (0, Vec::new());
        for task in self.tasks {
            let mut reader = task.await?;
            reader.see_the_last(deadline).await;
            heard += reader.witness.heard;
            violations.extend(reader.witness.violations);
        }
        if heard < ENOUGH_ANSWERS {
            violations.push(format!(
                "the readers had {heard} answers, which proves nothing"
            ));
        }
        Ok(violations)
    }
}

impl<R: Rng + Send> Reader<R> {
    async fn ask_until(mut self, stop: CancellationToken) -> Self {
        let mut next_look = Instant::now();
        while !stop.is_cancelled() {
            if Instant::now() >= next_look {
                self.look().await;
                next_look = Instant::now() + LOOK_INTERVAL;
            }
            if let Some(question) = self.question() {
                self.ask(&question).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.look().await;
        self
    }

    fn own_books(&self) -> impl Iterator<Item = &SharedBook> {
        self.books.iter().skip(self.first).step_by(READERS)
    }

    /// `None` while nothing was sent.
    fn question(&mut self) -> Option<Question> {
        let kind = self.random.random_range(0..100);
        let own = self.random.random_range(0..self.own_books().count());
        let at_random = self.random.random::<u32>() as usize;
        let book = self.own_books().nth(own)?.lock();
        if kind < 20 {
            let receipt = book.receipts.last()?;
            return Some(Question::OrderSoon(receipt.order_id.clone()));
        }
        let skip = at_random % book.orders.len().max(1);
        let order = &book.orders.values().nth(skip)?.order;
        Some(match kind {
            20..50 => Question::Order(order.order_id.clone()),
            50..75 => Question::User(order.user_id.clone()),
            75..90 => Question::OrdersOf(order.user_id.clone()),
            _ => Question::Summary,
        })
    }

    async fn ask(&mut self, question: &Question) {
        let asked_at = Utc::now();
        let url = format!("{}{}", self.query_api, question.path());
        // The query API may be killed, too.
        let Ok(answer) = self.http.get(&url).await else {
            return;
        };
        let heard = Heard {
            asked_at,
            answered_at: Utc::now(),
            answer: &answer,
        };
        let books: Vec<_> = self.books.iter().map(SharedBook::lock).collect();
        let books: Vec<&Book> = books.iter().map(|book| &**book).collect();
        self.witness.hear(question, &heard, &books);
    }

    async fn look(&mut self) {
        let held = tokio::time::timeout(LOOK_PATIENCE, order_counts(&self.database)).await;
        if let Ok(Ok(order_counts)) = held {
            self.witness.look(Utc::now(), order_counts);
        }
    }

    async fn see_the_last(&mut self, deadline: Instant) {
        let acknowledged = |book: &SharedBook| {
            let book = book.lock();
            let entries = book.orders.values().rev();
            let last: Vec<&Entry> = entries
                .filter(|entry| entry.acknowledged)
                .take(LAST_SEEN)
                .collect();
            last.into_iter()
                .map(|entry| entry.order.order_id.clone())
                .collect::<Vec<_>>()
        };
        let order_ids: Vec<String> = self.own_books().flat_map(acknowledged).collect();
        for order_id in order_ids {
            let question = Question::OrderSoon(order_id.clone());
            while !self.witness.has_seen(&order_id) {
                if Instant::now() >= deadline {
                    return self.witness.object(format!(
                        "order {order_id} was acknowledged, and is in no answer after the faults have ended"
                    ));
                }
                self.ask(&question).await;
                if !self.witness.has_seen(&order_id) {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// What the database holds. `user_stats` is written with the orders, and nobody locks it.
async fn order_counts(database: &Config) -> anyhow::Result<OrderCounts> {
    let (client, connection) = database.connect(NoTls).await?;
    // Ends with the client.
    tokio::spawn(connection);
    let sql = "SELECT currency, user_id, order_count FROM user_stats";
    let rows = client.query(sql, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| ((row.get(0), row.get(1)), row.get::<_, i64>(2).into()))
        .collect())
}

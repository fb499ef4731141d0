//! What one reader was told while faults struck, and what it saw in the database: no later answer may contradict it (I5).
//!
//! - What is shown was sent, and never changes or goes away again.
//! - No sum goes back, exceeds what was sent, or tells of what the database does not hold: that is not committed.
//! - What the database held before `X-As-Of` is in the answer, and an answer that is older than the bound says so.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::books::Book;
use crate::{Answer, units};

/// What the query API promises of every answer that does not say that it is stale.
const BOUND: TimeDelta = TimeDelta::milliseconds(250);
/// Clocks are set while they run.
const CLOCK_SLACK: TimeDelta = TimeDelta::milliseconds(50);
/// How old an answer may say that it is where nothing keeps the query API from the database: the machine is busy.
const OLDEST: TimeDelta = TimeDelta::seconds(10);
/// Of one reader: one that is contradicted once mostly is again.
const VIOLATIONS_KEPT: usize = 10;

/// What is asked of the query API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    Order(String),
    /// Waits until it is there.
    OrderSoon(String),
    OrdersOf(String),
    User(String),
    Summary,
}

/// By currency and user.
pub(super) type OrderCounts = BTreeMap<(String, String), i128>;

/// An answer with the moments around it.
pub(super) struct Heard<'a> {
    pub asked_at: DateTime<Utc>,
    pub answered_at: DateTime<Utc>,
    pub answer: &'a Answer,
}

struct Shown {
    edition: u64,
    at: DateTime<Utc>,
}

#[derive(Clone, Copy, Default)]
struct Told {
    order_count: i128,
    total_amount: i128,
}

/// What the database held.
struct Look {
    at: DateTime<Utc>,
    order_counts: OrderCounts,
}

/// One reader's memory.
pub(super) struct Witness {
    /// Whether faults keep the query API from the database: then answers may say that they are old.
    may_be_stale: bool,
    shown: BTreeMap<String, Shown>,
    users: BTreeMap<(String, String), Told>,
    summary: i128,
    look: Option<Look>,
    /// How many answers had something to say.
    pub heard: usize,
    pub violations: Vec<String>,
}

impl Question {
    pub(super) fn path(&self) -> String {
        match self {
            Self::Order(order_id) => format!("/orders/{order_id}"),
            Self::OrderSoon(order_id) => format!("/orders/{order_id}?wait=2"),
            Self::OrdersOf(user_id) => format!("/orders?user_id={user_id}&limit=500"),
            Self::User(user_id) => format!("/users/{user_id}"),
            Self::Summary => "/summary".to_owned(),
        }
    }
}

impl Witness {
    pub(super) fn new(may_be_stale: bool) -> Self {
        Self {
            may_be_stale,
            shown: BTreeMap::new(),
            users: BTreeMap::new(),
            summary: 0,
            look: None,
            heard: 0,
            violations: Vec::new(),
        }
    }

    pub(super) fn has_seen(&self, order_id: &str) -> bool {
        self.shown.contains_key(order_id)
    }

    pub(super) fn object(&mut self, violation: String) {
        if self.violations.len() < VIOLATIONS_KEPT {
            self.violations.push(violation);
        }
    }

    /// Holds an answer against everything before it. `books` are all that was sent by now: whatever is shown was entered
    /// there before.
    pub(super) fn hear(&mut self, question: &Question, heard: &Heard<'_>, books: &[&Book]) {
        let Heard { answer, .. } = heard;
        let violation = match answer.status {
            200 => self.hear_content(question, heard, books),
            404 => self.hear_nothing(question),
            503 if !answer.header("retry-after").is_empty() => Ok(()),
            status => Err(format!("answered {status}: {}", answer.text())),
        };
        if let Err(violation) = violation {
            self.object(format!("GET {}: {violation}", question.path()));
        }
    }

    /// What the database holds now; `at` is no earlier than that.
    pub(super) fn look(&mut self, at: DateTime<Utc>, order_counts: OrderCounts) {
        let beyond = |(user, told): (&(String, String), &Told)| {
            let held = order_counts.get(user).copied().unwrap_or(0);
            (told.order_count > held).then(|| {
                format!(
                    "{} orders of {user:?} were told and {held} are committed",
                    told.order_count
                )
            })
        };
        let violations: Vec<String> = self.users.iter().filter_map(beyond).collect();
        let held: i128 = order_counts.values().sum();
        if self.summary > held {
            let summary = self.summary;
            self.object(format!(
                "the summary told of {summary} orders and {held} are committed"
            ));
        }
        for violation in violations {
            self.object(violation);
        }
        self.look = Some(Look { at, order_counts });
    }

    fn hear_content(
        &mut self,
        question: &Question,
        heard: &Heard<'_>,
        books: &[&Book],
    ) -> Result<(), String> {
        self.heard += 1;
        let as_of = self.as_of(heard)?;
        let body = heard.answer.json().map_err(|error| format!("{error:#}"))?;
        match question {
            Question::Order(order_id) | Question::OrderSoon(order_id) => {
                self.hear_order(order_id, &body, heard.answered_at, books)
            }
            Question::OrdersOf(user_id) => {
                self.hear_orders(user_id, &body, heard.answered_at, as_of, books)
            }
            Question::User(user_id) => self.hear_user(user_id, &body, as_of, books),
            Question::Summary => self.hear_summary(&body, as_of, books),
        }
    }

    /// What does not say that it is stale is not.
    fn as_of(&self, heard: &Heard<'_>) -> Result<DateTime<Utc>, String> {
        let text = heard.answer.header("x-as-of");
        let as_of = DateTime::parse_from_rfc3339(text)
            .map_err(|error| format!("X-As-Of: {text}: {error}"))?
            .to_utc();
        let age = heard.asked_at - as_of;
        let is_marked = !heard.answer.header("x-stale").is_empty();
        if !is_marked && age > BOUND + CLOCK_SLACK {
            return Err(format!("it was {age} old and did not say so"));
        }
        if !self.may_be_stale && age > OLDEST {
            return Err(format!(
                "it was {age} old, with the database within reach all the time"
            ));
        }
        Ok(as_of)
    }

    fn hear_nothing(&self, question: &Question) -> Result<(), String> {
        let was_there = match question {
            Question::Order(order_id) | Question::OrderSoon(order_id) => self.has_seen(order_id),
            Question::User(user_id) => self.users.keys().any(|(_, user)| user == user_id),
            Question::OrdersOf(_) | Question::Summary => true,
        };
        if was_there {
            Err("answered 404, and was there before".to_owned())
        } else {
            Ok(())
        }
    }

    fn hear_order(
        &mut self,
        order_id: &str,
        body: &Value,
        at: DateTime<Utc>,
        books: &[&Book],
    ) -> Result<(), String> {
        let entry = books.iter().find_map(|book| book.orders.get(order_id));
        let edition = entry
            .and_then(|entry| entry.shown(body))
            .ok_or_else(|| format!("shows what was never sent: {body}"))?;
        let shown = self
            .shown
            .entry(order_id.to_owned())
            .or_insert(Shown { edition, at });
        if shown.edition != edition {
            return Err(format!(
                "shows content {edition}, after it has shown content {}",
                shown.edition
            ));
        }
        Ok(())
    }

    fn hear_orders(
        &mut self,
        user_id: &str,
        body: &Value,
        at: DateTime<Utc>,
        as_of: DateTime<Utc>,
        books: &[&Book],
    ) -> Result<(), String> {
        let orders = body["orders"].as_array().ok_or("there are no orders")?;
        let mut listed = Vec::new();
        for order in orders {
            let order_id = order["order_id"].as_str().ok_or("an order has no id")?;
            self.hear_order(order_id, order, at, books)?;
            listed.push(order_id);
        }
        if !body["next_cursor"].is_null() {
            return Ok(());
        }
        let is_users = |order_id: &str| {
            let entry = books.iter().find_map(|book| book.orders.get(order_id));
            entry.is_some_and(|entry| entry.order.user_id == user_id)
        };
        let missing = self
            .shown
            .iter()
            .filter(|(_, shown)| shown.at <= as_of)
            .find(|(order_id, _)| is_users(order_id) && !listed.contains(&order_id.as_str()));
        match missing {
            Some((order_id, _)) => {
                Err(format!("order {order_id} was shown, and is not among them"))
            }
            None => Ok(()),
        }
    }

    fn hear_user(
        &mut self,
        user_id: &str,
        body: &Value,
        as_of: DateTime<Utc>,
        books: &[&Book],
    ) -> Result<(), String> {
        let lines = body["currencies"].as_array().ok_or("no currencies")?;
        let mut heard = BTreeMap::new();
        for line in lines {
            let currency = line["currency"].as_str().ok_or("no currency")?;
            let amount = line["total_amount"].as_str().ok_or("no amount")?;
            let told = Told {
                order_count: order_count(line)?,
                total_amount: units::parse(amount).map_err(|error| error.to_string())?,
            };
            heard.insert((currency.to_owned(), user_id.to_owned()), told);
        }
        // What was told or held before, and is not in the answer, is zero there.
        let before = self.users.keys().chain(self.held(as_of).keys());
        for key in before.filter(|(_, user)| user == user_id) {
            heard.entry(key.clone()).or_default();
        }
        for (key, told) in heard {
            let sent = books.iter().find_map(|book| book.sent.users.get(&key));
            let (sent_count, sent_amount) =
                sent.map_or((0, 0), |line| (line.order_count, line.total_amount));
            if told.order_count > sent_count || told.total_amount > sent_amount {
                return Err(format!("tells of more than was sent: {body}"));
            }
            let held = self.held(as_of).get(&key).copied().unwrap_or(0);
            if told.order_count < held {
                return Err(format!(
                    "{held} were committed before X-As-Of {as_of}: {body}"
                ));
            }
            let before = self.users.insert(key, told).unwrap_or_default();
            if told.order_count < before.order_count || told.total_amount < before.total_amount {
                return Err(format!(
                    "went back from {} orders of {}: {body}",
                    before.order_count,
                    units::print(before.total_amount)
                ));
            }
        }
        Ok(())
    }

    fn hear_summary(
        &mut self,
        body: &Value,
        as_of: DateTime<Utc>,
        books: &[&Book],
    ) -> Result<(), String> {
        let told = order_count(body)?;
        let currencies = body["currencies"].as_array().ok_or("no currencies")?;
        let by_currency = currencies
            .iter()
            .map(order_count)
            .sum::<Result<i128, _>>()?;
        if by_currency != told {
            return Err(format!("its currencies add up to {by_currency}: {body}"));
        }
        let sent: usize = books.iter().map(|book| book.orders.len()).sum();
        if usize::try_from(told).is_ok_and(|told| told > sent) {
            return Err(format!("tells of {told} orders, {sent} were sent"));
        }
        let held: i128 = self.held(as_of).values().sum();
        if told < held {
            return Err(format!(
                "tells of {told} orders, {held} were committed before X-As-Of {as_of}"
            ));
        }
        let before = std::mem::replace(&mut self.summary, told);
        if told < before {
            return Err(format!("went back from {before} orders to {told}"));
        }
        Ok(())
    }

    /// What the database is known to have held by `as_of`.
    fn held(&self, as_of: DateTime<Utc>) -> &OrderCounts {
        const NOTHING: &OrderCounts = &BTreeMap::new();
        match &self.look {
            Some(look) if look.at <= as_of => &look.order_counts,
            Some(_) | None => NOTHING,
        }
    }
}

fn order_count(line: &Value) -> Result<i128, String> {
    let count = line["order_count"].as_i64();
    count
        .map(i128::from)
        .ok_or_else(|| format!("no count: {line}"))
}

#[cfg(test)]
mod tests;

//! Orders to send, the same for the same seed, in every spelling; with each what must come back, worked out here.

use std::path::PathBuf;

use chrono::{DateTime, FixedOffset, SecondsFormat, TimeDelta, Utc};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

use crate::{place, units};

/// An order as it is sent, and what a reader must be told of it.
#[derive(Debug, Clone)]
pub struct TestOrder {
    /// As it is sent.
    pub body: Value,
    /// As `GET /orders/{order_id}` must answer.
    pub canonical: Value,
    pub order_id: String,
    pub user_id: String,
    pub currency: String,
    /// Ten-thousandths.
    pub amount: i128,
    pub created_at: DateTime<Utc>,
    pub item_count: usize,
}

/// An endless stream of orders.
#[derive(Debug)]
pub struct Orders {
    random: ChaCha8Rng,
    /// Keeps two streams of one test apart.
    prefix: String,
    users: u32,
    number: u64,
}

const CURRENCIES: [&str; 4] = ["USD", "USD", "EUR", "JPY"];
/// 2024-02-28T20:00:00Z: the orders' times span a leap day, month ends and a change of year.
const FIRST_SECOND: i64 = 1_709_150_400;
const SECONDS: i64 = 400 * 24 * 3600;
/// A thousand, in ten-thousandths.
const MAX_PRICE: i128 = 10_000_000;

impl Orders {
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self {
            random: ChaCha8Rng::seed_from_u64(seed),
            prefix: format!("s{seed}"),
            users: 50,
            number: 0,
        }
    }

    /// How many users they are of; a few of them order most.
    #[must_use]
    pub fn of_users(self, users: u32) -> Self {
        Self { users, ..self }
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    fn one_of<'a>(&mut self, names: &[&'a str]) -> &'a str {
        names[self.random.random_range(0..names.len())]
    }

    fn price(&mut self) -> i128 {
        // Mostly whole cents, as prices are.
        let step = if self.chance(80) { 100 } else { 1 };
        self.random.random_range(0..=MAX_PRICE / step) * step
    }

    /// A JSON string or a JSON number of the same digits.
    fn money(&mut self, amount: i128) -> Value {
        let digits = units::print(amount);
        // Fewer than 15 digits: the shortest text of the nearest float has the same ones.
        match digits.parse::<f64>() {
            Ok(number) if self.chance(50) => json!(number),
            _ => json!(digits),
        }
    }

    fn user(&mut self) -> String {
        let one = self.random.random_range(0..self.users);
        let other = self.random.random_range(0..self.users);
        format!("{}-user-{}", self.prefix, one.min(other))
    }

    fn time(&mut self) -> DateTime<Utc> {
        let second = FIRST_SECOND + self.random.random_range(0..SECONDS);
        let micros = if self.chance(70) {
            0
        } else {
            self.random.random_range(0..1_000_000)
        };
        DateTime::from_timestamp(second, micros * 1000).expect("a time of this century")
    }

    fn spelled_time(&mut self, time: DateTime<Utc>) -> Value {
        let hours = self.random.random_range(-11..=14);
        let zone = FixedOffset::east_opt(hours * 3600).expect("less than a day");
        json!(
            time.with_timezone(&zone)
                .to_rfc3339_opts(SecondsFormat::AutoSi, true)
        )
    }

    /// An item as sent, as answered, and its total.
    fn item(&mut self) -> (Value, Value, i128) {
        let (mut sent, mut answered) = (Map::new(), Map::new());
        let sku = format!("sku-{}", self.random.random_range(0..500));
        let key = self.one_of(&["sku", "product_id", "nm_id", "chrt_id"]);
        sent.insert(key.into(), json!(sku));
        answered.insert("sku".into(), json!(sku));
        if self.chance(60) {
            let name = self.one_of(&[
                "Teapot, brown",
                "Lantern <b>red</b>",
                "Чайник",
                "茶壺",
                "",
                "\"quoted\" \\ name",
            ]);
            let key = self.one_of(&["name", "product_name"]);
            sent.insert(key.into(), json!(name));
            answered.insert("name".into(), json!(name));
        }
        let quantity = self.random.random_range(1..=12);
        if quantity > 1 || self.chance(50) {
            sent.insert("quantity".into(), json!(quantity));
        }
        answered.insert("quantity".into(), json!(quantity));
        let price = self.price();
        let priced = self.chance(80);
        if priced {
            let key = self.one_of(&["price", "unit_price"]);
            sent.insert(key.into(), self.money(price));
            answered.insert("unit_price".into(), json!(units::print(price)));
        }
        let mut total = price * quantity;
        if !priced || self.chance(20) {
            // A discount on the line: the sum need not be the product.
            total -= total / 10;
            sent.insert("total_price".into(), self.money(total));
        }
        answered.insert("total_price".into(), json!(units::print(total)));
        if self.chance(30) {
            sent.insert("size".into(), json!("0"));
            sent.insert("sale".into(), json!(30));
            answered.insert("attributes".into(), json!({"size": "0", "sale": 30}));
        }
        (Value::Object(sent), Value::Object(answered), total)
    }

    fn next_order(&mut self) -> TestOrder {
        self.number += 1;
        let order_id = format!("{}-{:06}", self.prefix, self.number);
        let (user_id, currency, created_at) = (self.user(), self.one_of(&CURRENCIES), self.time());
        let (mut sent, mut answered) = (Map::new(), Map::new());
        let key = self.one_of(&["order_id", "order_uid", "event_id", "id"]);
        sent.insert(key.into(), json!(order_id));
        answered.insert("order_id".into(), json!(order_id));
        let key = self.one_of(&["user_id", "customer_id"]);
        sent.insert(key.into(), json!(user_id));
        answered.insert("user_id".into(), json!(user_id));
        let key = self.one_of(&["created_at", "timestamp", "date_created"]);
        sent.insert(key.into(), self.spelled_time(created_at));
        answered.insert("created_at".into(), json!(canonical_time(created_at)));
        if currency != "USD" || self.chance(50) {
            sent.insert("currency".into(), json!(currency));
        }
        answered.insert("currency".into(), json!(currency));

        let items: Vec<_> = (0..self.random.random_range(0..5))
            .map(|_| self.item())
            .collect();
        let mut amount = items.iter().map(|(_, _, total)| total).sum();
        if items.is_empty() || self.chance(30) {
            amount = self.price();
            let key = self.one_of(&["amount", "total"]);
            sent.insert(key.into(), self.money(amount));
        }
        answered.insert("amount".into(), json!(units::print(amount)));
        let item_count = items.len();
        if item_count > 0 {
            let (bodies, answers): (Vec<_>, Vec<_>) = items
                .into_iter()
                .map(|(body, answer, _)| (body, answer))
                .unzip();
            sent.insert("items".into(), bodies.into());
            answered.insert("items".into(), answers.into());
        }
        self.extras(&mut sent, &mut answered);
        TestOrder {
            body: Value::Object(sent),
            canonical: Value::Object(answered),
            order_id,
            user_id,
            currency: currency.to_owned(),
            amount,
            created_at,
            item_count,
        }
    }

    /// What does not count, but must not be lost.
    fn extras(&mut self, sent: &mut Map<String, Value>, answered: &mut Map<String, Value>) {
        if self.chance(40) {
            let delivery = json!({"name": "Zoë Ω", "zip": "0042", "city": "Köln", "email": ""});
            sent.insert("delivery".into(), delivery.clone());
            answered.insert("delivery".into(), delivery);
        }
        if self.chance(40) {
            let (cost, dt) = (self.price(), self.random.random_range(0..2_000_000_000_i64));
            let spelled = self.money(cost);
            sent.insert("payment".into(), json!({"provider": "pay", "delivery_cost": spelled, "payment_dt": dt, "note": null}));
            let cost = units::print(cost);
            answered.insert(
                "payment".into(),
                json!({"provider": "pay", "delivery_cost": cost, "payment_dt": dt, "attributes": {"note": null}}),
            );
        }
        if self.chance(30) {
            sent.insert("track_number".into(), json!("TRACK"));
            answered.insert("track_number".into(), json!("TRACK"));
        }
        if self.chance(40) {
            let tags = json!({"b": [1, 2.5, {"z": "", "a": null}], "a": "x"});
            sent.insert("tags".into(), tags.clone());
            answered.insert("attributes".into(), json!({"tags": tags}));
        }
    }
}

impl Iterator for Orders {
    type Item = TestOrder;

    fn next(&mut self) -> Option<TestOrder> {
        Some(self.next_order())
    }
}

/// As the APIs write an instant: UTC, with as many of 0, 3 or 6 decimals as it needs.
#[must_use]
pub fn canonical_time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// The start of the UTC hour that holds `time`.
#[must_use]
pub fn hour_of(time: DateTime<Utc>) -> DateTime<Utc> {
    let into_the_hour = time.timestamp_micros().rem_euclid(3_600_000_000);
    time - TimeDelta::microseconds(into_the_hour)
}

/// One order a line.
#[must_use]
pub fn ndjson<'a>(orders: impl IntoIterator<Item = &'a TestOrder>) -> String {
    orders
        .into_iter()
        .map(|order| format!("{}\n", order.body))
        .collect()
}

/// A new file of [`ndjson`], gone when `scripts/test` ends.
///
/// # Errors
/// It cannot be written.
pub fn file<'a>(orders: impl IntoIterator<Item = &'a TestOrder>) -> std::io::Result<PathBuf> {
    let path = place::make("orders").join("orders.ndjson");
    std::fs::write(&path, ndjson(orders))?;
    Ok(path)
}

/// A seeded source of choices for tests: when to kill, whom.
#[must_use]
pub fn choices(seed: u64) -> impl Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_orders() {
        let bodies = |seed| {
            Orders::seeded(seed)
                .take(100)
                .map(|order| order.body)
                .collect::<Vec<_>>()
        };
        assert_eq!(bodies(7), bodies(7));
        assert_ne!(bodies(7), bodies(8));
    }

    #[test]
    fn a_number_that_is_sent_has_the_amounts_digits() {
        let mut orders = Orders::seeded(1);
        for _ in 0..10_000 {
            let amount = orders.price();
            let spelled = orders.money(amount);
            let digits = spelled
                .as_str()
                .map_or_else(|| spelled.to_string(), str::to_owned);
            assert_eq!(units::parse(&digits).unwrap(), amount);
        }
    }

    #[test]
    fn an_hour_begins_on_the_hour() {
        let time = DateTime::parse_from_rfc3339("2024-02-29T23:59:59.999999Z")
            .unwrap()
            .to_utc();
        assert_eq!(canonical_time(hour_of(time)), "2024-02-29T23:00:00Z");
    }
}

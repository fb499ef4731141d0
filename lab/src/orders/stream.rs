//! An endless stream of orders.

use chrono::{DateTime, FixedOffset, SecondsFormat, Utc};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

use super::{TestOrder, canonical_time};
use crate::units;

const CURRENCIES: [&str; 4] = ["USD", "USD", "EUR", "JPY"];
const NAMES: [&str; 6] = [
    "Teapot, brown",
    "Lantern <b>red</b>",
    "Чайник",
    "茶壺",
    "",
    "\"quoted\" \\ name",
];
/// 2024-02-28T20:00:00Z: the orders' times span a leap day, month ends and a change of year.
const FIRST_SECOND: i64 = 1_709_150_400;
const SECONDS: i64 = 400 * 24 * 3600;
/// A thousand, in ten-thousandths.
const MAX_PRICE: i128 = 10_000_000;

/// Orders of many kinds, the same for the same seed.
#[derive(Debug)]
pub struct Orders {
    random: ChaCha8Rng,
    /// Keeps two streams of one test apart.
    prefix: String,
    users: u32,
    number: u64,
}

/// One object as it is sent, and as it must come back.
#[derive(Default)]
struct Draft {
    sent: Map<String, Value>,
    answered: Map<String, Value>,
}

impl Draft {
    fn send(&mut self, name: &str, value: impl Into<Value>) {
        self.sent.insert(name.to_owned(), value.into());
    }

    fn answer(&mut self, name: &str, value: impl Into<Value>) {
        self.answered.insert(name.to_owned(), value.into());
    }

    fn both(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        self.send(name, value.clone());
        self.answer(name, value);
    }
}

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

    fn next_order(&mut self) -> TestOrder {
        self.number += 1;
        let order_id = format!("{}-{:06}", self.prefix, self.number);
        let (user_id, currency, created_at) = (self.user(), self.one_of(&CURRENCIES), self.time());
        let mut draft = Draft::default();
        draft.send(
            self.one_of(&["order_id", "order_uid", "event_id", "id"]),
            &*order_id,
        );
        draft.answer("order_id", &*order_id);
        draft.send(self.one_of(&["user_id", "customer_id"]), &*user_id);
        draft.answer("user_id", &*user_id);
        draft.send(
            self.one_of(&["created_at", "timestamp", "date_created"]),
            self.spelled_time(created_at),
        );
        draft.answer("created_at", canonical_time(created_at));
        if currency != "USD" || self.chance(50) {
            draft.send("currency", currency);
        }
        draft.answer("currency", currency);
        let (amount, item_count) = self.worth(&mut draft);
        self.extras(&mut draft);
        TestOrder {
            body: draft.sent.into(),
            canonical: draft.answered.into(),
            order_id,
            user_id,
            currency: currency.to_owned(),
            amount,
            created_at,
            item_count,
        }
    }

    /// Items, an amount, or both: what the order is worth, and how many items it has.
    fn worth(&mut self, draft: &mut Draft) -> (i128, usize) {
        let (mut bodies, mut answers, mut amount) = (Vec::new(), Vec::new(), 0);
        for _ in 0..self.random.random_range(0..5) {
            let (item, total) = self.item();
            bodies.push(Value::Object(item.sent));
            answers.push(Value::Object(item.answered));
            amount += total;
        }
        if bodies.is_empty() || self.chance(30) {
            // A discount or shipping: the sum need not be the items'.
            amount = self.price();
            draft.send(self.one_of(&["amount", "total"]), self.money(amount));
        }
        draft.answer("amount", units::print(amount));
        let item_count = bodies.len();
        if item_count > 0 {
            draft.send("items", bodies);
            draft.answer("items", answers);
        }
        (amount, item_count)
    }

    fn item(&mut self) -> (Draft, i128) {
        let mut draft = Draft::default();
        let sku = format!("sku-{}", self.random.random_range(0..500));
        draft.send(
            self.one_of(&["sku", "product_id", "nm_id", "chrt_id"]),
            &*sku,
        );
        draft.answer("sku", sku);
        if self.chance(60) {
            let name = self.one_of(&NAMES);
            draft.send(self.one_of(&["name", "product_name"]), name);
            draft.answer("name", name);
        }
        let quantity = self.random.random_range(1..=12);
        if quantity > 1 || self.chance(50) {
            draft.send("quantity", quantity);
        }
        draft.answer("quantity", quantity);
        let price = self.price();
        let priced = self.chance(80);
        if priced {
            draft.send(self.one_of(&["price", "unit_price"]), self.money(price));
            draft.answer("unit_price", units::print(price));
        }
        let mut total = price * i128::from(quantity);
        if !priced || self.chance(20) {
            // Nor need the total be the product.
            total -= total / 10;
            draft.send("total_price", self.money(total));
        }
        draft.answer("total_price", units::print(total));
        if self.chance(30) {
            draft.send("size", "0");
            draft.send("sale", 30);
            draft.answer("attributes", json!({"size": "0", "sale": 30}));
        }
        (draft, total)
    }

    /// What does not count, but must not be lost.
    fn extras(&mut self, draft: &mut Draft) {
        if self.chance(40) {
            draft.both(
                "delivery",
                json!({"name": "Zoë Ω", "zip": "0042", "city": "Köln", "email": ""}),
            );
        }
        if self.chance(40) {
            let (cost, seconds) = (self.price(), self.random.random_range(0..2_000_000_000_i64));
            let spelled = self.money(cost);
            draft.send(
                "payment",
                json!({"provider": "pay", "delivery_cost": spelled, "payment_dt": seconds, "note": null}),
            );
            draft.answer(
                "payment",
                json!({
                    "provider": "pay", "delivery_cost": units::print(cost), "payment_dt": seconds,
                    "attributes": {"note": null}
                }),
            );
        }
        if self.chance(30) {
            draft.both("track_number", "TRACK");
        }
        if self.chance(40) {
            let tags = json!({"b": [1, 2.5, {"z": "", "a": null}], "a": "x"});
            draft.send("tags", tags.clone());
            draft.answer("attributes", json!({"tags": tags}));
        }
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

    fn spelled_time(&mut self, time: DateTime<Utc>) -> String {
        let hours = self.random.random_range(-11..=14);
        let zone = FixedOffset::east_opt(hours * 3600).expect("less than a day");
        time.with_timezone(&zone)
            .to_rfc3339_opts(SecondsFormat::AutoSi, true)
    }
}

impl Iterator for Orders {
    type Item = TestOrder;

    fn next(&mut self) -> Option<TestOrder> {
        Some(self.next_order())
    }
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
}

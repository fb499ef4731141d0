//! The many ways to send one order: other spellings, other orders of keys, escapes, spaces and forms of numbers. All of
//! them give the same bytes, and so the same hash.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::{arbitrary, latest};
use crate::money::Amount;
use crate::order::{Attributes, Delivery, Item, Order, Payment};
use crate::time::Timestamp;

/// Chooses; the same seed chooses the same.
struct Choice(u64);

impl Choice {
    /// Below `count`. (SplitMix64.)
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^= bits >> 31;
        usize::try_from(bits % u64::try_from(count).unwrap()).unwrap()
    }

    fn maybe(&mut self) -> bool {
        self.below(2) == 0
    }

    fn of<'t>(&mut self, choices: &[&'t str]) -> &'t str {
        choices[self.below(choices.len())]
    }
}

/// Members of an object: keys with the text of their values.
type Members = Vec<(String, String)>;

impl Choice {
    fn spaces(&mut self) -> &'static str {
        self.of(&["", "", "", " ", "\n\t", "\r\n  "])
    }

    fn string(&mut self, text: &str) -> String {
        let escape = self.below(4) == 0;
        let mut json = "\"".to_owned();
        for character in text.chars() {
            let must = character < ' ' || character == '"' || character == '\\';
            match character {
                '/' if escape => json.push_str("\\/"),
                '\n' if escape => json.push_str("\\n"),
                _ if must || (escape && self.maybe()) => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        json.push_str(&if self.maybe() {
                            format!("\\u{unit:04x}")
                        } else {
                            format!("\\u{unit:04X}")
                        });
                    }
                }
                _ => json.push(character),
            }
        }
        json + "\""
    }

    fn identifier(&mut self, text: &str) -> String {
        let is_integer = text == "0"
            || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
        if is_integer && !text.is_empty() && self.maybe() {
            text.to_owned()
        } else {
            self.string(text)
        }
    }

    /// Other digits of the same value.
    fn number(&mut self, digits: &str) -> String {
        if digits.contains('e') {
            return digits.replace('e', self.of(&["e", "E"]));
        }
        match (self.below(5), digits.split_once('.')) {
            (0, Some((integer, fraction))) => {
                format!("{integer}.{fraction}{}", self.of(&["0", "000"]))
            }
            (0, None) => format!("{digits}.{}", self.of(&["0", "0000"])),
            (1, _) => format!("{digits}{}", self.of(&["e0", "E+0", "e-00"])),
            (2, Some((integer, fraction))) if !matches!(integer, "0" | "-0") => {
                format!("{integer}{fraction}e-{}", fraction.len())
            }
            (3, None) if digits != "0" => format!("{digits}00{}", self.of(&["e-2", "E-02"])),
            (4, None) if digits == "0" => "-0".to_owned(),
            _ => digits.to_owned(),
        }
    }

    fn amount(&mut self, amount: Amount) -> String {
        let digits = self.number(&amount.to_string());
        if self.maybe() {
            format!("\"{digits}\"")
        } else {
            digits
        }
    }

    fn instant(&mut self, instant: Timestamp) -> String {
        let text = instant.to_string();
        let (seconds, fraction) = text[..text.len() - 1].split_at(19);
        let fraction = match self.below(3) {
            0 if fraction.is_empty() => ".000000000".to_owned(),
            // Digits beyond microseconds are cut.
            1 if fraction.len() == 7 => format!("{fraction}999"),
            _ => fraction.to_owned(),
        };
        if self.maybe() {
            return format!(
                "\"{seconds}{fraction}{}\"",
                self.of(&["Z", "z", "+00:00", "-00:00"])
            );
        }
        let offset = chrono::FixedOffset::east_opt(3 * 3600 + 1800).unwrap();
        let local = instant
            .to_utc()
            .with_timezone(&offset)
            .format("%Y-%m-%dT%H:%M:%S");
        format!("\"{local}{fraction}+03:30\"")
    }

    /// Another text of a value, which is given in canonical form.
    fn value(&mut self, canonical: &str) -> String {
        match canonical.as_bytes()[0] {
            b'{' => {
                let members = members_of(canonical);
                let members = members
                    .into_iter()
                    .map(|(key, value)| (key, self.value(&value)))
                    .collect();
                self.object(members)
            }
            b'[' => {
                let values: Vec<Box<RawValue>> = serde_json::from_str(canonical).unwrap();
                let values: Vec<_> = values.iter().map(|value| self.value(value.get())).collect();
                let separator = format!("{},{}", self.spaces(), self.spaces());
                format!(
                    "[{}{}{}]",
                    self.spaces(),
                    values.join(&separator),
                    self.spaces()
                )
            }
            b'"' => self.string(&serde_json::from_str::<String>(canonical).unwrap()),
            b'-' | b'0'..=b'9' => self.number(canonical),
            _ => canonical.to_owned(),
        }
    }

    /// In any order.
    fn object(&mut self, mut members: Members) -> String {
        for last in (1..members.len()).rev() {
            let other = self.below(last + 1);
            members.swap(last, other);
        }
        let mut json = "{".to_owned();
        for (index, (key, value)) in members.into_iter().enumerate() {
            if index > 0 {
                json.push(',');
            }
            let (key, [before, after, behind]) =
                (self.string(&key), [(); 3].map(|()| self.spaces()));
            json += &format!("{before}{key}{after}:{behind}{value}{}", self.spaces());
        }
        json + self.spaces() + "}"
    }

    /// Attributes beside the other fields or inside `attributes`; those that have a field's name only there.
    fn attributes(&mut self, attributes: &Attributes, fields: &[&str], members: &mut Members) {
        let mut inside = Members::new();
        for (key, value) in members_of(attributes.as_json()) {
            let value = self.value(&value);
            let beside = !fields.contains(&key.as_str()) && self.maybe();
            if beside {
                members.push((key, value))
            } else {
                inside.push((key, value))
            }
        }
        if !inside.is_empty() || self.below(8) == 0 {
            let inside = self.object(inside);
            members.push(("attributes".to_owned(), inside));
        }
    }
}

/// The members of an object, each value as it is written.
fn members_of(object: &str) -> Members {
    let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(object).unwrap();
    members
        .into_iter()
        .map(|(key, value)| (key, value.get().to_owned()))
        .collect()
}

const ORDER: &[&str] = &[
    "order_id",
    "order_uid",
    "event_id",
    "id",
    "user_id",
    "customer_id",
    "created_at",
    "timestamp",
    "date_created",
    "currency",
    "amount",
    "total",
    "items",
    "delivery",
    "payment",
    "track_number",
    "attributes",
    "product_id",
    "product_name",
    "quantity",
    "price",
    "unit_price",
    "total_price",
];
const ITEM: &[&str] = &[
    "sku",
    "product_id",
    "nm_id",
    "chrt_id",
    "name",
    "product_name",
    "quantity",
    "unit_price",
    "price",
    "total_price",
    "attributes",
];
const DELIVERY: &[&str] = &[
    "name",
    "phone",
    "zip",
    "city",
    "address",
    "region",
    "email",
    "attributes",
];
const PAYMENT: &[&str] = &[
    "transaction",
    "request_id",
    "currency",
    "provider",
    "amount",
    "payment_dt",
    "bank",
    "delivery_cost",
    "goods_total",
    "custom_fee",
    "attributes",
];

/// Adds what is there; what is absent, perhaps, as `null`.
fn add(choice: &mut Choice, members: &mut Members, spellings: &[&str], value: Option<String>) {
    let null = || "null".to_owned();
    let value = value.or_else(|| (choice.below(8) == 0).then(null));
    members.extend(value.map(|value| (choice.of(spellings).to_owned(), value)));
}

fn item_fields(
    choice: &mut Choice,
    item: &Item,
    members: &mut Members,
    sku: &[&str],
    name: &[&str],
) {
    let sku_text = item.sku.as_ref().map(|sku| choice.identifier(sku));
    add(choice, members, sku, sku_text);
    let name_text = item.name.as_ref().map(|name| choice.string(name));
    add(choice, members, name, name_text);
    let quantity = item
        .quantity
        .map(|quantity| choice.number(&quantity.to_string()));
    add(choice, members, &["quantity"], quantity);
    let unit_price = item.unit_price.map(|price| choice.amount(price));
    add(choice, members, &["unit_price", "price"], unit_price);
    let total_price = item.total_price.map(|price| choice.amount(price));
    add(choice, members, &["total_price"], total_price);
}

fn item(choice: &mut Choice, item: &Item) -> String {
    let mut members = Members::new();
    item_fields(
        choice,
        item,
        &mut members,
        &["sku", "product_id", "nm_id", "chrt_id"],
        &["name", "product_name"],
    );
    choice.attributes(&item.attributes, ITEM, &mut members);
    choice.object(members)
}

fn delivery(choice: &mut Choice, delivery: &Delivery) -> String {
    let Delivery {
        name,
        phone,
        zip,
        city,
        address,
        region,
        email,
        attributes,
    } = delivery;
    let mut members = Members::new();
    for (key, text) in DELIVERY
        .iter()
        .zip([name, phone, zip, city, address, region, email])
    {
        let text = text.as_ref().map(|text| choice.string(text));
        add(choice, &mut members, &[key], text);
    }
    choice.attributes(attributes, DELIVERY, &mut members);
    choice.object(members)
}

fn payment(choice: &mut Choice, payment: &Payment) -> String {
    let mut members = Members::new();
    for (key, id) in [
        ("transaction", &payment.transaction),
        ("request_id", &payment.request_id),
    ] {
        let id = id.as_ref().map(|id| choice.identifier(id));
        add(choice, &mut members, &[key], id);
    }
    for (key, text) in [("provider", &payment.provider), ("bank", &payment.bank)] {
        let text = text.as_ref().map(|text| choice.string(text));
        add(choice, &mut members, &[key], text);
    }
    for (key, amount) in [
        ("amount", payment.amount),
        ("delivery_cost", payment.delivery_cost),
        ("goods_total", payment.goods_total),
        ("custom_fee", payment.custom_fee),
    ] {
        let amount = amount.map(|amount| choice.amount(amount));
        add(choice, &mut members, &[key], amount);
    }
    let currency = payment
        .currency
        .map(|currency| choice.string(currency.as_str()));
    add(choice, &mut members, &["currency"], currency);
    let payment_dt = payment
        .payment_dt
        .map(|seconds| choice.number(&seconds.to_string()));
    add(choice, &mut members, &["payment_dt"], payment_dt);
    choice.attributes(&payment.attributes, PAYMENT, &mut members);
    choice.object(members)
}

/// One of the ways to send an order.
fn variation(choice: &mut Choice, order: &Order) -> String {
    let mut members = Members::new();
    let order_id = order
        .order_id
        .as_ref()
        .map(|id| choice.identifier(id.as_str()));
    add(
        choice,
        &mut members,
        &["order_id", "order_uid", "event_id", "id"],
        order_id,
    );
    let user_id = choice.identifier(order.user_id.as_str());
    add(
        choice,
        &mut members,
        &["user_id", "customer_id"],
        Some(user_id),
    );
    let created_at = order.created_at.map(|instant| choice.instant(instant));
    add(
        choice,
        &mut members,
        &["created_at", "timestamp", "date_created"],
        created_at,
    );
    let currency = order
        .currency
        .map(|currency| choice.string(currency.as_str()));
    add(choice, &mut members, &["currency"], currency);
    let amount = order.amount.map(|amount| choice.amount(amount));
    add(choice, &mut members, &["amount", "total"], amount);
    match &order.items[..] {
        [single] if single.attributes.is_empty() && choice.maybe() => {
            item_fields(
                choice,
                single,
                &mut members,
                &["product_id"],
                &["product_name"],
            );
        }
        items => {
            let texts: Vec<_> = items.iter().map(|one| item(choice, one)).collect();
            let items =
                (!texts.is_empty() || choice.maybe()).then(|| format!("[{}]", texts.join(",")));
            add(choice, &mut members, &["items"], items);
        }
    }
    let delivery = order.delivery.as_ref().map(|part| delivery(choice, part));
    add(choice, &mut members, &["delivery"], delivery);
    let payment = order.payment.as_ref().map(|part| payment(choice, part));
    add(choice, &mut members, &["payment"], payment);
    let track_number = order
        .track_number
        .as_ref()
        .map(|text| choice.identifier(text));
    add(choice, &mut members, &["track_number"], track_number);
    choice.attributes(&order.attributes, ORDER, &mut members);
    format!(
        "{}{}{}",
        choice.spaces(),
        choice.object(members),
        choice.spaces()
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn all_ways_to_send_an_order_give_the_same_bytes(order in arbitrary::order(), seed in any::<u64>()) {
        let sent = variation(&mut Choice(seed), &order);
        let read = Order::parse(sent.as_bytes(), latest());
        prop_assert_eq!(read.as_ref(), Ok(&order), "{}", sent);
        prop_assert_eq!(read.unwrap().content_hash(), order.content_hash());
    }
}

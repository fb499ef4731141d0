//! Any order there can be.

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;

use crate::ids::{Currency, OrderId, UserId};
use crate::money::Amount;
use crate::order::{Attributes, Delivery, Item, Order, Payment};
use crate::time::Timestamp;

/// JSON as attributes hold it. Numbers are their canonical text.
#[derive(Debug, Clone)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Any text of this value will do here: it is read into canonical form.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(digits) => digits.clone(),
            Self::Text(text) => serde_json::to_string(text).unwrap(),
            Self::Array(values) => {
                format!(
                    "[{}]",
                    values.iter().map(Self::text).collect::<Vec<_>>().join(",")
                )
            }
            Self::Object(members) => {
                let member = |(key, value): &(String, Self)| {
                    format!("{}:{}", serde_json::to_string(key).unwrap(), value.text())
                };
                format!(
                    "{{{}}}",
                    members.iter().map(member).collect::<Vec<_>>().join(",")
                )
            }
        }
    }
}

/// Without U+0000, which no text may hold; with what needs escapes and what lies beyond 16 bits.
pub(super) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9 ]{0,12}",
        "[^\\u{0}]{0,12}",
        "[\"\\\\/\\n\\t\\u{1}\\u{7f}é😀]{0,6}"
    ]
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|value| value.to_string()),
        "-?(0|[1-9][0-9]{0,25})\\.[0-9]{0,25}[1-9]",
        "-?[1-9](\\.[0-9]{0,10}[1-9])?e-?[1-9][0-9]{0,1}",
    ]
}

pub(super) fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        number().prop_map(Json::Number),
        text().prop_map(Json::Text),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Json::Array),
            btree_map(text(), inner, 0..4)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

fn attributes() -> impl Strategy<Value = Attributes> {
    // Names of fields, too: they mean nothing here.
    let key =
        prop_oneof![3 => text(), 1 => "(id|amount|sku|price|nm_id|quantity|name|attributes|bank)"];
    let members = btree_map(key, json(), 0..4).prop_map(|members| {
        Attributes::from_json(&Json::Object(members.into_iter().collect()).text()).unwrap()
    });
    prop_oneof![Just(Attributes::default()), members]
}

/// Small enough that neither products nor sums are out of range.
fn amount() -> impl Strategy<Value = Amount> {
    let most = 1_000_000_000_u64;
    prop_oneof![0..most, (0..most / 10_000).prop_map(|one| one * 10_000)]
        .prop_map(|units| Amount::from_units(units).unwrap())
}

fn currency() -> impl Strategy<Value = Currency> {
    "[A-Z]{3}".prop_map(|code| Currency::parse(&code).unwrap())
}

fn created_at() -> impl Strategy<Value = Timestamp> {
    let seconds =
        (0..=super::latest().as_micros() / 1_000_000).prop_map(|seconds| seconds * 1_000_000);
    prop_oneof![0..=super::latest().as_micros(), seconds]
        .prop_map(|micros| Timestamp::from_micros(micros).unwrap())
}

fn item() -> impl Strategy<Value = Item> {
    let named = prop_oneof![
        (of(text()), text()).prop_map(|(sku, name)| (sku, Some(name))),
        (prop_oneof![text(), "(0|[1-9][0-9]{0,12})"], of(text()))
            .prop_map(|(sku, name)| (Some(sku), name)),
    ];
    let priced = prop_oneof![
        (amount(), of(amount())).prop_map(|(unit, total)| (Some(unit), total)),
        amount().prop_map(|total| (None, Some(total))),
    ];
    (named, of(1..=i32::MAX / 100_000), priced, attributes()).prop_map(
        |((sku, name), quantity, (unit_price, total_price), attributes)| Item {
            sku,
            name,
            quantity,
            unit_price,
            total_price,
            attributes,
        },
    )
}

fn delivery() -> impl Strategy<Value = Delivery> {
    let texts = (
        of(text()),
        of(text()),
        of(text()),
        of(text()),
        of(text()),
        of(text()),
        of(text()),
    );
    (texts, attributes()).prop_map(
        |((name, phone, zip, city, address, region, email), attributes)| Delivery {
            name,
            phone,
            zip,
            city,
            address,
            region,
            email,
            attributes,
        },
    )
}

fn payment() -> impl Strategy<Value = Payment> {
    let texts = (of(text()), of(text()), of(text()), of(text()));
    let amounts = (of(amount()), of(amount()), of(amount()), of(amount()));
    (
        texts,
        amounts,
        of(currency()),
        of(any::<i64>()),
        attributes(),
    )
        .prop_map(
            |(
                (transaction, request_id, provider, bank),
                amounts,
                currency,
                payment_dt,
                attributes,
            )| Payment {
                transaction,
                request_id,
                currency,
                provider,
                amount: amounts.0,
                payment_dt,
                bank,
                delivery_cost: amounts.1,
                goods_total: amounts.2,
                custom_fee: amounts.3,
                attributes,
            },
        )
}

/// Any normalised order.
pub(super) fn order() -> impl Strategy<Value = Order> {
    let user_id = prop_oneof!["[a-z0-9]{1,10}", "[1-9][0-9]{0,9}", "[^\\p{Cc}]{1,20}"]
        .prop_map(|text| UserId::parse(&text).unwrap());
    let order_id = prop_oneof!["[A-Za-z0-9][A-Za-z0-9._~:-]{0,20}", "[1-9][0-9]{0,12}"]
        .prop_map(|text| OrderId::parse(&text).unwrap());
    let head = (
        of(order_id),
        user_id,
        of(created_at()),
        of(currency()),
        of(amount()),
    );
    let parts = (
        vec(item(), 0..4),
        of(delivery()),
        of(payment()),
        of(text()),
        attributes(),
    );
    (head, parts)
        .prop_map(
            |((order_id, user_id, created_at, currency, amount), parts)| {
                let (items, delivery, payment, track_number, attributes) = parts;
                Order {
                    order_id,
                    user_id,
                    created_at,
                    currency,
                    amount,
                    items,
                    delivery,
                    payment,
                    track_number,
                    attributes,
                }
            },
        )
        .prop_filter("has something to pay", |order| {
            let paid = order
                .payment
                .as_ref()
                .is_some_and(|payment| payment.amount.is_some());
            order.amount.is_some() || paid || !order.items.is_empty()
        })
}

//! `POST /orders`: the body of a request. What is accepted comes to the same order however often it is read, and can be
//! stored.

use std::time::Duration;

use common::ids::OrderId;
use common::order::{
    ContentHash, MAX_ATTRIBUTES_BYTES, MAX_DEPTH, MAX_ITEMS, MAX_ORDER_BYTES, Order, Rejection,
};
use producer::request::{Arrival, Record};

use super::json;

/// An error and the place that it names are for people, so neither repeats more than a little of what was sent.
const MAX_ERRORS_BYTES: usize = 256 * 1024;

pub fn check(body: &[u8]) {
    let arrival = arrival();
    let assigned = OrderId::parse("assigned").expect("a constant");
    match Record::read(body, arrival, || assigned.clone()) {
        Ok(record) => {
            assert!(json::is_json(body), "an order is JSON");
            check_accepted(&record, arrival);
        }
        Err(rejection) => check_refused(body, &rejection),
    }
}

pub fn arrival() -> Arrival {
    Arrival::now(Duration::from_secs(3600))
}

/// A record that is about to be published.
pub fn check_accepted(record: &Record, arrival: Arrival) {
    let value = &record.value;
    assert!(value.len() <= MAX_ORDER_BYTES);
    let again = Record::read(value, arrival, || {
        panic!("a record's value has an order_id")
    })
    .expect("a record's value is an order");
    assert_eq!(
        (&again.order_id, &again.user_id),
        (&record.order_id, &record.user_id)
    );
    assert_eq!(&again.value, value, "normal form is its own normal form");
    check_storable(value);
}

/// An order's normal form: what the tables demand of it.
fn check_storable(value: &[u8]) {
    assert!(json::is_json(value));
    assert!(json::depth(value) <= MAX_DEPTH);
    assert!(!json::holds_nul(value));
    let order = Order::parse(value, far_future()).expect("it was an order just now");
    assert_eq!(order.content_hash(), ContentHash::of(value));
    assert!(order.items.len() <= MAX_ITEMS);
    let of_items = order.items.iter().map(|item| &item.attributes);
    let of_delivery = order.delivery.iter().map(|delivery| &delivery.attributes);
    let of_payment = order.payment.iter().map(|payment| &payment.attributes);
    let attributes = of_items
        .chain(of_delivery)
        .chain(of_payment)
        .chain([&order.attributes]);
    let bytes: usize = attributes
        .filter(|attributes| !attributes.is_empty())
        .map(|attributes| attributes.as_json().len())
        .sum();
    assert!(bytes <= MAX_ATTRIBUTES_BYTES, "{bytes} bytes of attributes");
}

fn far_future() -> common::time::Timestamp {
    common::time::Timestamp::parse("9999-12-31T23:59:59Z").expect("a constant")
}

/// What the sender is told of what is no order.
pub fn check_refused(body: &[u8], rejection: &Rejection) {
    match rejection {
        Rejection::NotJson { detail } => {
            assert!(
                !json::is_json(body),
                "it is JSON, and was refused: {detail}"
            );
            assert!(!detail.is_empty() && detail.len() < 1_000);
        }
        Rejection::Invalid { errors, .. } => {
            assert!(json::is_json(body) || body.len() > MAX_ORDER_BYTES);
            assert!((1..=101).contains(&errors.len()));
            let bytes: usize = errors
                .iter()
                .map(|error| error.pointer.len() + error.detail.len())
                .sum();
            assert!(bytes <= MAX_ERRORS_BYTES, "{bytes} bytes of errors");
            for error in errors {
                assert!(error.pointer.is_empty() || error.pointer.starts_with('/'));
                assert!(!error.detail.is_empty());
            }
        }
    }
}

//! A record of the topic, which any program may have written: an order that can be stored, or a dead letter that can.

use std::time::Duration;

use common::event::TIME_HEADER;
use common::ids::Currency;
use common::order::{CompleteOrder, ContentHash, Order};
use consumer::dead_letters::{DeadLetter, Reason};
use consumer::decode::{Decoded, Decoder};
use consumer::source::Record;
use rdkafka::Timestamp;
use rdkafka::message::{Header, OwnedHeaders, OwnedMessage};

/// The first byte says how many of the following are its `ce_time`, the rest is its value.
pub fn check(bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first() else {
        return;
    };
    let (ce_time, value) = rest.split_at(usize::from(*length).min(rest.len()));
    let decoder = Decoder {
        topic: "orders".into(),
        default_currency: Currency::parse("USD").expect("three letters"),
        max_future_skew: Duration::from_secs(3600),
    };
    let record = record(ce_time, value);
    match (decoder.decode(&record), decoder.decode(&record)) {
        (Decoded::Order(first), Decoded::Order(second)) => {
            assert_eq!(
                first.order, second.order,
                "a second reading gives the same order"
            );
            let sent = Order::parse(
                value,
                first.received_at.saturating_add(decoder.max_future_skew),
            );
            let normal = sent.expect("the same rules as at the door").to_json();
            assert_eq!(first.content_hash, ContentHash::of(&normal));
            check_storable(&first.order);
        }
        (Decoded::Poison(first), Decoded::Poison(second)) => {
            assert_eq!(first, second);
            check_dead_letter(&first, value);
        }
        _ => panic!("a second reading decides otherwise"),
    }
}

fn record(ce_time: &[u8], value: &[u8]) -> Record<'static> {
    let time = Header {
        key: TIME_HEADER,
        value: Some(ce_time),
    };
    let headers = OwnedHeaders::new().insert(time);
    let timestamp = Timestamp::CreateTime(1_767_225_600_000);
    let (value, key) = (Some(value.to_vec()), Some(b"u".to_vec()));
    OwnedMessage::new(value, key, "orders".into(), timestamp, 3, 17, Some(headers)).into()
}

/// No text that PostgreSQL refuses.
fn check_storable(order: &CompleteOrder) {
    let mut texts = vec![Some(order.user_id.as_str()), order.track_number.as_deref()];
    for item in &order.items {
        texts.extend([item.sku.as_deref(), item.name.as_deref()]);
        assert!(item.quantity >= 1);
    }
    if let Some(delivery) = &order.delivery {
        let (name, phone, zip) = (&delivery.name, &delivery.phone, &delivery.zip);
        let (city, address, region) = (&delivery.city, &delivery.address, &delivery.region);
        let of_delivery = [name, phone, zip, city, address, region, &delivery.email];
        texts.extend(of_delivery.map(Option::as_deref));
    }
    if let Some(payment) = &order.payment {
        let (transaction, request_id) = (&payment.transaction, &payment.request_id);
        let of_payment = [transaction, request_id, &payment.provider, &payment.bank];
        texts.extend(of_payment.map(Option::as_deref));
    }
    assert!(texts.into_iter().flatten().all(|text| !text.contains('\0')));
}

fn check_dead_letter(letter: &DeadLetter, value: &[u8]) {
    assert_eq!(letter.value.as_deref(), Some(value));
    assert!(!letter.detail.contains("a panic"), "{}", letter.detail);
    assert!(
        letter
            .detail
            .bytes()
            .all(|byte| matches!(byte, b' '..=b'~'))
    );
    assert!(matches!(
        letter.reason,
        Reason::Undecodable | Reason::Invalid
    ));
}

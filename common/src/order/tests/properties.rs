//! What holds for every order, and for everything that is none.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{arbitrary, latest, parse};
use crate::ids::{Currency, OrderId};
use crate::money::Total;
use crate::order::rejection::MAX_ERRORS;
use crate::order::{Attributes, ContentHash, Defaults, Order, Rejection};
use crate::time::Timestamp;

/// Whether another reader takes it for one JSON text. It knows nothing of byte order marks.
fn is_json(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes)
        .is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok())
}

/// Neither panics nor contradicts the other reader.
fn check_any_input(bytes: &[u8]) -> Result<(), TestCaseError> {
    match parse(bytes) {
        Ok(order) => {
            prop_assert!(is_json(bytes));
            prop_assert_eq!(parse(order.to_json()), Ok(order));
        }
        Err(Rejection::NotJson { detail }) => prop_assert!(!is_json(bytes), "{detail}"),
        Err(Rejection::Invalid { errors, .. }) => {
            prop_assert!(is_json(bytes), "{errors:?}");
            prop_assert!((1..=MAX_ERRORS + 1).contains(&errors.len()));
        }
    }
    Ok(())
}

/// Equal, with numbers as far as floats tell them apart: each is read by the standard library, which rounds to the nearest one
/// however it is spelled (`serde_json` does not).
fn same(one: &RawValue, other: &RawValue) -> bool {
    let texts = (one.get(), other.get());
    match one.get().as_bytes()[0] {
        b'{' => both(texts).is_some_and(
            |(one, other): (BTreeMap<String, &RawValue>, BTreeMap<String, &RawValue>)| {
                one.len() == other.len()
                    && one
                        .iter()
                        .zip(&other)
                        .all(|(one, other)| one.0 == other.0 && same(one.1, other.1))
            },
        ),
        b'[' => both(texts).is_some_and(|(one, other): (Vec<&RawValue>, Vec<&RawValue>)| {
            one.len() == other.len() && one.iter().zip(&other).all(|(one, other)| same(one, other))
        }),
        b'"' => both(texts).is_some_and(|(one, other): (String, String)| one == other),
        b'-' | b'0'..=b'9' => {
            let [one, other] = [texts.0, texts.1].map(str::parse::<f64>);
            one.is_ok() && one == other
        }
        _ => texts.0 == texts.1,
    }
}

/// Both as the same kind of value, if they are.
fn both<'t, T: Deserialize<'t>>((one, other): (&'t str, &'t str)) -> Option<(T, T)> {
    let read = |text| serde_json::from_str(text).ok();
    read(one).zip(read(other))
}

/// What JSON is made of, put together at random.
fn fragments() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\\",
            "null",
            "true",
            "false",
            "0",
            "-1",
            "1.5",
            "1e5",
            "01",
            "-",
            "e",
            "\"user_id\"",
            "\"amount\"",
            "\"items\"",
            "\"sku\"",
            "\"price\"",
            "\"attributes\"",
            "\"payment\"",
            "\"product_id\"",
            "{\"user_id\":\"u\",\"amount\":1",
            "\\u0000",
            "\\ud83d",
            "\\ude00",
            "\\u00e9",
            " ",
            "\n",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,3}",
    ];
    vec(fragment, 0..30).prop_map(|fragments| fragments.concat())
}

proptest! {
    #[test]
    fn what_is_printed_is_the_same_order_again(order in arbitrary::order()) {
        let printed = order.to_json();
        let again = Order::parse(&printed, latest());
        prop_assert_eq!(again.as_ref(), Ok(&order), "{}", String::from_utf8_lossy(&printed));
        prop_assert_eq!(again.unwrap().to_json(), printed);
    }

    #[test]
    fn a_printed_order_begins_with_its_id(order in arbitrary::order()) {
        let printed = order.to_json();
        prop_assert_eq!(Order::leading_id(&printed), order.order_id.as_ref().map(AsRef::as_ref));
    }

    #[test]
    fn orders_that_differ_have_different_hashes(one in arbitrary::order(), other in arbitrary::order()) {
        prop_assert_eq!(one == other, one.content_hash() == other.content_hash());
        prop_assert_eq!(one.content_hash(), ContentHash::of(&one.to_json()));
    }

    #[test]
    fn attributes_keep_their_meaning(value in arbitrary::json()) {
        let sent = format!("{{\"a\":{}}}", value.text());
        let kept = Attributes::from_json(&sent).unwrap();
        prop_assert_eq!(Attributes::from_json(kept.as_json()), Ok(kept.clone()));
        // Another reader understands the same.
        let [understood, expected] = [kept.as_json(), &sent].map(serde_json::from_str::<&RawValue>);
        let (understood, expected) = (understood.unwrap(), expected.unwrap());
        prop_assert!(same(understood, expected), "{understood} is not {expected}");
    }

    #[test]
    fn completing_adds_what_is_absent_and_changes_nothing_else(order in arbitrary::order()) {
        let defaults = Defaults {
            order_id: OrderId::parse("default").unwrap(),
            created_at: Timestamp::EPOCH,
            currency: Currency::parse("XXX").unwrap(),
        };
        let complete = order.clone().complete(defaults);
        let paid = order.payment.as_ref().and_then(|payment| payment.amount);
        let sum: Total = complete.items.iter().map(|item| Total::from(item.total_price)).sum();
        prop_assert_eq!(Total::from(complete.amount), order.amount.or(paid).map_or(sum, Total::from));
        for (item, sent) in complete.items.iter().zip(&order.items) {
            let product = sent.unit_price.map(|price| i128::from(price.units()) * i128::from(item.quantity));
            let total = sent.total_price.map(|total| i128::from(total.units())).or(product);
            prop_assert_eq!(Some(i128::from(item.total_price.units())), total);
        }
        prop_assert_eq!(complete.user_id, order.user_id);
        prop_assert_eq!(complete.attributes, order.attributes);
    }

    #[test]
    fn no_bytes_do_harm(bytes in vec(any::<u8>(), 0..200)) {
        check_any_input(&bytes)?;
    }

    #[test]
    fn no_text_does_harm(text in fragments()) {
        check_any_input(text.as_bytes())?;
    }

    #[test]
    fn no_value_in_any_field_does_harm(
        field in prop::sample::select(vec![
            "order_id", "user_id", "created_at", "currency", "amount", "items", "delivery", "payment", "track_number",
            "attributes", "product_id", "quantity", "price", "else",
        ]),
        value in arbitrary::json(),
    ) {
        let value = value.text();
        check_any_input(format!(r#"{{"{field}":{value}}}"#).as_bytes())?;
        check_any_input(format!(r#"{{"user_id":"u","amount":1,"{field}":{value}}}"#).as_bytes())?;
        check_any_input(format!(r#"{{"user_id":"u","items":[{{"sku":"s","price":1,"{field}":{value}}}]}}"#).as_bytes())?;
        check_any_input(format!(r#"{{"user_id":"u","items":[{value}],"payment":{{"{field}":{value}}}}}"#).as_bytes())?;
    }

    #[test]
    fn no_damage_to_an_order_does_harm(
        order in arbitrary::order(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..4),
    ) {
        let mut bytes = order.to_json();
        for (place, byte, kind) in damage {
            let at = place.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => bytes.truncate(at.max(1)),
                _ => drop(bytes.remove(at)),
            }
            if bytes.is_empty() {
                return Ok(());
            }
        }
        check_any_input(&bytes)?;
    }
}

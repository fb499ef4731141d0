//! One order of each accepted shape, and what becomes of it.

use serde_json::{Value, json};

use super::{normalised, parse};
use crate::ids::{Currency, OrderId};
use crate::order::{CompleteOrder, Defaults};
use crate::time::Timestamp;

fn complete(json: &str) -> CompleteOrder {
    parse(json).unwrap().complete(Defaults {
        order_id: OrderId::parse("default-id").unwrap(),
        created_at: Timestamp::parse("2026-01-01T00:30:00Z").unwrap(),
        currency: Currency::parse("USD").unwrap(),
    })
}

#[test]
fn a_user_and_an_amount_are_an_order() {
    let sent = r#"{"user_id":"u1","amount":12.5}"#;
    assert_eq!(normalised(sent), r#"{"user_id":"u1","amount":"12.50"}"#);
    let order = complete(sent);
    assert_eq!(order.order_id.as_str(), "default-id");
    assert_eq!(order.created_at.to_string(), "2026-01-01T00:30:00Z");
    assert_eq!(order.currency.as_str(), "USD");
    assert_eq!(order.amount.to_string(), "12.50");
    assert!(order.items.is_empty());
}

#[test]
fn one_item_may_stand_at_top_level_by_its_id() {
    let sent = r#"{"order_id":"o1","user_id":"u1","product_id":"p1","quantity":2,"price":6.25,"timestamp":"2026-01-01T00:00:00Z"}"#;
    assert_eq!(
        normalised(sent),
        r#"{"order_id":"o1","user_id":"u1","created_at":"2026-01-01T00:00:00Z","items":[{"sku":"p1","quantity":2,"unit_price":"6.25"}]}"#
    );
    let order = complete(sent);
    assert_eq!(order.amount.to_string(), "12.50");
    assert_eq!(order.items[0].total_price.to_string(), "12.50");
    assert_eq!(order.created_at.to_string(), "2026-01-01T00:00:00Z");
}

#[test]
fn one_item_may_stand_at_top_level_by_its_name() {
    let sent = r#"{"user_id":"u1","product_name":"Laptop","quantity":1,"price":999.99}"#;
    assert_eq!(
        normalised(sent),
        r#"{"user_id":"u1","items":[{"name":"Laptop","quantity":1,"unit_price":"999.99"}]}"#
    );
    assert_eq!(complete(sent).amount.to_string(), "999.99");
}

#[test]
fn an_event_with_an_offset_is_an_order_at_the_same_instant() {
    let sent = r#"{"event_id":"e1","user_id":"u1","amount":12.5,"created_at":"2026-01-01T03:00:00+03:00"}"#;
    assert_eq!(
        normalised(sent),
        r#"{"order_id":"e1","user_id":"u1","created_at":"2026-01-01T00:00:00Z","amount":"12.50"}"#
    );
}

const MARKETPLACE: &str = r#"{
    "order_uid": "b563feb7b2b84b6test", "track_number": "WBILMTESTTRACK", "entry": "WBIL",
    "delivery": {
        "name": "Test Testov", "phone": "+9720000000", "zip": "2639809", "city": "Kiryat Mozkin",
        "address": "Ploshad Mira 15", "region": "Kraiot", "email": "test@gmail.com"
    },
    "payment": {
        "transaction": "b563feb7b2b84b6test", "request_id": "", "currency": "USD", "provider": "wbpay",
        "amount": 1817, "payment_dt": 1637907727, "bank": "alpha", "delivery_cost": 1500,
        "goods_total": 317, "custom_fee": 0
    },
    "items": [{
        "chrt_id": 9934930, "track_number": "WBILMTESTTRACK", "price": 453, "rid": "ab4219087a764ae0btest",
        "name": "Mascaras", "sale": 30, "size": "0", "total_price": 317, "nm_id": 2389212,
        "brand": "Vivienne Sabo", "status": 202
    }],
    "locale": "en", "internal_signature": "", "customer_id": "test", "delivery_service": "meest",
    "shardkey": "9", "sm_id": 99, "date_created": "2021-11-26T06:22:19Z", "oof_shard": "1"
}"#;

#[test]
fn a_marketplace_order_comes_back_with_every_field() {
    let expected = json!({
        "order_id": "b563feb7b2b84b6test",
        "user_id": "test",
        "created_at": "2021-11-26T06:22:19Z",
        "items": [{
            "sku": "2389212",
            "name": "Mascaras",
            "unit_price": "453.00",
            "total_price": "317.00",
            "attributes": {
                "brand": "Vivienne Sabo", "chrt_id": 9_934_930, "rid": "ab4219087a764ae0btest",
                "sale": 30, "size": "0", "status": 202, "track_number": "WBILMTESTTRACK"
            }
        }],
        "delivery": {
            "name": "Test Testov", "phone": "+9720000000", "zip": "2639809", "city": "Kiryat Mozkin",
            "address": "Ploshad Mira 15", "region": "Kraiot", "email": "test@gmail.com"
        },
        "payment": {
            "transaction": "b563feb7b2b84b6test", "request_id": "", "currency": "USD", "provider": "wbpay",
            "amount": "1817.00", "payment_dt": 1_637_907_727, "bank": "alpha", "delivery_cost": "1500.00",
            "goods_total": "317.00", "custom_fee": "0.00"
        },
        "track_number": "WBILMTESTTRACK",
        "attributes": {
            "delivery_service": "meest", "entry": "WBIL", "internal_signature": "", "locale": "en",
            "oof_shard": "1", "shardkey": "9", "sm_id": 99
        }
    });
    let printed: Value = serde_json::from_str(&normalised(MARKETPLACE)).unwrap();
    assert_eq!(printed, expected);

    let order = complete(MARKETPLACE);
    assert_eq!(order.amount.to_string(), "1817.00");
    assert_eq!(order.currency.as_str(), "USD");
    assert_eq!(order.items[0].quantity, 1);
    assert_eq!(order.items[0].total_price.to_string(), "317.00");
}

#[test]
fn what_is_printed_stands_in_the_tables_order() {
    let keys = |text: &str| {
        let mut places: Vec<_> = [
            "order_id",
            "user_id",
            "created_at",
            "items",
            "delivery",
            "payment",
        ]
        .into_iter()
        .map(|key| text.find(&format!("\"{key}\":")).unwrap())
        .collect();
        places.push(text.rfind("\"track_number\":").unwrap());
        places.push(text.rfind("\"attributes\":").unwrap());
        places
    };
    assert!(keys(&normalised(MARKETPLACE)).is_sorted());
}

#[test]
fn the_first_id_in_the_tables_order_becomes_the_sku() {
    let item = |ids: &str| {
        let order = parse(format!(
            r#"{{"user_id":"u","items":[{{{ids},"price":1}}]}}"#
        ))
        .unwrap();
        let item = &order.items[0];
        (
            item.sku.clone().unwrap(),
            item.attributes.as_json().to_owned(),
        )
    };
    let expect = |sku: &str, attributes: &str| (sku.to_owned(), attributes.to_owned());
    assert_eq!(
        item(r#""chrt_id":1,"nm_id":2,"product_id":3"#),
        expect("3", r#"{"chrt_id":1,"nm_id":2}"#)
    );
    assert_eq!(
        item(r#""chrt_id":1,"nm_id":"2""#),
        expect("2", r#"{"chrt_id":1}"#)
    );
    assert_eq!(item(r#""chrt_id":1"#), expect("1", "{}"));
    assert_eq!(
        item(r#""nm_id":1.5,"sku":"","chrt_id":[]"#),
        expect("", r#"{"chrt_id":[],"nm_id":1.5}"#)
    );
    // null is no id, and carries nothing that could be kept.
    assert_eq!(
        item(r#""product_id":null,"nm_id":2,"chrt_id":null"#),
        expect("2", "{}")
    );
    // What attributes hold is nobody's id.
    assert_eq!(
        item(r#""chrt_id":1,"attributes":{"sku":"x"}"#),
        expect("1", r#"{"sku":"x"}"#)
    );
}

#[test]
fn without_a_product_what_would_be_its_fields_are_attributes() {
    assert_eq!(
        normalised(
            r#"{"user_id":"u","amount":1,"unit_price":2,"price":"x","quantity":null,"total_price":[1]}"#
        ),
        r#"{"user_id":"u","amount":"1.00","attributes":{"price":"x","quantity":null,"total_price":[1],"unit_price":2}}"#
    );
    assert_eq!(
        normalised(r#"{"user_id":"u","price":5,"amount":1,"product_id":null,"product_name":null}"#),
        r#"{"user_id":"u","amount":"1.00","attributes":{"price":5}}"#
    );
}

#[test]
fn null_is_absent_in_a_field_of_the_table_and_a_value_elsewhere() {
    assert_eq!(
        normalised(
            r#"{"order_id":null,"user_id":"u","created_at":null,"currency":null,"amount":1,"items":null,"delivery":null,
                "payment":{"amount":null,"bank":null},"track_number":null,"attributes":null,"else":null}"#
        ),
        r#"{"user_id":"u","amount":"1.00","payment":{},"attributes":{"else":null}}"#
    );
}

#[test]
fn identifiers_may_be_integers_and_are_their_digits() {
    let long = "9".repeat(60);
    let sent = format!(
        r#"{{"order_id":{long},"user_id":42,"items":[{{"sku":0,"price":1}}],"track_number":7,"payment":{{"transaction":8,"request_id":9}}}}"#
    );
    assert_eq!(
        normalised(sent),
        format!(
            r#"{{"order_id":"{long}","user_id":"42","items":[{{"sku":"0","unit_price":"1.00"}}],"payment":{{"transaction":"8","request_id":"9"}},"track_number":"7"}}"#
        )
    );
}

#[test]
fn a_number_is_read_from_its_digits() {
    let amount = |sent: &str| {
        parse(format!(r#"{{"user_id":"u","amount":{sent}}}"#))
            .unwrap()
            .amount
            .unwrap()
            .to_string()
    };
    for (sent, kept) in [
        ("0.1", "0.10"),
        ("1.5e3", "1500.00"),
        ("\"8911407.9040\"", "8911407.904"),
        ("999999999999999.9999", "999999999999999.9999"),
        ("-0.0", "0.00"),
        ("123456789012345.6789", "123456789012345.6789"),
    ] {
        assert_eq!(amount(sent), kept);
    }
    let quantity = |sent: &str| {
        let order = parse(format!(
            r#"{{"user_id":"u","items":[{{"sku":"s","price":0,"quantity":{sent}}}]}}"#
        ));
        order.unwrap().items[0].quantity
    };
    for (sent, kept) in [("2", 2), ("2.0", 2), ("2e2", 200), ("2147483647", i32::MAX)] {
        assert_eq!(quantity(sent), Some(kept));
    }
}

#[test]
fn the_amount_of_the_order_goes_before_the_payments_and_that_before_the_sum() {
    let items =
        r#""items":[{"sku":"a","price":1,"quantity":2},{"sku":"b","price":5,"total_price":"4.5"}]"#;
    let amount = |rest: &str| {
        complete(&format!(r#"{{"user_id":"u",{items}{rest}}}"#))
            .amount
            .to_string()
    };
    assert_eq!(amount(""), "6.50");
    assert_eq!(amount(r#","payment":{"bank":"b"}"#), "6.50");
    assert_eq!(amount(r#","payment":{"amount":7}"#), "7.00");
    assert_eq!(amount(r#","payment":{"amount":7},"total":0"#), "0.00");
}

#[test]
fn the_currency_of_the_order_goes_before_the_payments_and_that_before_the_default() {
    let currency = |rest: &str| {
        complete(&format!(r#"{{"user_id":"u","amount":1{rest}}}"#))
            .currency
            .to_string()
    };
    assert_eq!(currency(""), "USD");
    assert_eq!(currency(r#","payment":{"currency":"EUR"}"#), "EUR");
    assert_eq!(
        currency(r#","payment":{"currency":"EUR"},"currency":"GBP""#),
        "GBP"
    );
}

#[test]
fn explicit_attributes_are_merged_and_may_have_the_names_of_fields() {
    let sent = r#"{"user_id":"u","amount":1,"b":2,"attributes":{"c":3,"amount":"x","id":null,"attributes":{"z":1,"y":[{}]}},"a":1}"#;
    let kept = r#"{"user_id":"u","amount":"1.00","attributes":{"a":1,"amount":"x","attributes":{"y":[{}],"z":1},"b":2,"c":3,"id":null}}"#;
    assert_eq!(normalised(sent), kept);
    assert_eq!(normalised(kept), kept);
}

#[test]
fn attributes_are_in_one_form_however_they_are_written() {
    let sent = r#"{"user_id":"u","amount":1,"z":"\u0041\/\u00e9\ud83d\ude00\n","\u0061":[ 1.50 , -0, 1E3, true ],"A":{"b":1e-30,"a":""}}"#;
    assert_eq!(
        normalised(sent),
        r#"{"user_id":"u","amount":"1.00","attributes":{"A":{"a":"","b":1e-30},"a":[1.5,0,1000,true],"z":"A/é😀\n"}}"#
    );
}

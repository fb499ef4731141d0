//! Every bound: what just fits is an order, what is one more is none, and no input does harm.

use super::{invalid, latest, normalised, parse};
use crate::order::{MAX_ATTRIBUTES_BYTES, MAX_DEPTH, MAX_ITEMS, MAX_ORDER_BYTES, Order, Rejection};

fn nested(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

#[test]
fn nesting_counts_the_levels_of_the_normalised_order_and_ends_at_64() {
    // How many levels lie around the value: the order, `attributes`, and the parts between them.
    let shapes = [
        (2, r#"{"user_id":"u","amount":1,"deep":VALUE}"#, "/deep"),
        (
            2,
            r#"{"user_id":"u","amount":1,"attributes":{"deep":VALUE}}"#,
            "/attributes/deep",
        ),
        (
            3,
            r#"{"user_id":"u","amount":1,"delivery":{"deep":VALUE}}"#,
            "/delivery/deep",
        ),
        (
            3,
            r#"{"user_id":"u","amount":1,"payment":{"deep":VALUE}}"#,
            "/payment/deep",
        ),
        (
            4,
            r#"{"user_id":"u","items":[{"sku":"s","price":1,"deep":VALUE}]}"#,
            "/items/0/deep",
        ),
    ];
    for (around, shape, pointer) in shapes {
        let fits = shape.replace("VALUE", &nested(MAX_DEPTH - around));
        let again = normalised(&fits);
        assert_eq!(normalised(&again), again);
        for levels in [MAX_DEPTH - around + 1, 100_000] {
            let too_deep = shape.replace("VALUE", &nested(levels));
            let pointer = format!("{pointer}{}", "/0".repeat(MAX_DEPTH - around));
            let detail = "nests deeper than 64 levels in the normalised order".to_owned();
            assert_eq!(invalid(&too_deep), [(pointer, detail)]);
        }
    }
}

#[test]
fn no_depth_exhausts_the_stack() {
    let half = MAX_ORDER_BYTES / 2;
    for not_json in [
        "[".repeat(MAX_ORDER_BYTES),
        "{\"a\":".repeat(100_000),
        "]".repeat(MAX_ORDER_BYTES),
    ] {
        assert!(matches!(parse(not_json), Err(Rejection::NotJson { .. })));
    }
    let field =
        |name: &str, value: &str| format!("{{\"user_id\":\"u\",\"amount\":1,\"{name}\":{value}}}");
    assert_eq!(invalid(nested(half)).len(), 1);
    for name in [
        "order_id",
        "created_at",
        "currency",
        "items",
        "delivery",
        "payment",
        "track_number",
        "deep",
    ] {
        assert_eq!(invalid(field(name, &nested(200_000))).len(), 1, "{name}");
    }
    let objects = format!("{}1{}", "{\"a\":".repeat(80_000), "}".repeat(80_000));
    assert_eq!(invalid(field("deep", &objects)).len(), 1);
}

#[test]
fn attributes_are_counted_over_the_whole_order_as_they_are_printed() {
    // Three objects, {"a":"…"} each.
    let order = |length: usize| {
        let text = |length: usize| "x".repeat(length);
        format!(
            r#"{{"user_id":"u","items":[{{"sku":"s","price":1,"a":"{}"}}],"delivery":{{"a" : "{}"}},"a":"{}"}}"#,
            text(1_000),
            text(1_000),
            text(length)
        )
    };
    let overhead = 3 * r#"{"a":""}"#.len();
    let most = MAX_ATTRIBUTES_BYTES - 2_000 - overhead;
    let again = normalised(order(most));
    assert_eq!(normalised(&again), again);
    let detail = "has attributes of 16385 bytes, at most 16384 are allowed";
    assert_eq!(
        invalid(order(most + 1)),
        [(String::new(), detail.to_owned())]
    );
}

#[test]
fn five_thousand_items_are_an_order_and_one_more_is_none() {
    let order = |count: usize| {
        let items = vec![r#"{"sku":"s","price":1}"#; count].join(",");
        format!(r#"{{"user_id":"u","items":[{items}]}}"#)
    };
    assert_eq!(parse(order(MAX_ITEMS)).unwrap().items.len(), MAX_ITEMS);
    let detail = "has 5001 items, at most 5000 are allowed";
    assert_eq!(
        invalid(order(MAX_ITEMS + 1)),
        [("/items".to_owned(), detail.to_owned())]
    );
}

#[test]
fn an_order_has_512_kib_at_most_as_sent_and_as_printed() {
    let order = |amount: &str, length: usize| {
        let empty = format!(r#"{{"user_id":"u",{amount},"track_number":""}}"#);
        let text = "x".repeat(length - empty.len());
        format!(r#"{{"user_id":"u",{amount},"track_number":"{text}"}}"#)
    };
    let (as_sent, as_printed) = (r#""total":1"#, r#""amount":"1.00""#);
    let growth = as_printed.len() - as_sent.len();
    let largest = order(as_printed, MAX_ORDER_BYTES);
    assert_eq!(normalised(&largest), largest);
    assert_eq!(
        normalised(order(as_sent, MAX_ORDER_BYTES - growth)),
        largest
    );

    let detail = "has 524289 bytes, at most 524288 are allowed";
    assert_eq!(
        invalid(order(as_printed, MAX_ORDER_BYTES + 1)),
        [(String::new(), detail.to_owned())]
    );
    let detail = "has 524289 bytes in normalised form, at most 524288 are allowed";
    let errors = invalid(order(as_sent, MAX_ORDER_BYTES - growth + 1));
    assert_eq!(errors, [(String::new(), detail.to_owned())]);
}

#[test]
fn a_hundred_errors_are_listed_and_the_others_counted() {
    let items = vec![r#"{"sku":"s","price":-1}"#; 250].join(",");
    let errors = invalid(format!(r#"{{"user_id":"u","items":[{items}]}}"#));
    assert_eq!(errors.len(), 101);
    assert_eq!(errors[99].0, "/items/99/price");
    assert_eq!(
        errors[100],
        (String::new(), "has 150 more errors".to_owned())
    );
}

#[test]
fn errors_under_a_long_key_do_not_repeat_it() {
    let numbers = vec!["1e999999"; 200].join(",");
    let key = "k".repeat(100_000);
    let errors = invalid(format!(
        r#"{{"user_id":"u","amount":1,"around":{{"{key}":[{numbers}]}}}}"#
    ));
    assert!(
        errors
            .iter()
            .all(|(pointer, _)| pointer == "/around" || pointer.is_empty())
    );
    let bytes: usize = errors
        .iter()
        .map(|(pointer, detail)| pointer.len() + detail.len())
        .sum();
    assert!(bytes < 100_000, "{bytes}");
}

#[test]
fn an_order_may_be_created_until_the_latest_instant() {
    let order =
        |created_at: &str| format!(r#"{{"user_id":"u","amount":1,"created_at":"{created_at}"}}"#);
    assert!(parse(order("2026-01-01T01:00:00Z")).is_ok());
    // What is cut off is not looked at.
    assert!(parse(order("2026-01-01T01:00:00.0000009Z")).is_ok());
    assert!(parse(order("2026-01-01T01:00:00.000001Z")).is_err());
    assert!(parse(order("1970-01-01T00:00:00Z")).is_ok());
    assert!(parse(order("1970-01-01T00:00:00+00:01")).is_err());
}

#[test]
fn a_refused_order_is_known_by_its_id_where_that_can_be_read() {
    let refused = |json: &str| Order::parse(json.as_bytes(), latest()).unwrap_err();
    let id = |json: &str| refused(json).order_id().map(ToString::to_string);
    assert_eq!(id(r#"{"event_id":"e-1"}"#).as_deref(), Some("e-1"));
    assert_eq!(id(r#"{"user_id":"","order_id":17}"#).as_deref(), Some("17"));
    assert_eq!(id(r#"{"order_id":"/"}"#), None);
    assert_eq!(id("{}"), None);
    assert_eq!(id(r#"{"order_id":"o""#), None);
}

#[test]
fn numbers_in_attributes_count_as_long_as_they_are_when_written_out() {
    let order = |numbers: &str| format!(r#"{{"user_id":"u","amount":1,"x":[{numbers}]}}"#);
    assert!(Order::parse(order("1e308,1e-308").as_bytes(), latest()).is_ok());
    let long = order("1e131071");
    assert!(Order::parse(long.as_bytes(), latest()).is_err());
    let many = order(&vec!["1e1000"; 17].join(","));
    assert!(Order::parse(many.as_bytes(), latest()).is_err());
}

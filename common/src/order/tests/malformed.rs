//! What is refused, and in which words.

use super::malformed_table::{INVALID, NOT_JSON};
use super::{invalid, parse};
use crate::order::Rejection;

#[test]
fn what_is_not_json_is_refused_with_the_place_where_it_ends() {
    for &(sent, reason) in NOT_JSON {
        match parse(sent) {
            Err(Rejection::NotJson { detail }) => assert_eq!(detail, reason, "{sent}"),
            other => panic!("{sent}: {other:?}"),
        }
    }
}

#[test]
fn what_is_no_order_is_refused_with_all_its_errors() {
    for &(sent, errors) in INVALID {
        let errors: Vec<_> = errors
            .iter()
            .map(|&(pointer, detail)| (pointer.to_owned(), detail.to_owned()))
            .collect();
        assert_eq!(invalid(sent), errors, "{sent}");
    }
}

#[test]
fn what_lies_too_far_in_the_future_is_told_the_latest_instant() {
    let sent = r#"{"user_id":"u","amount":1,"date_created":"2026-01-01T01:00:00.000001Z"}"#;
    let detail =
        "must not be later than 2026-01-01T01:00:00Z (got 2026-01-01T01:00:00.000001Z)".to_owned();
    assert_eq!(invalid(sent), [("/date_created".to_owned(), detail)]);
}

#[test]
fn what_is_not_utf_8_is_not_json() {
    for (sent, reason) in [
        (&b"{\"user_id\":\"\xff\"}"[..], "not UTF-8 at byte 12"),
        (b"\xc0\x80", "not UTF-8 at byte 0"),
        (b"{\"a\":\"\xed\xa0\x80\"}", "not UTF-8 at byte 6"),
        (b"{\"a\":\"\xc3", "not UTF-8 at byte 6"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8 at byte 0"),
    ] {
        let rejection = crate::order::Order::parse(sent, super::latest()).unwrap_err();
        assert_eq!(
            rejection,
            Rejection::NotJson {
                detail: reason.into()
            }
        );
    }
}

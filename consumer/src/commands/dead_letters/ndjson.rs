//! Dead letters as lines of JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;

use common::order::is_order_id_key;
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::Letter;

/// What an operator has to replace by an order: the loader rejects it, because it has neither a user nor an amount. Its
/// shape is that of the loader's own rejects.
#[derive(Serialize)]
struct Broken<'a> {
    dead_letter_no: i64,
    errors: [Error<'a>; 1],
    raw: Option<String>,
    /// Where `raw` is not exact.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_hex: Option<String>,
}

#[derive(Serialize)]
struct Error<'a> {
    pointer: &'a str,
    detail: &'a str,
}

/// A line of an export.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// The record's own object.
    Object(String),
    /// What is no object, wrapped in one.
    ToMend(String),
}

impl Line {
    pub(super) fn of(letter: &Letter) -> Self {
        if let Some(object) = object(letter) {
            return Self::Object(object);
        }
        let text = letter.value.as_deref().map(String::from_utf8_lossy);
        let exact = letter.value.as_deref().map(std::str::from_utf8);
        let broken = Broken {
            dead_letter_no: letter.number,
            errors: [Error {
                pointer: "",
                detail: &letter.detail,
            }],
            raw: text.map(Into::into),
            raw_hex: match exact {
                Some(Err(_)) => letter.value.as_deref().map(hexadecimal),
                Some(Ok(_)) | None => None,
            },
        };
        Self::ToMend(line(&broken))
    }
}

/// One line, without control characters.
pub(super) fn line(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).expect("plain data becomes JSON");
    without_controls(&json)
}

/// The object that the record's value is, on one line; `None` if it is anything else. One without an id gets the id that a
/// replay of the record has: loaded, replayed or both, the order counts once.
fn object(letter: &Letter) -> Option<String> {
    let value = letter.value.as_deref()?;
    let json: &RawValue = serde_json::from_slice(value).ok()?;
    let members = json.get().strip_prefix('{')?;
    let keys: BTreeMap<Cow<'_, str>, IgnoredAny> = serde_json::from_slice(value).ok()?;
    if keys.keys().any(|key| is_order_id_key(key)) {
        return Some(without_controls(json.get()));
    }
    let order_id = letter.first_origin().order_id(value);
    let comma = if keys.is_empty() { "" } else { "," };
    Some(without_controls(&format!(
        r#"{{"order_id":"{order_id}"{comma}{members}"#
    )))
}

/// The same JSON. Below U+0020 only white space between tokens can be left, others stand in strings; terminals act on some
/// of them.
fn without_controls(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '\n' | '\r' | '\t' => line.push(' '),
            character if character.is_control() => {
                line.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            character => line.push(character),
        }
    }
    line
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use common::ids::{Offset, Partition};

    use super::*;
    use crate::dead_letters::Origin;

    fn exported(value: Option<&[u8]>) -> Line {
        Line::of(&Letter::undecodable(value))
    }

    #[test]
    fn an_object_is_exported_as_it_is_on_one_line() {
        let value = "\n{ \"id\":\t1.50,\r\n \"a\": \"x\\n\u{9b}31m\u{7f}é\" } ";
        let expected = "{ \"id\": 1.50,   \"a\": \"x\\n\\u009b31m\\u007fé\" }";
        assert_eq!(
            exported(Some(value.as_bytes())),
            Line::Object(expected.to_owned())
        );
    }

    #[test]
    fn an_object_without_an_id_gets_the_one_that_a_replay_gives_it() {
        let value = br#"{"user_id":"u","amount":1}"#;
        let origin = Origin {
            topic: "orders".into(),
            partition: Partition(0),
            offset: Offset(3),
            timestamp: None,
        };
        let expected = format!(
            r#"{{"order_id":"{}","user_id":"u","amount":1}}"#,
            origin.order_id(value)
        );
        assert_eq!(exported(Some(value)), Line::Object(expected));
        let empty = format!(r#"{{"order_id":"{}"}}"#, origin.order_id(b"{}"));
        assert_eq!(exported(Some(b"{}")), Line::Object(empty));
    }

    #[test]
    fn what_is_no_object_is_wrapped_and_nothing_of_it_is_lost() {
        let wrapped = |raw: &str| {
            Line::ToMend(format!(
                r#"{{"dead_letter_no":7,"errors":[{{"pointer":"","detail":"is no order"}}],{raw}}}"#
            ))
        };
        assert_eq!(exported(None), wrapped(r#""raw":null"#));
        assert_eq!(exported(Some(b"")), wrapped(r#""raw":"""#));
        assert_eq!(exported(Some(b"[1]")), wrapped(r#""raw":"[1]""#));
        assert_eq!(
            exported(Some(b"{\"a\":\x1b")),
            wrapped(r#""raw":"{\"a\":\u001b""#)
        );
        assert_eq!(
            exported(Some(b"{\"a\":\"\xff\"}")),
            wrapped("\"raw\":\"{\\\"a\\\":\\\"\u{fffd}\\\"}\",\"raw_hex\":\"7b2261223a22ff227d\"")
        );
    }
}

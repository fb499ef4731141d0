//! Where the records of a batch lie in its body. However many there are, no more are noted than may be taken.

use std::fmt;

use common::http::HttpError;
use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::content::Format;

const MAX_BATCH_ORDERS: usize = 10_000;

/// The records of a body, in the order in which they were sent.
pub(super) fn records(body: &[u8], format: Format) -> Result<Vec<&[u8]>, HttpError> {
    if body.trim_ascii().is_empty() {
        return Err(empty());
    }
    let begins_like_array = body.trim_ascii_start().starts_with(b"[");
    let records = match format {
        Format::Ndjson => lines(body),
        Format::Unsaid if !begins_like_array => lines(body),
        Format::Json | Format::Unsaid => array(body)?,
    };
    if records.len() > MAX_BATCH_ORDERS {
        let detail = format!("a batch holds at most {MAX_BATCH_ORDERS} orders");
        return Err(HttpError::PayloadTooLarge {
            detail,
            order_id: None,
        });
    }
    Ok(records)
}

pub(super) fn empty() -> HttpError {
    HttpError::BadRequest {
        detail: "the body is empty".into(),
    }
}

fn lines(body: &[u8]) -> Vec<&[u8]> {
    let lines = body
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.trim_ascii().is_empty());
    lines.take(MAX_BATCH_ORDERS + 1).collect()
}

fn array(body: &[u8]) -> Result<Vec<&[u8]>, HttpError> {
    let Elements(elements) =
        serde_json::from_slice(body).map_err(|error| HttpError::BadRequest {
            detail: format!("the body is not a JSON array of orders: {error}"),
        })?;
    Ok(elements)
}

/// An array's elements as they were sent; the first that are too many stand for all of them.
struct Elements<'a>(Vec<&'a [u8]>);

impl<'de> Deserialize<'de> for Elements<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ElementsVisitor)
    }
}

struct ElementsVisitor;

impl<'de> Visitor<'de> for ElementsVisitor {
    type Value = Elements<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Elements<'de>, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = array.next_element::<&RawValue>()? {
            elements.push(element.get().as_bytes());
            if elements.len() > MAX_BATCH_ORDERS {
                // Read on only to learn whether it is an array.
                while array.next_element::<IgnoredAny>()?.is_some() {}
            }
        }
        Ok(Elements(elements))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_split_into_its_elements_as_they_were_sent() {
        let split = records(br#" [{"a": 1}, 2 ,"x"] "#, Format::Json).unwrap();
        assert_eq!(split, [&br#"{"a": 1}"#[..], b"2", b"\"x\""]);
        assert_eq!(records(b"[]", Format::Json).unwrap().len(), 0);
    }

    #[test]
    fn lines_are_split_and_blank_ones_left_out() {
        let split = records(b"{}\r\n\n \n[1]", Format::Ndjson).unwrap();
        assert_eq!(split, [&b"{}\r"[..], b"[1]"]);
        assert_eq!(records(b"{}\n{}", Format::Unsaid).unwrap().len(), 2);
        assert_eq!(records(b"[{},{}]", Format::Unsaid).unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_array_or_empty_is_refused_whole() {
        for body in [
            &b""[..],
            b" \n",
            b"[{}",
            b"{}",
            b"[\xff]",
            b"[1] 2",
            b"[1,]",
        ] {
            let refused = records(body, Format::Json);
            assert!(
                matches!(refused, Err(HttpError::BadRequest { .. })),
                "{body:?}"
            );
        }
    }

    #[test]
    fn as_many_as_are_allowed_are_taken_and_one_more_is_too_many() {
        for (count, too_many) in [
            (MAX_BATCH_ORDERS, false),
            (MAX_BATCH_ORDERS + 1, true),
            (1_000_000, true),
        ] {
            let lines = "1\n".repeat(count);
            let array = format!("[{}1]", "1,".repeat(count - 1));
            for (body, format) in [(lines, Format::Ndjson), (array, Format::Json)] {
                let refused = matches!(
                    records(body.as_bytes(), format),
                    Err(HttpError::PayloadTooLarge { .. })
                );
                assert_eq!(refused, too_many);
            }
        }
    }
}

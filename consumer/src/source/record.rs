//! One record of the topic, as the rest of the consumer sees it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use common::ids::{Offset, Partition};
use common::time::Timestamp;
use rdkafka::message::{BorrowedMessage, Headers, Message, OwnedMessage};
use sha2::{Digest, Sha256};

use crate::position::{Fingerprint, LastRecord};

/// A record, borrowed from librdkafka's buffer (owned in tests).
#[derive(Debug)]
pub struct Record<'q>(Inner<'q>);

#[derive(Debug)]
enum Inner<'q> {
    Borrowed(BorrowedMessage<'q>),
    Owned(OwnedMessage),
}

impl<'q> From<BorrowedMessage<'q>> for Record<'q> {
    fn from(message: BorrowedMessage<'q>) -> Self {
        Self(Inner::Borrowed(message))
    }
}

impl From<OwnedMessage> for Record<'_> {
    fn from(message: OwnedMessage) -> Self {
        Self(Inner::Owned(message))
    }
}

/// A header's name and its value; a value may be null.
pub type Header = (Vec<u8>, Option<Vec<u8>>);

/// What librdkafka keeps for a record beside its bytes, roughly; it keeps tiny records from making huge batches.
const RECORD_OVERHEAD_BYTES: usize = 128;
/// What headers that cannot be read count as: as many bytes as brokers take by default in one record.
const MAX_UNREADABLE_BYTES: usize = 1024 * 1024;

impl Record<'_> {
    #[must_use]
    pub fn partition(&self) -> Partition {
        Partition(match &self.0 {
            Inner::Borrowed(message) => message.partition(),
            Inner::Owned(message) => message.partition(),
        })
    }

    #[must_use]
    pub fn offset(&self) -> Offset {
        Offset(match &self.0 {
            Inner::Borrowed(message) => message.offset(),
            Inner::Owned(message) => message.offset(),
        })
    }

    /// `None` where the record carries none, or one that no instant can hold.
    #[must_use]
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.timestamp_millis().and_then(Timestamp::from_millis)
    }

    fn timestamp_millis(&self) -> Option<i64> {
        match &self.0 {
            Inner::Borrowed(message) => message.timestamp(),
            Inner::Owned(message) => message.timestamp(),
        }
        .to_millis()
    }

    #[must_use]
    pub fn key(&self) -> Option<&[u8]> {
        match &self.0 {
            Inner::Borrowed(message) => message.key(),
            Inner::Owned(message) => message.key(),
        }
    }

    #[must_use]
    pub fn value(&self) -> Option<&[u8]> {
        match &self.0 {
            Inner::Borrowed(message) => message.payload(),
            Inner::Owned(message) => message.payload(),
        }
    }

    /// The bytes this record is counted as, in batches: headers too, they can be the largest part.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let length = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len);
        let mut headers = 0;
        let counted = self.for_each_header(|name, value| headers += name.len() + length(value));
        // They are there, and may be long.
        let unreadable = if counted { 0 } else { MAX_UNREADABLE_BYTES };
        length(self.key()) + length(self.value()) + headers + unreadable + RECORD_OVERHEAD_BYTES
    }

    /// The first header of that name, if it has a value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Vec<u8>> {
        let mut found = None;
        let read = self.for_each_header(|header, value| {
            if found.is_none() && header == name {
                found = Some(value.map(<[u8]>::to_vec));
            }
        });
        if read { found.flatten() } else { None }
    }

    /// All headers in order; `None` where a name is not UTF-8.
    #[must_use]
    pub fn headers(&self) -> Option<Vec<Header>> {
        let mut headers = Vec::new();
        let read = self.for_each_header(|name, value| {
            headers.push((name.as_bytes().to_vec(), value.map(<[u8]>::to_vec)));
        });
        read.then_some(headers)
    }

    /// False if they cannot be read: the client library panics at a header name that is not UTF-8. A record that any program
    /// may write must not be able to stop the consumer, so that panic ends here.
    fn for_each_header(&self, mut read: impl FnMut(&str, Option<&[u8]>)) -> bool {
        fn each(headers: Option<&impl Headers>, read: &mut impl FnMut(&str, Option<&[u8]>)) {
            let Some(headers) = headers else { return };
            for header in headers.iter() {
                read(header.key, header.value);
            }
        }
        let read = || match &self.0 {
            Inner::Borrowed(message) => each(message.headers(), &mut read),
            Inner::Owned(message) => each(message.headers(), &mut read),
        };
        catch_unwind(AssertUnwindSafe(read)).is_ok()
    }

    #[must_use]
    pub fn fingerprint(&self) -> LastRecord {
        fingerprint(
            self.offset(),
            self.timestamp_millis(),
            self.key(),
            self.value(),
        )
    }
}

/// Lengths go before the bytes, so that no two records can share a digest by moving a byte from key to value.
fn fingerprint(
    offset: Offset,
    timestamp_millis: Option<i64>,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> LastRecord {
    let mut digest = Sha256::new();
    digest.update(timestamp_millis.unwrap_or(-1).to_be_bytes());
    for part in [key, value] {
        let length = part.map_or(u64::MAX, |bytes| bytes.len() as u64);
        digest.update(length.to_be_bytes());
        digest.update(part.unwrap_or_default());
    }
    let digest = digest.finalize();
    let mut first = [0; 16];
    first.copy_from_slice(&digest[..16]);
    LastRecord {
        offset,
        fingerprint: Fingerprint(first),
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::message::{Header as KafkaHeader, OwnedHeaders};

    use super::*;

    fn record(
        key: Option<&str>,
        value: Option<&str>,
        headers: Option<OwnedHeaders>,
    ) -> Record<'static> {
        OwnedMessage::new(
            value.map(|text| text.as_bytes().to_vec()),
            key.map(|text| text.as_bytes().to_vec()),
            "orders".to_owned(),
            rdkafka::Timestamp::CreateTime(1_000),
            0,
            7,
            headers,
        )
        .into()
    }

    #[test]
    fn a_fingerprint_tells_records_apart() {
        let base = record(Some("a"), Some("b"), None).fingerprint();
        assert_eq!(base, record(Some("a"), Some("b"), None).fingerprint());
        for other in [
            (Some("ab"), Some("")),
            (Some("a"), None),
            (None, Some("b")),
            (Some("a"), Some("c")),
        ] {
            assert_ne!(base, record(other.0, other.1, None).fingerprint());
        }
    }

    #[test]
    fn headers_keep_their_order_their_repeats_and_their_nulls() {
        let headers = OwnedHeaders::new()
            .insert(KafkaHeader {
                key: "a",
                value: Some("1"),
            })
            .insert(KafkaHeader {
                key: "b",
                value: None::<&str>,
            })
            .insert(KafkaHeader {
                key: "a",
                value: Some("2"),
            });
        let record = record(None, None, Some(headers));
        let expected: Vec<Header> = vec![
            (b"a".to_vec(), Some(b"1".to_vec())),
            (b"b".to_vec(), None),
            (b"a".to_vec(), Some(b"2".to_vec())),
        ];
        assert_eq!(record.headers(), Some(expected));
        assert_eq!(record.header("a"), Some(b"1".to_vec()));
        assert_eq!(record.header("b"), None);
        assert_eq!(record.header("c"), None);
    }
}

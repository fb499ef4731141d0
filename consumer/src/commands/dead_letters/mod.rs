//! `consumer dead-letters`: records that could not become orders, for an operator to look at, mend, send again or give up.
//!
//! Nothing is ever deleted but by `discard`, which is recorded. `replay` marks what it published and keeps it; `export`
//! changes nothing.

use std::process::ExitCode;

use common::ids::{Offset, Partition};
use common::time::Timestamp;
use tokio_postgres::{Error, Row};

use super::pool;
use crate::config::DeadLettersCommand;
use crate::dead_letters::Origin;
use crate::feed::Source;

mod discard;
mod export;
mod list;
mod ndjson;
mod replay;
mod selection;
mod show;

/// Does what was asked.
///
/// # Errors
/// The database or Kafka cannot be reached, a file cannot be written, or what was asked cannot be done.
pub async fn run(command: DeadLettersCommand) -> anyhow::Result<ExitCode> {
    match command {
        DeadLettersCommand::List(list) => list::run(&pool(&list.database)?, &list).await,
        DeadLettersCommand::Show(show) => show::run(&pool(&show.database)?, show.number).await,
        DeadLettersCommand::Export(export) => export::run(&pool(&export.database)?, &export).await,
        DeadLettersCommand::Replay(replay) => replay::run(&pool(&replay.database)?, &replay).await,
        DeadLettersCommand::Discard(discard) => {
            discard::run(&pool(&discard.database)?, &discard).await
        }
    }
}

/// A dead letter as it is stored.
struct Letter {
    number: i64,
    source: Source,
    offset: Offset,
    record_timestamp: Option<Timestamp>,
    reason: String,
    detail: String,
    order_id: Option<String>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    /// Name, value, name, value, …
    headers: Vec<Option<Vec<u8>>>,
    recorded_at: Timestamp,
    replayed_at: Option<Timestamp>,
}

impl Letter {
    const COLUMNS: &str = r#"dead_letter_no, group_id, topic, partition, "offset", record_timestamp, reason, detail,
                             order_id, key, value, headers, recorded_at, replayed_at"#;

    fn of(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            number: row.try_get(0)?,
            source: Source {
                group_id: row.try_get(1)?,
                topic: row.try_get(2)?,
                partition: Partition(row.try_get(3)?),
            },
            offset: Offset(row.try_get(4)?),
            record_timestamp: row.try_get(5)?,
            reason: row.try_get(6)?,
            detail: row.try_get(7)?,
            order_id: row.try_get(8)?,
            key: row.try_get(9)?,
            value: row.try_get(10)?,
            headers: row.try_get(11)?,
            recorded_at: row.try_get(12)?,
            replayed_at: row.try_get(13)?,
        })
    }

    /// Names with values; a name is never null, a value may be.
    fn headers(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.headers.chunks(2).map(|header| {
            let part = |at: usize| header.get(at).and_then(Option::as_deref);
            (part(0).unwrap_or_default(), part(1))
        })
    }

    /// Key, value and headers.
    fn size_bytes(&self) -> usize {
        let parts = [&self.key, &self.value].into_iter().chain(&self.headers);
        parts.flatten().map(Vec::len).sum()
    }

    fn origin(&self) -> Origin {
        Origin {
            topic: self.source.topic.clone(),
            partition: self.source.partition,
            offset: self.offset,
            timestamp: self.record_timestamp,
        }
    }

    /// Where it was first read: elsewhere, if it had been replayed before.
    fn first_origin(&self) -> Origin {
        let here = self.origin();
        here.before(self.headers()).unwrap_or(here)
    }
}

#[cfg(test)]
impl Letter {
    /// One without key and headers.
    fn undecodable(value: Option<&[u8]>) -> Self {
        Self {
            number: 7,
            source: Source {
                group_id: "tally".into(),
                topic: "orders".into(),
                partition: Partition(0),
            },
            offset: Offset(3),
            record_timestamp: None,
            reason: "undecodable".into(),
            detail: "is no order".into(),
            order_id: None,
            key: None,
            value: value.map(<[u8]>::to_vec),
            headers: Vec::new(),
            recorded_at: Timestamp::EPOCH,
            replayed_at: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_as_large_as_its_key_its_value_and_its_headers() {
        let letter = Letter {
            key: Some(vec![0; 1]),
            headers: vec![
                Some(vec![0; 300]),
                Some(vec![0; 4_000]),
                Some(vec![0; 50_000]),
                None,
            ],
            ..Letter::undecodable(Some(&[0; 20]))
        };
        assert_eq!(letter.size_bytes(), 54_321);
    }
}

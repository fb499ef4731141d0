//! `consumer dead-letters replay`: the original bytes, published again.
//!
//! A dead letter is marked when the broker has reported that the record is stored, and not before. What is published and not
//! marked, because the process ended in between or the report never came, is published once more by the next replay. That
//! loses nothing and counts nothing twice: the record says where it was first read ([`Letter::first_origin`]), so that an
//! order without an id of its own gets the same id each time, and the second is a duplicate.

use std::mem;
use std::pin::pin;
use std::process::ExitCode;

use anyhow::ensure;
use common::ids::{Offset, Partition};
use deadpool_postgres::{Client, Pool};
use futures_util::TryStreamExt;
use tokio_postgres::Error;

use super::super::visible::visible;
use super::Letter;
use super::selection::Criteria;
use crate::config::ReplayArgs;
use crate::dead_letters::REPLAYED_FROM_HEADER;
use crate::source::{Delivery, Outgoing, PublishError, Publisher};

/// Records under way at once, and bytes of them, keys and headers too (more by one record): what this process holds in memory.
const MAX_RECORDS: usize = 500;
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Failures that are told; the others are counted.
const FAILURES_SHOWN: usize = 10;

#[derive(Default)]
struct Outcome {
    replayed: usize,
    failed: usize,
}

pub(super) async fn run(pool: &Pool, replay: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let criteria = Criteria::explicit(&replay.selection, replay.all)?.not_replayed_by_default();
    let publisher = Publisher::new(&replay.brokers)?;
    // One reads while the other marks.
    let (reader, marker) = (pool.get().await?, pool.get().await?);
    let sql = format!(
        r#"SELECT {} FROM dead_letters WHERE {} ORDER BY topic, partition, "offset", dead_letter_no"#,
        Letter::COLUMNS,
        Criteria::MATCH
    );
    ensure_topics(&publisher, &reader, &criteria).await?;
    let mut rows = pin!(reader.query_raw(&sql, criteria.parameters()).await?);
    let mut outcome = Outcome::default();
    let (mut window, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.try_next().await? {
        let letter = Letter::of(&row)?;
        bytes += letter.size_bytes();
        window.push(letter);
        if window.len() >= MAX_RECORDS || bytes >= MAX_BYTES {
            let before = outcome.replayed;
            publish(&publisher, &marker, &mem::take(&mut window), &mut outcome).await?;
            bytes = 0;
            // Each further one would wait as long as a delivery may take.
            ensure!(
                outcome.replayed > before,
                "kafka took none of the last records; {} were replayed before",
                outcome.replayed
            );
        }
    }
    publish(&publisher, &marker, &window, &mut outcome).await?;
    conclude(&criteria, &outcome)
}

/// Before anything is published: a topic that has gone is for an operator to make again, not for a broker that makes
/// whatever it is asked for, with partitions of its own choice.
async fn ensure_topics(
    publisher: &Publisher,
    reader: &Client,
    criteria: &Criteria,
) -> anyhow::Result<()> {
    let sql = format!(
        "SELECT DISTINCT topic FROM dead_letters WHERE {} ORDER BY topic",
        Criteria::MATCH
    );
    for row in reader.query(&sql, &criteria.parameters()).await? {
        let topic: &str = row.try_get(0)?;
        ensure!(
            publisher.knows(topic).await?,
            "there is no topic {} (any more), and nothing was replayed: make it again, or choose others with --topic",
            visible(topic)
        );
    }
    Ok(())
}

fn conclude(criteria: &Criteria, outcome: &Outcome) -> anyhow::Result<ExitCode> {
    let Outcome { replayed, failed } = outcome;
    println!("replayed {replayed} dead letters; list --replayed shows them");
    ensure!(
        *failed == 0,
        "{failed} are not known to be in the topic and were not marked: replay them again"
    );
    if let Some(left_out) = criteria.left_out(*replayed) {
        println!("{left_out}; --replayed takes what was replayed before");
    }
    Ok(ExitCode::SUCCESS)
}

/// Publishes some together, waits for all reports, and marks those that were delivered.
async fn publish(
    publisher: &Publisher,
    marker: &Client,
    letters: &[Letter],
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let sent: Vec<_> = letters
        .iter()
        .map(|letter| (letter, send(publisher, letter)))
        .collect();
    let mut delivered = Vec::with_capacity(sent.len());
    for (letter, delivery) in sent {
        match report(delivery).await {
            Ok(_) => delivered.push(letter.number),
            Err(error) => {
                outcome.failed += 1;
                if outcome.failed <= FAILURES_SHOWN {
                    let position = visible(&letter.origin().position());
                    eprintln!("dead letter {} of {position}: {error}", letter.number);
                }
            }
        }
    }
    mark(marker, &delivered).await?;
    outcome.replayed += delivered.len();
    Ok(())
}

fn send(publisher: &Publisher, letter: &Letter) -> Result<Delivery, PublishError> {
    let here = letter.origin();
    let origin = here.to_string();
    let mut headers: Vec<_> = letter.headers().collect();
    // A replay of a replay keeps telling of the first reading: that is what the order's identity hangs on. Before all others,
    // because the first of a name is what is read.
    if here.before(letter.headers()).is_none() {
        let name = REPLAYED_FROM_HEADER.as_bytes();
        headers.insert(0, (name, Some(origin.as_bytes())));
    }
    publisher.send(&Outgoing {
        topic: &letter.source.topic,
        partition: letter.source.partition,
        key: letter.key.as_deref(),
        value: letter.value.as_deref(),
        headers,
    })
}

async fn report(
    delivery: Result<Delivery, PublishError>,
) -> Result<(Partition, Offset), PublishError> {
    delivery?.report().await
}

async fn mark(client: &Client, numbers: &[i64]) -> Result<(), Error> {
    const SQL: &str = "UPDATE dead_letters SET replayed_at = now() WHERE dead_letter_no = ANY($1)";
    if !numbers.is_empty() {
        client.execute(SQL, &[&numbers]).await?;
    }
    Ok(())
}

//! `consumer dead-letters list`: a line for each.

use std::io::{self, Write};
use std::process::ExitCode;

use common::time::Timestamp;
use deadpool_postgres::{Client, Pool};
use serde::Serialize;
use tokio_postgres::{Error, Row};

use super::super::visible::{cut, dash, visible};
use super::ndjson;
use super::selection::Criteria;
use crate::config::ListArgs;

/// How much of the explanation is shown: a line of the table still fits a wide terminal.
const DETAIL_CHARACTERS: usize = 80;
/// Up to seconds: `2026-01-31T12:00:00`.
const TIME_CHARACTERS: usize = 19;

#[derive(Serialize)]
struct Line {
    dead_letter_no: i64,
    recorded_at: Timestamp,
    reason: String,
    group_id: String,
    topic: String,
    partition: i32,
    offset: i64,
    record_timestamp: Option<Timestamp>,
    order_id: Option<String>,
    replayed_at: Option<Timestamp>,
    value_bytes: Option<i32>,
    detail: String,
}

pub(super) async fn run(pool: &Pool, list: &ListArgs) -> anyhow::Result<ExitCode> {
    let criteria = Criteria::new(&list.selection.numbers, &list.selection.filter);
    let client = pool.get().await?;
    let lines = lines(&client, &criteria, list.limit).await?;
    let total = if lines.len() < usize::try_from(list.limit)? {
        lines.len()
    } else {
        count(&client, &criteria).await?
    };
    let mut out = io::stdout().lock();
    if list.json {
        for line in &lines {
            writeln!(out, "{}", ndjson::line(line))?;
        }
    } else if lines.is_empty() {
        writeln!(out, "no dead letters")?;
    } else {
        print_table(&mut out, &lines)?;
    }
    // Apart from the lines, for whoever reads those.
    match total.saturating_sub(lines.len()) {
        0 => {}
        more => eprintln!("and {more} more; --limit shows more at once, a filter fewer"),
    }
    Ok(ExitCode::SUCCESS)
}

/// The newest first.
async fn lines(client: &Client, criteria: &Criteria, limit: u32) -> Result<Vec<Line>, Error> {
    let sql = format!(
        r#"SELECT dead_letter_no, recorded_at, reason, group_id, topic, partition, "offset", record_timestamp,
                  order_id, replayed_at, octet_length(value), detail
             FROM dead_letters WHERE {} ORDER BY dead_letter_no DESC LIMIT $10"#,
        Criteria::MATCH
    );
    let limit = i64::from(limit);
    let mut parameters = criteria.parameters();
    parameters.push(&limit);
    let line = |row: &Row| {
        Ok(Line {
            dead_letter_no: row.try_get(0)?,
            recorded_at: row.try_get(1)?,
            reason: row.try_get(2)?,
            group_id: row.try_get(3)?,
            topic: row.try_get(4)?,
            partition: row.try_get(5)?,
            offset: row.try_get(6)?,
            record_timestamp: row.try_get(7)?,
            order_id: row.try_get(8)?,
            replayed_at: row.try_get(9)?,
            value_bytes: row.try_get(10)?,
            detail: row.try_get(11)?,
        })
    };
    client
        .query(&sql, &parameters)
        .await?
        .iter()
        .map(line)
        .collect()
}

async fn count(client: &Client, criteria: &Criteria) -> anyhow::Result<usize> {
    let sql = format!(
        "SELECT count(*) FROM dead_letters WHERE {}",
        Criteria::MATCH
    );
    let row = client.query_one(&sql, &criteria.parameters()).await?;
    Ok(usize::try_from(row.try_get::<_, i64>(0)?)?)
}

fn print_table(out: &mut impl Write, lines: &[Line]) -> io::Result<()> {
    let header = [
        "no",
        "recorded_at",
        "reason",
        "record",
        "order_id",
        "replayed_at",
        "detail",
    ];
    let mut table = vec![header.map(str::to_owned)];
    table.extend(lines.iter().map(|line| {
        let seconds = |time: Timestamp| time.to_string()[..TIME_CHARACTERS].to_owned();
        [
            line.dead_letter_no.to_string(),
            seconds(line.recorded_at),
            visible(&line.reason),
            visible(&format!(
                "{}/{}/{}",
                line.topic, line.partition, line.offset
            )),
            dash(line.order_id.as_deref().map(visible)),
            dash(line.replayed_at.map(seconds)),
            cut(&visible(&line.detail), DETAIL_CHARACTERS),
        ]
    }));
    let width = |column: usize| {
        let widths = table.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or(0)
    };
    let widths: [usize; 7] = std::array::from_fn(width);
    for row in &table {
        let [
            no,
            recorded_at,
            reason,
            record,
            order_id,
            replayed_at,
            detail,
        ] = row;
        writeln!(
            out,
            "{no:>0$}  {recorded_at:<1$}  {reason:<2$}  {record:<3$}  {order_id:<4$}  {replayed_at:<5$}  {detail}",
            widths[0], widths[1], widths[2], widths[3], widths[4], widths[5]
        )?;
    }
    Ok(())
}

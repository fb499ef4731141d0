//! `consumer dead-letters show`: one dead letter whole, as far as a terminal can show it.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use common::money::Amount;
use common::time::Timestamp;
use deadpool_postgres::{Client, Pool};

use super::super::visible::{dash, visible, visible_bytes};
use super::Letter;
use crate::dead_letters::Reason;

pub(super) async fn run(pool: &Pool, number: i64) -> anyhow::Result<ExitCode> {
    let client = pool.get().await?;
    let sql = format!(
        "SELECT {} FROM dead_letters WHERE dead_letter_no = $1",
        Letter::COLUMNS
    );
    let row = client.query_opt(&sql, &[&number]).await?;
    let row = row.with_context(|| format!("there is no dead letter {number}"))?;
    let letter = Letter::of(&row)?;
    let taken_by = match letter.order_id.as_deref() {
        Some(order_id) if letter.reason == Reason::Conflict.as_str() => {
            stored_order(&client, order_id).await?
        }
        Some(_) | None => None,
    };
    print(&mut io::stdout().lock(), &letter, taken_by.as_deref())?;
    Ok(ExitCode::SUCCESS)
}

fn print(out: &mut impl Write, letter: &Letter, taken_by: Option<&str>) -> io::Result<()> {
    let mut field = |name: &str, value: &str| writeln!(out, "{name:<16} {value}");
    field("dead letter", &letter.number.to_string())?;
    field("reason", &visible(&letter.reason))?;
    field("detail", &visible(&letter.detail))?;
    if let Some(order) = taken_by {
        field("id taken by", order)?;
    }
    field("record", &visible(&letter.origin().position()))?;
    field("record timestamp", &dash(letter.record_timestamp))?;
    field("group", &visible(&letter.source.group_id))?;
    field("recorded at", &letter.recorded_at.to_string())?;
    field("replayed at", &dash(letter.replayed_at))?;
    field("order id", &dash(letter.order_id.as_deref().map(visible)))?;
    field("key", &dash(letter.key.as_deref().map(visible_bytes)))?;
    for (name, value) in letter.headers() {
        let value = value.map_or_else(|| "(null)".to_owned(), visible_bytes);
        field("header", &format!("{}: {value}", visible_bytes(name)))?;
    }
    match &letter.value {
        None => field("value", "(null)"),
        Some(value) => {
            field("value", &format!("{} bytes", value.len()))?;
            // Its own line ends may stay, behind an indent that nothing in it can remove.
            value
                .split(|byte| *byte == b'\n')
                .try_for_each(|line| writeln!(out, "    {}", visible_bytes(line)))
        }
    }
}

/// What the consumer knows of the order whose id it is.
async fn stored_order(client: &Client, order_id: &str) -> anyhow::Result<Option<String>> {
    const SQL: &str = "
        SELECT user_id, currency, amount, created_at,
               (SELECT count(*) FROM order_items i WHERE i.order_no = o.order_no), received_at, NULL
          FROM orders o WHERE order_id = $1
        UNION ALL
        SELECT user_id, currency, amount, created_at, item_count, NULL, purged_at
          FROM purged_orders WHERE order_id = $1";
    let Some(row) = client.query_opt(SQL, &[&order_id]).await? else {
        return Ok(None);
    };
    let (user_id, currency): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let (amount, created_at): (Amount, Timestamp) = (row.try_get(2)?, row.try_get(3)?);
    let items: i64 = row.try_get(4)?;
    let (received_at, purged_at): (Option<Timestamp>, Option<Timestamp>) =
        (row.try_get(5)?, row.try_get(6)?);
    let mut order = format!(
        "an order of user {}: {amount} {}, {items} items, created at {created_at}",
        visible(&user_id),
        visible(&currency)
    );
    if let Some(received_at) = received_at {
        order += &format!(", received at {received_at}");
    }
    if let Some(purged_at) = purged_at {
        order += &format!(", purged at {purged_at}");
    }
    Ok(Some(order))
}

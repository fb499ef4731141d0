//! What must hold after every fault. Each check reads the tables and the topic by itself, with SQL and sums of its own, and
//! says what is wrong; an empty list is the proof that a test wants.
//!
//! The invariants and their numbers are those of `ARCHITECTURE.md`.

use std::collections::BTreeSet;

use anyhow::Context;
use tokio_postgres::Client;

use crate::orders::TestOrder;
use crate::{TestDatabase, TestTopic};

mod contents;
mod records;
mod stored;
mod tables;

/// Where the orders went: one consumer group's work on one topic into one database.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    pub database: &'a TestDatabase,
    pub topic: &'a TestTopic,
    pub group: &'a str,
}

/// What a test knows must have come of what it sent.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// Answered 202, or loaded and acknowledged: each is stored once.
    pub acknowledged: Vec<TestOrder>,
    /// Answered 503, or not at all: each is stored once or not at all.
    pub unknown: Vec<TestOrder>,
    /// Ids of orders that are stored and about which the test knows no more.
    pub others: BTreeSet<String>,
    /// Records that are dead letters, and no others are.
    pub dead_letters: BTreeSet<DeadLetter>,
}

/// A dead letter by its record's position.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeadLetter {
    pub partition: i32,
    pub offset: i64,
    pub reason: String,
}

impl Expected {
    #[must_use]
    pub fn acknowledged(orders: impl IntoIterator<Item = TestOrder>) -> Self {
        Self {
            acknowledged: orders.into_iter().collect(),
            ..Self::default()
        }
    }

    #[must_use]
    pub fn dead_letter(mut self, (partition, offset): (i32, i64), reason: &str) -> Self {
        self.dead_letters.insert(DeadLetter {
            partition,
            offset,
            reason: reason.to_owned(),
        });
        self
    }
}

impl Scene<'_> {
    /// What the tables and the topic say of themselves, whatever was sent: sums equal their recomputation, positions never
    /// went back, every record is accounted for, nothing is left over.
    ///
    /// # Errors
    /// A server could not be asked.
    pub async fn contradictions(&self) -> anyhow::Result<Vec<String>> {
        let client = self.database.client().await;
        let mut violations = tables::contradictions(&client)
            .await
            .context("the tables")?;
        violations.extend(
            records::contradictions(self, &client)
                .await
                .context("the records")?,
        );
        Ok(violations)
    }

    /// What differs from what the test expects, besides the contradictions.
    ///
    /// # Errors
    /// A server could not be asked.
    pub async fn violations(&self, expected: &Expected) -> anyhow::Result<Vec<String>> {
        let mut violations = self.contradictions().await?;
        let client = self.database.client().await;
        violations.extend(
            stored::violations(&client, expected)
                .await
                .context("the orders")?,
        );
        Ok(violations)
    }

    /// # Errors
    /// A server could not be asked.
    ///
    /// # Panics
    /// There is a violation; all are named.
    pub async fn assert_clean(&self, expected: &Expected) -> anyhow::Result<()> {
        let violations = self.violations(expected).await?;
        assert!(
            violations.is_empty(),
            "{} violations:\n{}",
            violations.len(),
            first(&violations)
        );
        Ok(())
    }

    /// # Errors
    /// A server could not be asked.
    ///
    /// # Panics
    /// There is a contradiction; all are named.
    pub async fn assert_consistent(&self) -> anyhow::Result<()> {
        let violations = self.contradictions().await?;
        assert!(
            violations.is_empty(),
            "{} contradictions:\n{}",
            violations.len(),
            first(&violations)
        );
        Ok(())
    }
}

/// Enough to see what is wrong.
fn first(violations: &[String]) -> String {
    const SHOWN: usize = 30;
    violations[..violations.len().min(SHOWN)].join("\n")
}

/// Every value of a statement's only column, which is text.
async fn texts(client: &Client, statement: &str) -> anyhow::Result<Vec<String>> {
    let rows = client
        .query(statement, &[])
        .await
        .with_context(|| statement.to_owned())?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

//! Which dead letters a command is about.

use std::fmt::Write;

use anyhow::ensure;
use common::time::Timestamp;
use postgres_types::ToSql;

use super::super::visible::visible;
use crate::config::{Filter, Selection};

/// What a `WHERE` of [`Criteria::MATCH`] is given: the first parameters of every statement with it.
pub(super) type Parameters<'a> = Vec<&'a (dyn ToSql + Sync)>;

/// Each that is given has to be met.
#[derive(Debug, Clone, Default)]
pub(super) struct Criteria {
    numbers: Option<Vec<i64>>,
    reason: Option<&'static str>,
    topic: Option<String>,
    partition: Option<i32>,
    group_id: Option<String>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    order_id: Option<String>,
    replayed: Option<bool>,
}

impl Criteria {
    pub(super) const MATCH: &str = "
            ($1::bigint[] IS NULL OR dead_letter_no = ANY($1)) AND ($2::text IS NULL OR reason = $2)
        AND ($3::text IS NULL OR topic = $3) AND ($4::integer IS NULL OR partition = $4)
        AND ($5::text IS NULL OR group_id = $5)
        AND ($6::timestamptz IS NULL OR recorded_at >= $6) AND ($7::timestamptz IS NULL OR recorded_at < $7)
        AND ($8::text IS NULL OR order_id = $8) AND ($9::boolean IS NULL OR (replayed_at IS NOT NULL) = $9)";

    pub(super) fn new(numbers: &[i64], filter: &Filter) -> Self {
        Self {
            numbers: (!numbers.is_empty()).then(|| numbers.to_vec()),
            reason: filter.reason.map(|reason| reason.as_str()),
            topic: filter.topic.clone(),
            partition: filter.partition,
            group_id: filter.group.clone(),
            from: filter.from,
            to: filter.to,
            order_id: filter.order_id.clone(),
            replayed: match (filter.replayed, filter.not_replayed) {
                (false, false) => None,
                (replayed, _) => Some(replayed),
            },
        }
    }

    /// For what cannot be undone: everything only where that was said.
    pub(super) fn explicit(selection: &Selection, all: bool) -> anyhow::Result<Self> {
        let Selection { numbers, filter } = selection;
        let narrowed = !numbers.is_empty() || *filter != Filter::default();
        ensure!(
            narrowed || all,
            "which ones? give numbers or a filter, or --all"
        );
        ensure!(
            !(narrowed && all),
            "--all takes neither numbers nor a filter"
        );
        Ok(Self::new(numbers, filter))
    }

    /// Unless those that were replayed are asked for, the others are meant.
    pub(super) fn not_replayed_by_default(mut self) -> Self {
        self.replayed.get_or_insert(false);
        self
    }

    /// What to say where `done` are fewer than the numbers that were asked for.
    pub(super) fn left_out(&self, done: usize) -> Option<String> {
        let mut numbers = self.numbers.clone()?;
        numbers.sort_unstable();
        numbers.dedup();
        let left_out = numbers.len().checked_sub(done).filter(|&count| count > 0)?;
        Some(format!(
            "{left_out} of the numbers are not there, or not what was asked for"
        ))
    }

    pub(super) fn parameters(&self) -> Parameters<'_> {
        vec![
            &self.numbers,
            &self.reason,
            &self.topic,
            &self.partition,
            &self.group_id,
            &self.from,
            &self.to,
            &self.order_id,
            &self.replayed,
        ]
    }

    /// As it is recorded.
    pub(super) fn describe(&self) -> String {
        let mut text = String::new();
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                let space = if text.is_empty() { "" } else { " " };
                write!(text, "{space}{name} {}", visible(&value))
                    .expect("a String takes every text");
            }
        };
        let joined = |numbers: &Vec<i64>| {
            let numbers: Vec<_> = numbers.iter().map(i64::to_string).collect();
            numbers.join(",")
        };
        add("numbers", self.numbers.as_ref().map(joined));
        add("reason", self.reason.map(str::to_owned));
        add("topic", self.topic.clone());
        add(
            "partition",
            self.partition.map(|partition| partition.to_string()),
        );
        add("group", self.group_id.clone());
        add("from", self.from.map(|from| from.to_string()));
        add("to", self.to.map(|to| to.to_string()));
        add("order-id", self.order_id.clone());
        add(
            "replayed",
            self.replayed.map(|replayed| replayed.to_string()),
        );
        if text.is_empty() {
            "all".to_owned()
        } else {
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letters::Reason;

    #[test]
    fn everything_is_meant_only_where_that_was_said() {
        let nothing = Selection::default();
        assert!(Criteria::explicit(&nothing, false).is_err());
        assert_eq!(
            Criteria::explicit(&nothing, true).unwrap().describe(),
            "all"
        );
        let some = Selection {
            numbers: vec![3, 4, 3],
            filter: Filter {
                reason: Some(Reason::Conflict),
                not_replayed: true,
                ..Filter::default()
            },
        };
        assert!(Criteria::explicit(&some, true).is_err());
        let criteria = Criteria::explicit(&some, false).unwrap();
        assert_eq!(
            criteria.describe(),
            "numbers 3,4,3 reason conflict replayed false"
        );
        assert_eq!(criteria.left_out(2), None);
        assert!(criteria.left_out(1).unwrap().starts_with("1 of"));
    }
}

//! What went wrong in the database, classed by what to do about it.

use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;

/// Which part of the transaction a statement belongs to: only the rows of orders can be a record's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// `orders` and its children: what records say.
    Orders,
    /// Everything that the consumer itself keeps: positions, sums, the feed, dead letters.
    Bookkeeping,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database, or the way to it, is in trouble, or two transactions met: the same again, later.
    #[error("{cause}: {message}")]
    Transient {
        /// A stable word for metrics.
        cause: &'static str,
        message: String,
    },
    /// The database refuses a row: one of these records is to blame.
    #[error("refused by the database ({sqlstate}): {message}")]
    Condemned { sqlstate: String, message: String },
    /// Another member has claimed the partition.
    #[error("another member has claimed the partition")]
    Fenced,
    /// Nothing that a retry or another record would change.
    #[error("the database cannot take orders ({sqlstate}): {message}")]
    Fatal { sqlstate: String, message: String },
}

impl StoreError {
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient { .. })
    }

    pub(super) fn of(part: Part) -> impl Fn(tokio_postgres::Error) -> Self {
        move |error| Self::classify(part, &error)
    }

    fn classify(part: Part, error: &tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else {
            let message = with_causes(error);
            return Self::Transient {
                cause: "connection",
                message,
            };
        };
        let (sqlstate, message) = (db.code().code().to_owned(), db.message().to_owned());
        if let Some(cause) = transient(db.code(), db.constraint()) {
            return Self::Transient { cause, message };
        }
        if takes_a_number_twice(db.code(), db.constraint()) {
            let message = format!(
                "{message}: the sequence order_blocks is behind the orders, as after a restore; set it and restart: \
                 SELECT setval('order_blocks', max(order_no) / 10000 + 1) FROM orders"
            );
            return Self::Fatal { sqlstate, message };
        }
        match (part, &sqlstate[..2]) {
            (Part::Orders, "22" | "23") => Self::Condemned { sqlstate, message },
            (Part::Orders | Part::Bookkeeping, _) => Self::Fatal { sqlstate, message },
        }
    }
}

/// The keys of orders and their children are numbers that the consumer itself gives: that one is taken is no record's fault.
fn takes_a_number_twice(code: &SqlState, constraint: Option<&str>) -> bool {
    const KEYS: [&str; 4] = [
        "orders_pkey",
        "order_items_pkey",
        "deliveries_pkey",
        "payments_pkey",
    ];
    *code == SqlState::UNIQUE_VIOLATION && constraint.is_some_and(|name| KEYS.contains(&name))
}

/// Two partitions may carry the same new order_id at once: the slower one finds it stored when it tries again.
const ORDER_ID_CONSTRAINT: &str = "orders_order_id_key";

/// What passes by itself, by SQLSTATE: <https://www.postgresql.org/docs/18/errcodes-appendix.html>.
fn transient(code: &SqlState, constraint: Option<&str>) -> Option<&'static str> {
    match (&code.code()[..2], code) {
        (_, code)
            if *code == SqlState::UNIQUE_VIOLATION && constraint == Some(ORDER_ID_CONSTRAINT) =>
        {
            Some("order_id_race")
        }
        (_, code) if *code == SqlState::LOCK_NOT_AVAILABLE => Some("lock_timeout"),
        // A standby that has not been promoted yet.
        (_, code) if *code == SqlState::READ_ONLY_SQL_TRANSACTION => Some("read_only"),
        // The server ended a session that stood still in a transaction: this process was frozen, or starved.
        ("25", code) if matches!(code.code(), "25P03" | "25P04") => Some("session_timeout"),
        ("08", _) => Some("connection"),
        ("40", _) => Some("serialization"),
        ("53", _) => Some("resources"),
        ("57", _) => Some("shutdown"),
        ("58", _) => Some("system"),
        _ => None,
    }
}

impl From<PoolError> for StoreError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => Self::classify(Part::Bookkeeping, &error),
            error => Self::Transient {
                cause: "pool",
                message: error.to_string(),
            },
        }
    }
}

/// The driver's own display names only the outermost error.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_race_on_the_order_id_passes_among_unique_violations() {
        let unique = SqlState::UNIQUE_VIOLATION;
        assert_eq!(
            transient(&unique, Some(ORDER_ID_CONSTRAINT)),
            Some("order_id_race")
        );
        assert_eq!(transient(&unique, Some("orders_pkey")), None);
        assert_eq!(transient(&SqlState::CHECK_VIOLATION, None), None);
    }

    #[test]
    fn a_number_that_is_taken_is_no_records_fault_and_an_operators_own_constraint_may_be() {
        let unique = SqlState::UNIQUE_VIOLATION;
        assert!(takes_a_number_twice(&unique, Some("orders_pkey")));
        assert!(!takes_a_number_twice(&unique, Some(ORDER_ID_CONSTRAINT)));
        assert!(!takes_a_number_twice(&unique, Some("one_track_number")));
        let not_null = SqlState::NOT_NULL_VIOLATION;
        assert!(!takes_a_number_twice(&not_null, None));
    }

    #[test]
    fn what_passes_by_itself_is_transient_and_the_rest_is_not() {
        for code in [
            "08006", "40001", "40P01", "53300", "57P01", "57P03", "57014", "55P03", "25006",
            "58030",
        ] {
            assert!(
                transient(&SqlState::from_code(code), None).is_some(),
                "{code}"
            );
        }
        for code in ["42P01", "42703", "22003", "23502", "XX001", "28P01"] {
            assert!(
                transient(&SqlState::from_code(code), None).is_none(),
                "{code}"
            );
        }
    }
}

//! Questions whose answers are made of aggregates alone, with every parameter read and checked: two that are equal have
//! the same answer.

use common::ids::Currency;

use crate::analytics::{By, Grain, Hour, Sigma};

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// Named as the tables name it, amounts as strings.
    Canonical,
    /// As clients of earlier systems know it, amounts as numbers.
    Compatible,
}

/// A question about one currency names it, or leaves the choice to the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Question {
    Summary,
    Top {
        form: Form,
        currency: Option<Currency>,
        by: By,
        limit: u16,
    },
    Anomalies {
        form: Form,
        currency: Option<Currency>,
        sigma: Sigma,
        limit: u16,
    },
    Sales {
        currency: Option<Currency>,
        grain: Grain,
        from: Option<Hour>,
        to: Option<Hour>,
    },
}

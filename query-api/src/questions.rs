//! Questions whose answers are made of aggregates alone, with every parameter read and checked: two that are equal have
//! the same answer.

use common::ids::Currency;

use crate::analytics::{Analytics, By, Grain, Hour, Ranked, Series, Sigma, TooManyBuckets};

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
    Top(Form, TopQuestion),
    Anomalies {
        form: Form,
        currency: Option<Currency>,
        sigma: Sigma,
        limit: u16,
    },
    Sales(SalesQuestion),
}

/// Who is first in a ranking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TopQuestion {
    pub currency: Option<Currency>,
    pub by: By,
    pub limit: u16,
}

/// What was sold when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SalesQuestion {
    pub currency: Option<Currency>,
    pub grain: Grain,
    pub from: Option<Hour>,
    pub to: Option<Hour>,
    /// How many of the latest buckets where there is no `from`.
    pub limit: u16,
}

impl TopQuestion {
    #[must_use]
    pub fn look(&self, analytics: &Analytics, default: Currency) -> (Currency, Vec<Ranked>) {
        let currency = analytics.chosen(self.currency, default);
        let users = analytics.top(currency, self.by, self.limit.into());
        (currency, users)
    }
}

impl SalesQuestion {
    pub fn look(
        &self,
        analytics: &Analytics,
        default: Currency,
    ) -> (Currency, Result<Series, TooManyBuckets>) {
        let currency = analytics.chosen(self.currency, default);
        let sales = analytics.sales();
        let series = sales.series(currency, self.grain, self.from, self.to, self.limit);
        (currency, series)
    }
}

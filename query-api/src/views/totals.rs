//! Answers made of aggregates.

use common::ids::Currency;
use common::money::Total;
use common::time::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{compatible, json, number};
use crate::analytics::{
    Analytics, Anomalies, By, Grain, Live, NotLoaded, Ranked, Series, Sigma, Summary,
    TooManyBuckets,
};
use crate::questions::{Form, Question};

/// Why a question has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    #[error(transparent)]
    NotLoaded(#[from] NotLoaded),
    #[error(transparent)]
    TooManyBuckets(#[from] TooManyBuckets),
}

/// Answers from one state of the aggregates; what no question named is about `default_currency` or what stands in for it.
///
/// # Errors
/// [`NoAnswer`].
pub fn answer(
    live: &Live,
    question: Question,
    default_currency: Currency,
) -> Result<Vec<u8>, NoAnswer> {
    // Under the lock only what is needed is copied; it is printed afterwards.
    match question {
        Question::Summary => Ok(summary(&live.read(Analytics::summary)?)),
        Question::Top(form, question) => {
            let (currency, users) =
                live.read(|analytics| question.look(analytics, default_currency))?;
            Ok(match form {
                Form::Canonical => top(currency, question.by, &users),
                Form::Compatible => compatible::top_users(&users),
            })
        }
        Question::Anomalies {
            form,
            currency,
            sigma,
            limit,
        } => {
            let (currency, found) = live.read(|analytics| {
                let currency = analytics.chosen(currency, default_currency);
                (currency, analytics.anomalies(currency, sigma, limit.into()))
            })?;
            Ok(match form {
                Form::Canonical => anomalies(currency, sigma, &found),
                Form::Compatible => compatible::anomalies(&found),
            })
        }
        Question::Sales(question) => {
            let (currency, series) =
                live.read(|analytics| question.look(analytics, default_currency))?;
            Ok(sales(currency, question.grain, &series?))
        }
    }
}

/// `{"order_count", "user_count", "dead_letter_count", "last_order_at", "currencies": [{"currency", "order_count",
/// "user_count", "total_amount"}]}`
fn summary(summary: &Summary) -> Vec<u8> {
    #[derive(Serialize)]
    struct View {
        order_count: u64,
        user_count: usize,
        dead_letter_count: i64,
        last_order_at: Option<Timestamp>,
        currencies: Vec<InCurrency>,
    }
    #[derive(Serialize)]
    struct InCurrency {
        currency: Currency,
        order_count: u64,
        user_count: u64,
        total_amount: Total,
    }
    let currencies = summary.currencies.iter().map(|summary| InCurrency {
        currency: summary.currency,
        order_count: summary.order_count,
        user_count: summary.user_count,
        total_amount: summary.total_amount,
    });
    json(&View {
        order_count: summary.order_count,
        user_count: summary.user_count,
        dead_letter_count: summary.dead_letter_count,
        last_order_at: summary.last_order_at,
        currencies: currencies.collect(),
    })
}

/// `{"currency", "by", "users": [{"user_id", "order_count", "total_amount"}]}`
fn top(currency: Currency, by: By, users: &[Ranked]) -> Vec<u8> {
    #[derive(Serialize)]
    struct View<'a> {
        currency: Currency,
        by: &'static str,
        users: Vec<User<'a>>,
    }
    #[derive(Serialize)]
    struct User<'a> {
        user_id: &'a str,
        order_count: u64,
        total_amount: Total,
    }
    let users = users.iter().map(|user| User {
        user_id: &user.user_id,
        order_count: user.order_count,
        total_amount: user.total_amount,
    });
    let by = match by {
        By::Amount => "amount",
        By::Orders => "orders",
    };
    json(&View {
        currency,
        by,
        users: users.collect(),
    })
}

/// `{"currency", "sigma", "count", "users": [{"user_id", "order_count", "total_amount", "order_anomaly",
/// "spending_anomaly"}]}`; `count` is of all, also of those beyond the limit.
fn anomalies(currency: Currency, sigma: Sigma, found: &Anomalies) -> Vec<u8> {
    #[derive(Serialize)]
    struct View<'a> {
        currency: Currency,
        sigma: Box<RawValue>,
        count: usize,
        users: Vec<User<'a>>,
    }
    #[derive(Serialize)]
    struct User<'a> {
        user_id: &'a str,
        order_count: u64,
        total_amount: Total,
        order_anomaly: bool,
        spending_anomaly: bool,
    }
    let users = found.users.iter().map(|user| User {
        user_id: &user.user_id,
        order_count: user.order_count,
        total_amount: user.total_amount,
        order_anomaly: user.order_anomaly,
        spending_anomaly: user.spending_anomaly,
    });
    json(&View {
        currency,
        sigma: number(sigma),
        count: found.count,
        users: users.collect(),
    })
}

/// `{"currency", "grain", "from", "to", "buckets": [{"bucket", "order_count", "item_count", "amount"}]}`; `from` and `to`
/// are the full hours that were counted.
fn sales(currency: Currency, grain: Grain, series: &Series) -> Vec<u8> {
    #[derive(Serialize)]
    struct View {
        currency: Currency,
        grain: Grain,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        buckets: Vec<Bucket>,
    }
    #[derive(Serialize)]
    struct Bucket {
        bucket: Option<Timestamp>,
        order_count: u64,
        item_count: u64,
        amount: Total,
    }
    let buckets = series.buckets.iter().map(|(hour, row)| Bucket {
        bucket: hour.start(),
        order_count: row.order_count,
        item_count: row.item_count,
        amount: row.amount,
    });
    json(&View {
        currency,
        grain,
        from: series.from.and_then(|hour| hour.start()),
        to: series.to.and_then(|hour| hour.start()),
        buckets: buckets.collect(),
    })
}

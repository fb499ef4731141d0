//! Every aggregate that an answer may need, in memory: per-user statistics, their order by amount and by number of
//! orders, running moments, and sales by the hour.
//!
//! It is filled once from the tables and then advanced by replacing what a committed batch touched; it knows neither SQL
//! nor HTTP. Everything in it is exact: integers of ten-thousandths, their squares in unbounded integers.
//!
//! Invariant: `rankings` and `last_order_at` always say the same as `users`; [`Analytics::replace_user`] is the only
//! way to change any of them.

mod anomalies;
mod calendar;
mod live;
mod moments;
mod ranking;
mod sales;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use common::ids::Currency;
use common::money::Total;
use common::time::Timestamp;

pub use anomalies::{Anomalies, Anomaly, InvalidSigma, Sigma};
pub use calendar::{Grain, Hour};
pub use live::{Live, NotLoaded};
pub use ranking::{By, Ranked};
pub use sales::{Frame, MAX_BUCKETS, Sales, SalesRow, Series, TooManyBuckets};

use ranking::Ranking;

/// What a user has ordered in one currency: a row of `user_stats`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserStats {
    pub order_count: u64,
    pub total_amount: Total,
    pub first_order_at: Timestamp,
    pub last_order_at: Timestamp,
}

/// A user's statistics in each currency, in order of the currencies.
pub type StatsByCurrency = Vec<(Currency, UserStats)>;

/// All aggregates as of one commit.
#[derive(Debug, Default)]
pub struct Analytics {
    users: HashMap<Arc<str>, StatsByCurrency>,
    rankings: BTreeMap<Currency, Ranking>,
    sales: Sales,
    dead_letter_count: i64,
    last_order_at: Option<Timestamp>,
}

/// Totals over everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    pub order_count: u64,
    /// Users with orders in any currency, each counted once.
    pub user_count: usize,
    pub dead_letter_count: i64,
    pub last_order_at: Option<Timestamp>,
    pub currencies: Vec<CurrencySummary>,
}

/// Totals over everything in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrencySummary {
    pub currency: Currency,
    pub order_count: u64,
    pub user_count: u64,
    pub total_amount: Total,
}

impl Analytics {
    /// What a user has ordered, or `None` if nothing.
    #[must_use]
    pub fn user(&self, user_id: &str) -> Option<&StatsByCurrency> {
        self.users.get(user_id)
    }

    /// The first `limit` users of a ranking. Equal ones are in order of their ids, so that the answer is always the same.
    #[must_use]
    pub fn top(&self, currency: Currency, by: By, limit: usize) -> Vec<Ranked> {
        self.rankings
            .get(&currency)
            .map(|ranking| ranking.top(by, limit))
            .unwrap_or_default()
    }

    /// Users far above the others in a currency, most orders first; at most `limit` of them, and how many there are.
    #[must_use]
    pub fn anomalies(&self, currency: Currency, sigma: Sigma, limit: usize) -> Anomalies {
        self.rankings
            .get(&currency)
            .map(|ranking| ranking.anomalies(sigma, limit))
            .unwrap_or_default()
    }

    #[must_use]
    pub fn sales(&self) -> &Sales {
        &self.sales
    }

    #[must_use]
    pub fn summary(&self) -> Summary {
        let currencies = self
            .rankings
            .iter()
            .map(|(&currency, ranking)| ranking.summary(currency));
        let currencies: Vec<_> = currencies.collect();
        Summary {
            order_count: currencies.iter().map(|summary| summary.order_count).sum(),
            user_count: self.users.len(),
            dead_letter_count: self.dead_letter_count,
            last_order_at: self.last_order_at,
            currencies,
        }
    }

    /// What an answer about one currency is about if the question names none: `default` if it has orders, else the
    /// currency with the most orders (of equal ones the first by its code), else `default`.
    #[must_use]
    pub fn currency_or(&self, default: Currency) -> Currency {
        if self.rankings.contains_key(&default) {
            return default;
        }
        let most = self
            .rankings
            .iter()
            .rev()
            .max_by_key(|(_, ranking)| ranking.order_count());
        most.map_or(default, |(&currency, _)| currency)
    }

    /// The currency that a question names, or what stands in for it.
    #[must_use]
    pub fn chosen(&self, currency: Option<Currency>, default: Currency) -> Currency {
        currency.unwrap_or_else(|| self.currency_or(default))
    }

    /// The ids of the users with the most orders in any one currency, at most `limit`; none twice.
    #[must_use]
    pub fn most_active(&self, limit: usize) -> Vec<Arc<str>> {
        let tops = self
            .rankings
            .values()
            .flat_map(|ranking| ranking.top(By::Orders, limit));
        let mut users: Vec<Ranked> = tops.collect();
        users.sort_unstable_by(|a, b| {
            b.order_count
                .cmp(&a.order_count)
                .then_with(|| a.user_id.cmp(&b.user_id))
        });
        let mut seen = std::collections::HashSet::new();
        let distinct = users
            .into_iter()
            .map(|user| user.user_id)
            .filter(|id| seen.insert(Arc::clone(id)));
        distinct.take(limit).collect()
    }

    /// Puts `now` in the place of everything known of a user; an empty one removes the user.
    pub fn replace_user(&mut self, user_id: &str, mut now: StatsByCurrency) {
        let known = self.users.remove_entry(user_id);
        let (key, before) = known.unwrap_or_else(|| (Arc::from(user_id), Vec::new()));
        for (currency, stats) in &before {
            if let Some(ranking) = self.rankings.get_mut(currency) {
                ranking.remove(&key, stats);
                if ranking.is_empty() {
                    self.rankings.remove(currency);
                }
            }
        }
        for (currency, stats) in &now {
            self.rankings
                .entry(*currency)
                .or_default()
                .insert(&key, stats);
        }
        let (before, latest) = (latest_order(&before), latest_order(&now));
        if !now.is_empty() {
            now.sort_unstable_by_key(|(currency, _)| *currency);
            now.shrink_to_fit();
            self.users.insert(key, now);
        }
        self.advance_last_order(before, latest);
    }

    /// Puts `now` in the place of all sales of these hours, in every currency.
    pub fn replace_hours(
        &mut self,
        hours: &[Hour],
        now: impl IntoIterator<Item = (Hour, Currency, SalesRow)>,
    ) {
        self.sales.replace(hours, now);
    }

    /// How many dead letters there are more now; negative where some were removed.
    pub fn add_dead_letters(&mut self, difference: i64) {
        self.dead_letter_count += difference;
    }

    fn advance_last_order(&mut self, before: Option<Timestamp>, now: Option<Timestamp>) {
        // Only a repair ever takes the latest order away; looking at everybody then is cheaper than an index always.
        self.last_order_at = if before.is_some() && before == self.last_order_at && now < before {
            self.users.values().filter_map(latest_order).max()
        } else {
            self.last_order_at.max(now)
        };
    }
}

fn latest_order(stats: &StatsByCurrency) -> Option<Timestamp> {
    stats.iter().map(|(_, stats)| stats.last_order_at).max()
}

/// Collects everything once. Building the ordered indexes from all rows at the end takes a fraction of the time and
/// memory of inserting one by one.
#[derive(Debug, Default)]
pub struct AnalyticsBuilder {
    users: HashMap<Arc<str>, StatsByCurrency>,
    sales: Vec<(Hour, Currency, SalesRow)>,
}

impl AnalyticsBuilder {
    pub fn user(&mut self, user_id: &str, currency: Currency, stats: UserStats) {
        if let Some(known) = self.users.get_mut(user_id) {
            known.push((currency, stats));
            return;
        }
        // `vec!` takes room for exactly one: most users order in one currency.
        self.users
            .insert(Arc::from(user_id), vec![(currency, stats)]);
    }

    pub fn hour(&mut self, hour: Hour, currency: Currency, row: SalesRow) {
        self.sales.push((hour, currency, row));
    }

    #[must_use]
    pub fn build(mut self, dead_letter_count: i64) -> Analytics {
        self.users.shrink_to_fit();
        let mut by_currency: BTreeMap<Currency, Vec<(Arc<str>, UserStats)>> = BTreeMap::new();
        for (user_id, stats) in &mut self.users {
            stats.sort_unstable_by_key(|(currency, _)| *currency);
            for (currency, stats) in stats {
                by_currency
                    .entry(*currency)
                    .or_default()
                    .push((Arc::clone(user_id), *stats));
            }
        }
        let rankings = by_currency
            .into_iter()
            .map(|(currency, users)| (currency, Ranking::of(users)));
        let rankings = rankings.collect();
        let last_order_at = self.users.values().filter_map(latest_order).max();
        let mut sales = Sales::default();
        sales.replace(&[], self.sales);
        Analytics {
            users: self.users,
            rankings,
            sales,
            dead_letter_count,
            last_order_at,
        }
    }
}

//! Query strings: every parameter that is wrong is named, with its rule, in one 422.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use actix_web::{HttpRequest, web};
use common::http::HttpError;
use common::ids::{Currency, UserId};
use common::order::{FieldError, excerpt};
use common::time::Timestamp;

use crate::analytics::{By, Grain, Hour, Sigma};
use crate::charts::Size;
use crate::views::Cursor;

/// How many of something an answer holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) default: u16,
    pub(super) max: u16,
}

/// A request's parameters while they are being read. What nobody asks for is ignored.
pub(super) struct Parameters {
    pairs: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl Parameters {
    pub(super) fn of(request: &HttpRequest) -> Self {
        let mut parameters = Self {
            pairs: Vec::new(),
            errors: Vec::new(),
        };
        match web::Query::<Vec<(String, String)>>::from_query(request.query_string()) {
            Ok(pairs) => parameters.pairs = pairs.into_inner(),
            Err(error) => parameters.refuse("", &error.to_string()),
        }
        parameters
    }

    /// Everything was right, or one 422 says what was not.
    pub(super) fn finish(self) -> Result<(), HttpError> {
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(unprocessable(self.errors))
        }
    }

    /// Everything was right and `value`, the one called `name`, is there.
    pub(super) fn require<T>(mut self, name: &str, value: Option<T>) -> Result<T, HttpError> {
        if value.is_none() && !self.has(name) {
            self.refuse(name, "is required");
        }
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            Some(_) | None => Err(unprocessable(self.errors)),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(given, _)| given == name)
    }

    pub(super) fn user_id(&mut self) -> Option<UserId> {
        self.parsed("user_id")
    }

    pub(super) fn currency(&mut self) -> Option<Currency> {
        self.parsed("currency")
    }

    pub(super) fn cursor(&mut self) -> Option<Cursor> {
        self.parsed_or_shown("cursor")
    }

    pub(super) fn sigma(&mut self) -> Option<Sigma> {
        self.parsed_or_shown("sigma")
    }

    pub(super) fn limit(&mut self, limit: Limit) -> u16 {
        let Limit { default, max } = limit;
        self.read("limit", |text| match text.parse() {
            Ok(value) if (1..=max).contains(&value) => Ok(value),
            _ => Err(format!(
                "must be a whole number from 1 to {max} (got {})",
                excerpt(text)
            )),
        })
        .unwrap_or(default)
    }

    pub(super) fn by(&mut self) -> By {
        self.one_of("by", &[("amount", By::Amount), ("orders", By::Orders)])
            .unwrap_or(By::Amount)
    }

    pub(super) fn grain(&mut self) -> Grain {
        let grains = [
            ("hour", Grain::Hour),
            ("day", Grain::Day),
            ("month", Grain::Month),
            ("year", Grain::Year),
        ];
        self.one_of("grain", &grains).unwrap_or(Grain::Day)
    }

    /// Of a chart.
    pub(super) fn size(&mut self) -> Size {
        self.one_of("size", &[("wide", Size::Wide), ("narrow", Size::Narrow)])
            .unwrap_or(Size::Wide)
    }

    /// Whole seconds.
    pub(super) fn wait(&mut self, max: Duration) -> Duration {
        let max = max.as_secs();
        self.read("wait", |text| match text.parse() {
            Ok(seconds) if seconds <= max => Ok(Duration::from_secs(seconds)),
            _ => Err(format!(
                "must be whole seconds from 0 to {max} (got {})",
                excerpt(text)
            )),
        })
        .unwrap_or_default()
    }

    /// The hour that holds an inclusive beginning.
    pub(super) fn from(&mut self) -> Option<Hour> {
        self.read("from", instant).map(Hour::of)
    }

    /// The hour before which an exclusive end lies.
    pub(super) fn to(&mut self) -> Option<Hour> {
        self.read("to", instant).map(Hour::at_or_after)
    }

    pub(super) fn refuse(&mut self, name: &str, detail: &str) {
        self.errors.push(field_error(name, detail));
    }

    fn parsed<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        self.read(name, |text| {
            text.parse().map_err(|error: T::Err| error.to_string())
        })
    }

    /// For rules that do not repeat what broke them.
    fn parsed_or_shown<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        self.read(name, |text| {
            text.parse()
                .map_err(|error: T::Err| format!("{error} (got {})", excerpt(text)))
        })
    }

    fn one_of<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        self.read(name, |text| {
            let chosen = choices.iter().find(|(name, _)| *name == text);
            chosen.map(|(_, value)| *value).ok_or_else(|| {
                let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
                format!(
                    "must be one of {} (got {})",
                    names.join(", "),
                    excerpt(text)
                )
            })
        })
    }

    /// `None` where it is absent, and where it is wrong, which is noted.
    fn read<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let mut values = self
            .pairs
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.as_str());
        let value = values.next()?;
        let parsed = match values.next() {
            Some(_) => Err("is given more than once".to_owned()),
            None => parse(value),
        };
        match parsed {
            Ok(parsed) => Some(parsed),
            Err(detail) => {
                self.refuse(name, &detail);
                None
            }
        }
    }
}

/// An RFC 3339 instant, or a date, which is its midnight in UTC.
fn instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).or_else(|_| Timestamp::parse(&format!("{text}T00:00:00Z"))).map_err(|_| {
        let got = excerpt(text);
        format!("must be a date like 2026-01-31 or an RFC 3339 instant like 2026-01-31T12:00:00Z, from 1970 on (got {got})")
    })
}

/// 422 about one parameter.
pub(super) fn invalid(name: &str, detail: &str) -> HttpError {
    unprocessable(vec![field_error(name, detail)])
}

fn field_error(name: &str, detail: &str) -> FieldError {
    FieldError {
        pointer: format!("/query/{name}"),
        detail: detail.to_owned(),
    }
}

fn unprocessable(errors: Vec<FieldError>) -> HttpError {
    let detail = match errors.len() {
        1 => "a parameter is wrong".to_owned(),
        count => format!("{count} parameters are wrong"),
    };
    HttpError::Unprocessable {
        detail,
        errors,
        order_id: None,
    }
}

#[cfg(test)]
mod tests;

//! Charts as SVG, drawn from the same values as the JSON answers. What is read off them is exact: labels are the decimals
//! themselves, and only the length of a bar is rounded, to a tenth of a pixel.
//!
//! Colours follow the reader's choice of light or dark. Whatever comes from an order becomes text, cut to its place.

mod axis;
mod sales;
mod svg;
mod top_users;

use common::ids::Currency;

use crate::analytics::Live;
use crate::questions::{SalesQuestion, TopQuestion};
use crate::views::NoAnswer;

pub use svg::STYLE;

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    Sales(SalesQuestion),
    TopUsers(TopQuestion),
}

/// For which screen: letters are as large on both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Size {
    Wide,
    Narrow,
}

/// A chart: two that are equal look the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Chart {
    pub subject: Subject,
    pub size: Size,
}

impl Size {
    fn width(self) -> f64 {
        match self {
            Self::Wide => 880.0,
            Self::Narrow => 360.0,
        }
    }
}

impl Chart {
    /// Draws one state of the aggregates; what names no currency is about `default_currency` or what stands in for it.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub fn draw(&self, live: &Live, default_currency: Currency) -> Result<Vec<u8>, NoAnswer> {
        // Under the lock only what is needed is copied; it is drawn afterwards.
        let svg = match self.subject {
            Subject::Sales(question) => {
                let (currency, series) =
                    live.read(|analytics| question.look(analytics, default_currency))?;
                sales::draw(currency, question.grain, &series?, self.size)
            }
            Subject::TopUsers(question) => {
                let (currency, users) =
                    live.read(|analytics| question.look(analytics, default_currency))?;
                top_users::draw(currency, question.by, &users, self.size)
            }
        };
        Ok(svg)
    }
}

#[cfg(test)]
mod tests;

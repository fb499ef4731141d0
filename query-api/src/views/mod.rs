//! Answers as they are sent: the names and order of their fields. Amounts are strings, except in the compatible shapes,
//! where they are JSON numbers with the exact digits.
//!
//! Nothing here knows where values come from or what HTTP is.

mod compatible;
mod cursor;
mod lag;
mod orders;
mod periods;
mod totals;
mod users;

use std::fmt::Display;

use serde::Serialize;
use serde_json::value::RawValue;

pub use compatible::{total_orders, total_spendings};
pub use cursor::{Cursor, InvalidCursor};
pub use lag::lag;
pub use orders::OrdersPage;
pub use periods::{active_users, series_of_user};
pub use totals::{NoAnswer, answer};
pub use users::user;

/// Printing a small answer reallocates nothing.
const SMALL_BYTES: usize = 512;

fn json(value: &impl Serialize) -> Vec<u8> {
    let mut printed = Vec::with_capacity(SMALL_BYTES);
    serde_json::to_writer(&mut printed, value)
        .expect("a view is made of strings, numbers and lists of them");
    printed
}

/// A decimal as a JSON number, digit by digit.
fn number(value: impl Display) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).expect("a decimal's digits are a JSON number")
}

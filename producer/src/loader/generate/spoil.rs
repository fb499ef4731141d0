//! What real data has too: orders that come again with other content, and lines that are no order.

use common::money::Amount;
use common::order::Order;
use rand::{Rng, RngExt as _};

/// The same order, a little dearer.
pub(super) fn conflict(order: &Order) -> Order {
    let dearer = order
        .amount
        .and_then(|amount| Amount::from_units(amount.units() + 10_000));
    Order {
        amount: dearer,
        ..order.clone()
    }
}

/// A line that must be rejected.
pub(super) fn broken(order: &Order, rng: &mut impl Rng) -> String {
    let user_id = order.user_id.as_str();
    match rng.random_range(0..6) {
        0 => {
            let mut cut = String::from_utf8(order.to_json()).expect("JSON is UTF-8");
            cut.truncate(cut.floor_char_boundary(cut.len() / 2));
            cut
        }
        1 => r#"{"order_id":"broken-1","amount":"12.50"}"#.to_owned(),
        2 => format!(r#"{{"user_id":"{user_id}","amount":"0.00001"}}"#),
        3 => format!(
            r#"{{"user_id":"{user_id}","items":[{{"sku":"x","quantity":-1,"unit_price":1}}]}}"#
        ),
        4 => format!(r#"{{"user_id":"{user_id}","customer_id":"{user_id}","amount":1}}"#),
        _ => format!(r#"["{user_id}"]"#),
    }
}

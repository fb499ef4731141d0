//! The first users of a ranking: a bar each, with who and how much beside it.

use common::ids::Currency;
use common::money::Total;

use super::Size;
use super::axis::{Axis, UNITS_PER_ONE, grouped, short};
use super::svg::{LETTER, Svg};
use crate::analytics::{By, Ranked};

const TOP: f64 = 76.0;
const ROW: f64 = 28.0;
const BAR: f64 = 16.0;
const MARGIN: f64 = 16.0;

pub(super) fn draw(currency: Currency, by: By, users: &[Ranked], size: Size) -> Vec<u8> {
    let (title, unit) = match by {
        By::Amount => (
            format!("Users who spent the most in {currency}"),
            currency.to_string(),
        ),
        By::Orders => (
            format!("Users with the most orders in {currency}"),
            "orders".to_owned(),
        ),
    };
    let width = size.width();
    let rows = users.len().max(1);
    let height = TOP + ROW * length(rows) + MARGIN;
    let description = describe(by, currency, users);
    let mut svg = Svg::new(width, height, &title, &description);
    svg.text(MARGIN, 26.0, "title", &title);
    let values: Vec<String> = users.iter().map(|user| value(by, user)).collect();
    let Some(longest) = values.iter().map(String::len).max() else {
        svg.text(width / 2.0, TOP + 14.0, "middle", "Nobody has ordered yet");
        return svg.finish();
    };
    let plot = Plot::new(width, longest, users, by);
    svg.text(MARGIN, TOP - 14.0, "", &unit);
    draw_axis(&mut svg, &plot, by, height - MARGIN);
    for (index, (user, value)) in users.iter().zip(&values).enumerate() {
        let y = TOP + length(index) * ROW;
        svg.boxed_text(
            (MARGIN, y, plot.left - MARGIN - 10.0, ROW - 4.0),
            &user.user_id,
        );
        let bar = plot.length_of(measure(by, user));
        let place = (plot.left, y + (ROW - 4.0 - BAR) / 2.0, bar, BAR);
        svg.bar(
            place,
            &format!("{}: {}", user.user_id, both(currency, user)),
        );
        svg.text(
            plot.left + bar + 8.0,
            y + (ROW - 4.0) * 0.68,
            "value",
            value,
        );
    }
    svg.finish()
}

/// Ticks with their values, as many of these as fit side by side.
fn draw_axis(svg: &mut Svg, plot: &Plot, by: By, bottom: f64) {
    let mut free_from = 0.0;
    for tick in plot.axis.ticks() {
        let x = plot.left + plot.axis.share(tick) * plot.width;
        let class = if tick == 0 { "base" } else { "grid" };
        svg.line(class, (x, TOP - 6.0), (x, bottom));
        let label = match by {
            By::Amount => short(&Total::from_units(tick).to_string()),
            By::Orders => grouped(&tick.to_string()),
        };
        let half = length(label.len()) * LETTER / 2.0;
        if x - half >= free_from {
            svg.text(x, TOP - 14.0, "middle", &label);
            free_from = x + half + LETTER;
        }
    }
}

/// Where bars begin and how long they are.
struct Plot {
    left: f64,
    width: f64,
    axis: Axis,
}

impl Plot {
    /// A third for the names; the longest bar leaves room for the longest value.
    fn new(width: f64, longest_value: usize, users: &[Ranked], by: By) -> Self {
        let left = (width / 3.0).min(230.0);
        let values = length(longest_value) * LETTER + 8.0;
        let largest = users
            .iter()
            .map(|user| measure(by, user))
            .max()
            .unwrap_or(0);
        let least = match by {
            By::Amount if largest >= UNITS_PER_ONE => UNITS_PER_ONE,
            By::Amount | By::Orders => 1,
        };
        Self {
            left,
            width: (width - left - MARGIN - values).max(ROW),
            axis: Axis::up_to(largest, least),
        }
    }

    fn length_of(&self, units: i128) -> f64 {
        (self.axis.share(units) * self.width).max(1.0)
    }
}

fn measure(by: By, user: &Ranked) -> i128 {
    match by {
        By::Amount => user.total_amount.units(),
        By::Orders => user.order_count.into(),
    }
}

fn value(by: By, user: &Ranked) -> String {
    match by {
        By::Amount => grouped(&user.total_amount.to_string()),
        By::Orders => grouped(&user.order_count.to_string()),
    }
}

fn both(currency: Currency, user: &Ranked) -> String {
    let orders = if user.order_count == 1 {
        "order"
    } else {
        "orders"
    };
    let (amount, count) = (value(By::Amount, user), value(By::Orders, user));
    format!("{amount} {currency} in {count} {orders}")
}

/// The first three in words: what most look for.
fn describe(by: By, currency: Currency, users: &[Ranked]) -> String {
    let first = users.iter().take(3);
    let words: Vec<String> = first
        .map(|user| match by {
            By::Amount => format!("{} {} {currency}", user.user_id, value(by, user)),
            By::Orders => format!("{} {} orders", user.user_id, value(by, user)),
        })
        .collect();
    if words.is_empty() {
        return format!("No orders in {currency}");
    }
    words.join(", ")
}

#[expect(clippy::cast_precision_loss, reason = "a number of users or letters")]
fn length(count: usize) -> f64 {
    count as f64
}

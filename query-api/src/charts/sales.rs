//! Sales over time: a bar a bucket.

use common::ids::Currency;
use common::money::Total;
use common::time::Timestamp;

use super::Size;
use super::axis::{Axis, UNITS_PER_ONE, grouped, short};
use super::svg::{LETTER, Svg};
use crate::analytics::{Grain, Hour, SalesRow, Series};

const HEIGHT: f64 = 320.0;
const TOP: f64 = 76.0;
const BOTTOM: f64 = 34.0;
const RIGHT: f64 = 16.0;
/// Beyond this a bar is too thin to point at: one area is drawn instead.
const MAX_BARS: usize = 400;
/// Of the place that a bar has, what it takes.
const BAR_SHARE: f64 = 0.8;

pub(super) fn draw(currency: Currency, grain: Grain, series: &Series, size: Size) -> Vec<u8> {
    let title = format!("Sales per {} in {currency}", grain.name());
    let description = describe(currency, grain, series);
    let width = size.width();
    let mut svg = Svg::new(width, HEIGHT, &title, &description);
    svg.text(RIGHT, 26.0, "title", &title);
    let subtitle = match size {
        Size::Wide => description.as_str(),
        Size::Narrow => description.rsplit(": ").next().unwrap_or_default(),
    };
    svg.text(RIGHT, 47.0, "", subtitle);
    let largest = series.buckets.iter().map(|(_, row)| row.amount.units());
    let Some(largest) = largest.max() else {
        svg.text(width / 2.0, HEIGHT / 2.0, "middle", "Nothing was sold");
        return svg.finish();
    };
    let least = if largest < UNITS_PER_ONE {
        1
    } else {
        UNITS_PER_ONE
    };
    let axis = Axis::up_to(largest, least);
    let labels: Vec<(i128, String)> = axis
        .ticks()
        .map(|tick| (tick, amount_label(tick)))
        .collect();
    let longest = labels.iter().map(|(_, label)| label.len()).max();
    let plot = Plot {
        // Sums that no shop has would leave no room for bars.
        left: (RIGHT + length(longest.unwrap_or(0)) * LETTER + 8.0).min(width / 2.0),
        right: width - RIGHT,
        axis,
    };
    for (tick, label) in &labels {
        let y = plot.y(*tick);
        let class = if *tick == 0 { "base" } else { "grid" };
        svg.line(class, (plot.left, y), (plot.right, y));
        svg.text(plot.left - 8.0, y + 4.5, "end", label);
    }
    draw_bars(&mut svg, &plot, currency, grain, series);
    draw_times(&mut svg, &plot, grain, series);
    svg.finish()
}

/// Where values lie.
struct Plot {
    left: f64,
    right: f64,
    axis: Axis,
}

impl Plot {
    fn y(&self, units: i128) -> f64 {
        let base = HEIGHT - BOTTOM;
        base - self.axis.share(units) * (base - TOP)
    }

    /// The room of one bucket.
    fn slot(&self, buckets: usize) -> f64 {
        (self.right - self.left) / length(buckets)
    }
}

fn draw_bars(svg: &mut Svg, plot: &Plot, currency: Currency, grain: Grain, series: &Series) {
    let (slot, base) = (plot.slot(series.buckets.len()), HEIGHT - BOTTOM);
    let x = |index: usize| plot.left + length(index) * slot;
    let buckets = series.buckets.iter().enumerate();
    if series.buckets.len() > MAX_BARS {
        let steps = buckets.map(|(index, (_, row))| (x(index), plot.y(row.amount.units())));
        return svg.steps(steps, plot.right, base);
    }
    for (index, (hour, row)) in buckets.filter(|(_, (_, row))| row.order_count > 0) {
        let y = plot.y(row.amount.units());
        let margin = slot * (1.0 - BAR_SHARE) / 2.0;
        let place = (x(index) + margin, y, slot * BAR_SHARE, base - y);
        svg.bar(
            place,
            &format!("{}: {}", time(grain, *hour), sum(currency, row)),
        );
    }
}

/// As many as fit side by side.
fn draw_times(svg: &mut Svg, plot: &Plot, grain: Grain, series: &Series) {
    let slot = plot.slot(series.buckets.len());
    let label_width = length(time_letters(grain) + 2) * LETTER;
    let mut free_from = plot.left - slot;
    for (index, (hour, _)) in series.buckets.iter().enumerate() {
        let middle = plot.left + (length(index) + 0.5) * slot;
        let half = (label_width / 2.0).min(middle - plot.left + RIGHT);
        let fits = middle - half >= free_from && middle + label_width / 2.0 <= plot.right + RIGHT;
        if fits || series.buckets.len() == 1 {
            svg.text(
                middle,
                HEIGHT - BOTTOM + 20.0,
                "middle",
                &time(grain, *hour),
            );
            free_from = middle + label_width / 2.0;
        }
    }
}

fn describe(currency: Currency, grain: Grain, series: &Series) -> String {
    let mut all = SalesRow::default();
    for (_, row) in &series.buckets {
        all.order_count += row.order_count;
        all.amount += row.amount;
    }
    match (series.buckets.first(), series.buckets.last()) {
        (Some((first, _)), Some((last, _))) => format!(
            "{} to {}, UTC: {}",
            time(grain, *first),
            time(grain, *last),
            sum(currency, &all)
        ),
        _ => format!("No sales in {currency}"),
    }
}

fn sum(currency: Currency, row: &SalesRow) -> String {
    let orders = if row.order_count == 1 {
        "order"
    } else {
        "orders"
    };
    let count = grouped(&row.order_count.to_string());
    let amount = grouped(&row.amount.to_string());
    format!("{amount} {currency}, {count} {orders}")
}

fn amount_label(units: i128) -> String {
    short(&Total::from_units(units).to_string())
}

/// How much of an instant a bucket's name takes.
fn time_letters(grain: Grain) -> usize {
    match grain {
        Grain::Hour => "2026-01-31 14:00".len(),
        Grain::Day => "2026-01-31".len(),
        Grain::Month => "2026-01".len(),
        Grain::Year => "2026".len(),
    }
}

fn time(grain: Grain, hour: Hour) -> String {
    let text = hour.start().map(|start: Timestamp| start.to_string());
    let text = text.unwrap_or_default().replace('T', " ");
    text.chars().take(time_letters(grain)).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a number of buckets or letters")]
fn length(count: usize) -> f64 {
    count as f64
}

//! A scale from zero to a round number at or above the largest value, in whole units: no label is ever rounded.

/// Whole currency units are ticks' least step, unless everything is smaller than that.
pub(super) const UNITS_PER_ONE: i128 = 10_000;
/// Few enough to be read, many enough to compare with.
const MAX_TICKS: i128 = 5;

/// From 0 to `top`, a tick at each multiple of `step`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Axis {
    step: i128,
    top: i128,
}

impl Axis {
    /// Steps are 1, 2 or 5 times a power of ten, and at least `least`.
    pub(super) fn up_to(largest: i128, least: i128) -> Self {
        let mut step = 1;
        let mut factors = [2, 5, 10].into_iter().cycle();
        let mut power = 1_i128;
        while step < least || step.saturating_mul(MAX_TICKS) < largest {
            let factor = factors.next().unwrap_or(10);
            step = power.saturating_mul(factor);
            if factor == 10 {
                power = step;
            }
            if step == i128::MAX {
                break;
            }
        }
        let ticks = (largest.max(1) - 1) / step + 1;
        Self {
            step,
            top: step.saturating_mul(ticks),
        }
    }

    pub(super) fn ticks(self) -> impl Iterator<Item = i128> {
        (0..=self.top / self.step).map(move |tick| tick * self.step)
    }

    /// Where a value lies: 0 at zero, 1 at the top.
    #[expect(
        clippy::cast_precision_loss,
        reason = "where it is drawn is rounded to a tenth of a pixel"
    )]
    pub(super) fn share(self, value: i128) -> f64 {
        value as f64 / self.top as f64
    }
}

/// A decimal's or a number's digits in groups of three.
pub(super) fn grouped(digits: &str) -> String {
    let (integer, fraction) = match digits.split_once('.') {
        Some((integer, fraction)) => (integer, Some(fraction)),
        None => (digits, None),
    };
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (index, digit) in integer.chars().enumerate() {
        if index > 0 && (integer.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if let Some(fraction) = fraction {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

/// As a tick is labelled: no decimals where there are none to say.
pub(super) fn short(digits: &str) -> String {
    grouped(digits.strip_suffix(".00").unwrap_or(digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_is_round_and_no_lower_than_the_largest_value() {
        let ticks = |largest, least| Axis::up_to(largest, least).ticks().collect::<Vec<_>>();
        assert_eq!(ticks(0, 1), [0, 1]);
        assert_eq!(ticks(7, 1), [0, 2, 4, 6, 8]);
        assert_eq!(ticks(100, 1), [0, 20, 40, 60, 80, 100]);
        assert_eq!(ticks(101, 1), [0, 50, 100, 150]);
        assert_eq!(ticks(3, 10_000), [0, 10_000]);
        for largest in [1, 999, 12_345_678, i128::MAX / 10, i128::MAX] {
            let axis = Axis::up_to(largest, 1);
            assert!(axis.top >= largest, "{axis:?}");
            assert!(axis.ticks().count() <= 6, "{axis:?}");
        }
    }

    #[test]
    fn digits_are_grouped_and_none_is_lost() {
        for (digits, text) in [
            ("0", "0"),
            ("999", "999"),
            ("1000", "1,000"),
            ("1234567.8901", "1,234,567.8901"),
        ] {
            assert_eq!(grouped(digits), text);
        }
        assert_eq!(
            (short("1500.00"), short("0.05")),
            ("1,500".into(), "0.05".into())
        );
    }
}

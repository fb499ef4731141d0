//! A figure beside its baseline: what is printed, and what tells whether it falls short.

use serde::Serialize;

/// One line of the report. `ratio` is what `target` is compared with: `value / baseline`, or for a bound
/// `baseline / value`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    pub name: String,
    pub unit: &'static str,
    pub value: f64,
    pub baseline: f64,
    pub ratio: f64,
    pub target: f64,
    pub ok: bool,
    /// What else was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Figure {
    /// Higher is better: a rate over the rate it is held against.
    #[must_use]
    pub fn rate(name: impl Into<String>, unit: &'static str, pairs: &[Pair], target: f64) -> Self {
        let (value, baseline) = medians(pairs);
        Self::new(
            name.into(),
            unit,
            (value, baseline),
            value / baseline,
            target,
        )
    }

    /// Lower is better: a bound over what was seen.
    #[must_use]
    pub fn bound(name: impl Into<String>, unit: &'static str, value: f64, bound: f64) -> Self {
        Self::new(name.into(), unit, (value, bound), bound / value, 1.0)
    }

    fn new(
        name: String,
        unit: &'static str,
        (value, baseline): (f64, f64),
        ratio: f64,
        target: f64,
    ) -> Self {
        Self {
            name,
            unit,
            value,
            baseline,
            ratio,
            target,
            ok: ratio >= target,
            detail: None,
        }
    }

    #[must_use]
    pub fn with_detail(self, detail: String) -> Self {
        Self {
            detail: Some(detail),
            ..self
        }
    }
}

/// Two measurements made one after the other: a machine's speed drifts, their ratio hardly does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    pub value: f64,
    pub baseline: f64,
}

fn medians(pairs: &[Pair]) -> (f64, f64) {
    (
        median(pairs.iter().map(|pair| pair.value)),
        median(pairs.iter().map(|pair| pair.baseline)),
    )
}

/// # Panics
/// There is no value.
#[must_use]
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    percentile(values.collect(), 50)
}

/// The smallest value that at least `percent` of a hundred do not exceed.
///
/// # Panics
/// There is no value.
#[must_use]
pub fn percentile(mut values: Vec<f64>, percent: usize) -> f64 {
    assert!(!values.is_empty(), "something was measured");
    values.sort_by(f64::total_cmp);
    values[(values.len() * percent).div_ceil(100).max(1) - 1]
}

/// What the whole run says.
#[derive(Debug, Serialize)]
pub struct Report {
    pub results: Vec<Figure>,
}

impl Report {
    #[must_use]
    pub fn falls_short(&self) -> bool {
        self.results.iter().any(|figure| !figure.ok)
    }
}

/// A line of the table that a person reads.
#[must_use]
pub fn line(figure: &Figure) -> String {
    let Figure {
        name,
        unit,
        value,
        baseline,
        ratio,
        target,
        ok,
        detail,
    } = figure;
    let detail = detail.as_deref().unwrap_or_default();
    let verdict = if *ok { "" } else { "  falls short" };
    format!(
        "{name:<22} {value:>12.1} {baseline:>12.1} {unit:<11} {ratio:>7.2} {target:>7.2}  {detail}{verdict}"
    )
}

#[must_use]
pub fn heading() -> String {
    format!(
        "{:<22} {:>12} {:>12} {:<11} {:>7} {:>7}",
        "", "value", "baseline", "unit", "ratio", "target"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(percentile(values.clone(), 50), 100.0);
        assert_eq!(percentile(values.clone(), 99), 198.0);
        assert_eq!(percentile(values, 100), 200.0);
        assert_eq!(percentile(vec![7.0], 99), 7.0);
    }

    #[test]
    fn a_bound_that_is_kept_has_a_ratio_of_one_or_more() {
        assert!(Figure::bound("memory", "MiB", 90.0, 150.0).ok);
        assert!(!Figure::bound("memory", "MiB", 151.0, 150.0).ok);
        let pairs = [Pair {
            value: 64.0,
            baseline: 100.0,
        }];
        assert!(!Figure::rate("drain", "orders/s", &pairs, 0.65).ok);
    }
}

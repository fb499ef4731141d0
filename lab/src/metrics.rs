//! What a service counts, as Prometheus would read it.

use anyhow::Context;

/// A service's `/metrics` at one moment.
#[derive(Debug, Clone)]
pub struct Metrics(Vec<Sample>);

#[derive(Debug, Clone, PartialEq)]
struct Sample {
    name: String,
    /// As they stand between the braces: `cause="connection",partition="0"`.
    labels: String,
    value: f64,
}

impl Metrics {
    /// # Errors
    /// There is no answer, or it is no such text.
    pub async fn read(url: &str) -> anyhow::Result<Self> {
        let text = reqwest::get(url).await?.error_for_status()?.text().await?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let samples = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| Sample::parse(line).with_context(|| line.to_owned()));
        samples.collect::<anyhow::Result<_>>().map(Self)
    }

    /// The sum of a metric over all samples that have these labels; 0 if there is none, as of a counter that never counted.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let with = |sample: &&Sample| {
            sample.name == name
                && labels.iter().all(|(label, value)| {
                    let wanted = format!("{label}=\"{value}\"");
                    sample.labels.split(',').any(|has| has == wanted)
                })
        };
        self.0.iter().filter(with).map(|sample| sample.value).sum()
    }
}

impl Sample {
    fn parse(line: &str) -> Option<Self> {
        let (metric, value) = line.rsplit_once(' ')?;
        let (name, labels) = metric
            .split_once('{')
            .map_or(Some((metric, "")), |(name, rest)| {
                Some((name, rest.strip_suffix('}')?))
            })?;
        Some(Self {
            name: name.to_owned(),
            labels: labels.to_owned(),
            value: value.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summed_by_name_and_labels() {
        let text = "# TYPE retries counter\nretries{cause=\"a\",partition=\"1\"} 2\nretries{cause=\"a\",partition=\"10\"} 3\n\
                    retries{cause=\"b\"} 4.5\n\nretries_more 100\n";
        let metrics = Metrics::parse(text).unwrap();
        assert_eq!(metrics.sum("retries", &[]), 9.5);
        assert_eq!(metrics.sum("retries", &[("cause", "a")]), 5.0);
        assert_eq!(
            metrics.sum("retries", &[("partition", "1"), ("cause", "a")]),
            2.0
        );
        assert_eq!(metrics.sum("retry", &[]), 0.0);
        assert!(Metrics::parse("retries{cause=\"a\" 2").is_err());
    }
}

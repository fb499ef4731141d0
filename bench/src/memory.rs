//! The most memory each service has had in any run.

use std::collections::BTreeMap;

use lab::Service;

use crate::report::Figure;

/// The bounds, in MiB.
const BOUNDS: [(&str, f64); 3] = [
    ("producer", 150.0),
    ("consumer", 150.0),
    ("query-api", 300.0),
];

/// By service: the highest resident memory seen, in bytes.
#[derive(Debug, Default)]
pub struct Peaks(BTreeMap<&'static str, u64>);

impl Peaks {
    /// To be called before a service ends: what it had is gone with it.
    ///
    /// # Errors
    /// It has ended.
    pub fn note(&mut self, service: &Service) -> anyhow::Result<()> {
        let bytes = service.process()?.peak_resident_bytes()?;
        let name = BOUNDS
            .iter()
            .map(|(name, _)| *name)
            .find(|name| service.name().starts_with(name));
        if let Some(name) = name {
            let peak = self.0.entry(name).or_default();
            *peak = bytes.max(*peak);
        }
        Ok(())
    }

    /// A figure for each service that ran.
    #[must_use]
    pub fn figures(&self) -> Vec<Figure> {
        BOUNDS
            .iter()
            .filter_map(|(name, bound)| {
                let peak = mebibytes(*self.0.get(name)?);
                Some(Figure::bound(format!("memory/{name}"), "MiB", peak, *bound))
            })
            .collect()
    }
}

pub(crate) fn mebibytes(bytes: u64) -> f64 {
    const MIB: f64 = 1024.0 * 1024.0;
    // Exact: a process has less than 2⁵³ bytes.
    #[expect(clippy::cast_precision_loss, reason = "a few hundred MiB")]
    let bytes = bytes as f64;
    bytes / MIB
}

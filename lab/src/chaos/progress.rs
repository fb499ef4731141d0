//! Whether orders were acknowledged before, under and after the faults: where nothing came in, nothing was proved.

use std::time::Duration;

use super::fault::Fault;

/// So many before the first fault, and after the last repair.
pub(super) const ENOUGH: usize = 500;
/// While faults last that leave the producer and the broker alone: a hundredth of what comes in otherwise.
const LEAST_PER_SECOND: f64 = 5.0;

/// How many orders were acknowledged when.
#[derive(Debug, Default)]
pub(super) struct Progress {
    before: usize,
    pub after: usize,
    /// While faults lasted that do not stop the producer.
    under_faults: usize,
    lasted: Duration,
}

impl Progress {
    pub(super) fn beginning(before: usize) -> Self {
        Self {
            before,
            ..Self::default()
        }
    }

    /// Faults that struck together, how long they lasted, and what was acknowledged meanwhile.
    pub(super) fn enter(&mut self, faults: &[Fault], lasted: Duration, acknowledged: usize) {
        if !faults.iter().any(|fault| fault.stops_producer()) {
            self.lasted += lasted;
            self.under_faults += acknowledged;
        }
    }

    pub(super) fn violations(&self) -> Vec<String> {
        let Self {
            before,
            after,
            under_faults,
            lasted,
        } = self;
        let mut violations = Vec::new();
        if *before < ENOUGH {
            violations.push(format!(
                "{before} orders were acknowledged before the first fault, which proves nothing"
            ));
        }
        if *after < ENOUGH {
            violations.push(format!(
                "{after} orders were acknowledged after the last repair: the producer has not recovered"
            ));
        }
        let least = lasted.as_secs_f64() * LEAST_PER_SECOND;
        if u32::try_from(*under_faults).is_ok_and(|under_faults| f64::from(under_faults) < least) {
            violations.push(format!(
                "{under_faults} orders were acknowledged in {lasted:.1?} of faults that do not concern the producer"
            ));
        }
        violations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LASTED: Duration = Duration::from_secs(10);

    fn violations(before: usize, under: (&[Fault], usize), after: usize) -> String {
        let mut progress = Progress::beginning(before);
        progress.after = after;
        progress.enter(under.0, LASTED, under.1);
        progress.violations().join("\n")
    }

    #[test]
    fn a_run_in_which_nothing_came_in_is_no_proof() {
        let frozen: &[Fault] = &[Fault::ConsumerFrozen(0)];
        assert_eq!(violations(ENOUGH, (frozen, 1_000), ENOUGH), "");
        assert!(
            violations(1, (frozen, 1_000), ENOUGH).contains("1 orders were acknowledged before")
        );
        assert!(
            violations(ENOUGH, (frozen, 1_000), 2).contains("2 orders were acknowledged after")
        );
        assert!(
            violations(ENOUGH, (frozen, 3), ENOUGH).contains("3 orders were acknowledged in 10")
        );
    }

    #[test]
    fn nothing_has_to_come_in_while_the_broker_or_the_producer_is_down() {
        for fault in [
            Fault::BrokerKilled,
            Fault::BrokerFrozen,
            Fault::ProducerKilled,
        ] {
            let faults = [Fault::ConsumerKilled(0), fault];
            assert_eq!(violations(ENOUGH, (&faults, 0), ENOUGH), "");
        }
    }
}

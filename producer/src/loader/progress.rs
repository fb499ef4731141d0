//! What whoever watches sees: a bar on a terminal, a line every few seconds elsewhere. All of it on standard error.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{DecimalBytes, HumanCount, HumanDuration, ProgressBar, ProgressStyle};

/// Between updates of the bar.
const BAR_INTERVAL: Duration = Duration::from_millis(100);
/// Between lines.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

pub(super) struct Progress {
    /// Bytes read, as they are stored.
    pub(super) read: Arc<AtomicU64>,
    /// Bytes in all, where that is known.
    total: Option<u64>,
    /// Orders that earlier loads had accepted.
    resumed_orders: u64,
    started: Instant,
    next_update: Instant,
    view: View,
}

enum View {
    Bar(ProgressBar),
    Lines,
}

impl Progress {
    pub(super) fn new(total: Option<u64>, resumed_orders: u64) -> Self {
        let view = if io::stderr().is_terminal() {
            View::Bar(bar(total))
        } else {
            View::Lines
        };
        let started = Instant::now();
        let first = match view {
            View::Bar(_) => BAR_INTERVAL,
            View::Lines => LINE_INTERVAL,
        };
        Self {
            read: Arc::default(),
            total,
            resumed_orders,
            started,
            next_update: started + first,
            view,
        }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Whether it is time to call [`Progress::update`].
    pub(super) fn is_due(&self) -> bool {
        Instant::now() >= self.next_update
    }

    /// Shows how many orders have been accepted, and what is being waited for, if anything.
    pub(super) fn update(&mut self, accepted: u64, waiting_for: Option<&str>) {
        let read = self.read.load(Ordering::Relaxed);
        let rate = per_second(
            accepted.saturating_sub(self.resumed_orders),
            self.started.elapsed(),
        );
        let orders = format!("{} orders, {}/s", HumanCount(accepted), HumanCount(rate));
        let waiting = waiting_for
            .map(|reason| format!(" (waiting: {reason})"))
            .unwrap_or_default();
        match &self.view {
            View::Bar(bar) => {
                bar.set_position(read);
                bar.set_message(format!("{orders}{waiting}"));
                self.next_update = Instant::now() + BAR_INTERVAL;
            }
            View::Lines => {
                let share = self.share(read, waiting_for.is_some());
                eprintln!("{share}{orders}{waiting}");
                self.next_update = Instant::now() + LINE_INTERVAL;
            }
        }
    }

    /// How much is done and how long the rest takes, where that can be known.
    fn share(&self, read: u64, is_waiting: bool) -> String {
        let Some(total) = self.total.filter(|total| *total > 0) else {
            return format!("{} read, ", DecimalBytes(read));
        };
        let percent = u128::from(read) * 100 / u128::from(total);
        if is_waiting {
            return format!("{percent} % read, ");
        }
        let left = remaining(self.started.elapsed(), read, total);
        format!("{percent} %, about {} left, ", HumanDuration(left))
    }

    /// Says something beside the progress.
    pub(super) fn say(&self, text: &str) {
        match &self.view {
            View::Bar(bar) => bar.suspend(|| eprintln!("{text}")),
            View::Lines => eprintln!("{text}"),
        }
    }

    pub(super) fn finish(&self) {
        match &self.view {
            View::Bar(bar) => bar.finish_and_clear(),
            View::Lines => {}
        }
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (
            ProgressBar::new(total),
            "{bar:32.cyan/dim} {percent:>3} %  {msg}  {decimal_bytes_per_sec}  {eta} left",
        ),
        None => (
            ProgressBar::no_length(),
            "{spinner} {decimal_bytes} read  {msg}  {decimal_bytes_per_sec}",
        ),
    };
    bar.with_style(ProgressStyle::with_template(template).expect("the template is a constant"))
}

pub(super) fn per_second(count: u64, elapsed: Duration) -> u64 {
    let milliseconds = elapsed.as_millis().max(1);
    u64::try_from(u128::from(count) * 1000 / milliseconds).unwrap_or(u64::MAX)
}

fn remaining(elapsed: Duration, read: u64, total: u64) -> Duration {
    let left = u128::from(total.saturating_sub(read));
    let milliseconds = elapsed.as_millis() * left / u128::from(read.max(1));
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or(u64::MAX))
}

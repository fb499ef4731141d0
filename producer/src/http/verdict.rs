//! A batch's answer: one verdict a record, in the order in which they were sent.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use common::ids::OrderId;
use common::order::FieldError;
use serde::ser::SerializeSeq as _;
use serde::{Serialize, Serializer};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use crate::publisher::{Delivered, Ledger, PublishError, Undelivered};

/// What became of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted,
    Rejected(Vec<FieldError>),
    /// Not known to be stored: safe to send again with its order_id.
    Retry,
}

/// One record of a batch: its id, where one is known, and its verdict.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) order_id: Option<OrderId>,
    pub(super) verdict: Verdict,
}

/// Waits for the reports of a batch's records. It starts with one thing open, the batch itself, so that reports cannot
/// bring it to an end while records are still being handed over.
#[derive(Debug)]
pub(super) struct Reports {
    open: AtomicUsize,
    all_in: Notify,
    verdicts: Mutex<Vec<(usize, Verdict)>>,
}

impl Reports {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            open: AtomicUsize::new(1),
            all_in: Notify::new(),
            verdicts: Mutex::default(),
        })
    }

    /// One more report to wait for.
    pub(super) fn expect_one(&self) {
        self.open.fetch_add(1, Ordering::AcqRel);
    }

    /// One less: it came, or will not come.
    pub(super) fn one_less(&self) {
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.all_in.notify_one();
        }
    }

    /// Waits for what is still open, up to `deadline`, and takes what came by then.
    pub(super) async fn wait(&self, deadline: Instant) -> Vec<(usize, Verdict)> {
        self.one_less();
        if timeout_at(deadline, self.all_in.notified()).await.is_err() {
            tracing::debug!("a batch was answered before all reports were in");
        }
        std::mem::take(&mut *self.verdicts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, number: u64, verdict: Verdict) {
        let index = usize::try_from(number).expect("a batch's numbers are indices");
        self.verdicts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((index, verdict));
        self.one_less();
    }
}

impl Ledger for Reports {
    fn delivered(&self, number: u64, _: Delivered) {
        self.note(number, Verdict::Accepted);
    }

    fn failed(&self, number: u64, error: PublishError, _: &dyn Fn() -> Undelivered) {
        self.note(number, Verdict::of(&error));
    }
}

impl Verdict {
    pub(super) fn of(error: &PublishError) -> Self {
        match error {
            PublishError::TooLarge => Self::rejected_whole(format!("is {error}")),
            PublishError::QueueFull | PublishError::NotConnected | PublishError::Unconfirmed(_) => {
                Self::Retry
            }
        }
    }

    pub(super) fn rejected_whole(detail: String) -> Self {
        Self::Rejected(vec![FieldError {
            pointer: String::new(),
            detail,
        }])
    }
}

/// The answer to a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BatchAnswer {
    /// Members of a problem document, where the answer is one.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub(super) problem: Option<Problem>,
    pub(super) accepted: usize,
    pub(super) rejected: usize,
    pub(super) retry: usize,
    /// One for each order, in the order in which they were sent.
    #[schema(value_type = Vec<OneOfBatch>)]
    pub(super) results: Results,
}

/// What became of one order of a batch.
#[derive(Serialize, ToSchema)]
struct OneOfBatch<'a> {
    index: usize,
    /// Null where it is not known.
    #[schema(value_type = Option<OrderId>)]
    order_id: Option<&'a OrderId>,
    /// `accepted`; `rejected`: never send it again as it is; `retry`: send it again with this order_id.
    #[schema(value_type = String)]
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<FieldError>>)]
    errors: Option<&'a [FieldError]>,
}

#[derive(Debug, Serialize)]
pub(super) struct Problem {
    pub(super) r#type: &'static str,
    pub(super) title: &'static str,
    pub(super) status: u16,
    pub(super) detail: &'static str,
}

#[derive(Debug)]
pub(super) struct Results(pub(super) Vec<Entry>);

impl BatchAnswer {
    pub(super) fn new(entries: Vec<Entry>) -> Self {
        let count = |wanted: fn(&Verdict) -> bool| {
            entries
                .iter()
                .filter(|entry| wanted(&entry.verdict))
                .count()
        };
        Self {
            problem: None,
            accepted: count(|verdict| matches!(verdict, Verdict::Accepted)),
            rejected: count(|verdict| matches!(verdict, Verdict::Rejected(_))),
            retry: count(|verdict| matches!(verdict, Verdict::Retry)),
            results: Results(entries),
        }
    }
}

impl Serialize for Results {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut results = serializer.serialize_seq(Some(self.0.len()))?;
        for (index, Entry { order_id, verdict }) in self.0.iter().enumerate() {
            let (status, errors) = match verdict {
                Verdict::Accepted => ("accepted", None),
                Verdict::Rejected(errors) => ("rejected", Some(errors.as_slice())),
                Verdict::Retry => ("retry", None),
            };
            results.serialize_element(&OneOfBatch {
                index,
                order_id: order_id.as_ref(),
                status,
                errors,
            })?;
        }
        results.end()
    }
}

//! What the client last complained of. Its calls fail with "transport failure" whatever the reason is; why a connection fails (a
//! certificate, a password, nobody there) is only in its log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, ProducerContext};

use super::client::admin_config;
use super::config::PublisherConfig;

/// The facility under which a connection's failure is logged.
const CONNECTION_FAILED: &str = "FAIL";

/// Shared by a client's context, which hears, and whoever has to tell.
#[derive(Debug, Clone, Default)]
pub(super) struct Complaint(Arc<Mutex<Option<String>>>);

impl Complaint {
    pub(super) fn hear(&self, facility: &str, line: &str) {
        if facility == CONNECTION_FAILED {
            *self.reason() = Some(reason(line).to_owned());
        }
    }

    /// Why the last connection failed.
    pub(super) fn last(&self) -> Option<String> {
        self.reason().clone()
    }

    /// The broker has answered: what was the matter is over.
    pub(super) fn withdraw(&self) {
        *self.reason() = None;
    }

    fn reason(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `[thrd:…]: ` before and `(after 5ms in state …)` behind it are of use to librdkafka's authors.
fn reason(line: &str) -> &str {
    let line = match line.split_once("]: ") {
        Some((thread, rest)) if thread.starts_with("[thrd:") => rest,
        _ => line,
    };
    line.rsplit_once(" (after ")
        .map_or(line, |(reason, _)| reason)
}

/// Connects anew only to hear why that fails: an admin client hears nothing.
pub(super) fn reason_of_silence(config: &PublisherConfig) -> Option<String> {
    /// A broker that is only slow should not be kept waiting by this.
    const PATIENCE: Duration = Duration::from_secs(1);
    const TICK: Duration = Duration::from_millis(50);
    let complaint = Complaint::default();
    let context = Listening(complaint.clone());
    let client: BaseProducer<Listening> = admin_config(config)
        // That a broker hung up is only worth that much to librdkafka.
        .set_log_level(RDKafkaLogLevel::Info)
        .create_with_context(context)
        .ok()?;
    let deadline = Instant::now() + PATIENCE;
    while complaint.last().is_none() && Instant::now() < deadline {
        client.poll(TICK);
    }
    complaint.last()
}

/// The context of a client that only listens.
struct Listening(Complaint);

impl ProducerContext for Listening {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

impl ClientContext for Listening {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.hear(facility, message);
        tracing::debug!(target: "librdkafka", ?level, facility, "{message}");
    }

    /// What is said there was logged before.
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, reason, "client error");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_the_reason_until_it_is_withdrawn() {
        let complaint = Complaint::default();
        complaint.hear("CONFWARN", "[thrd:app]: something else");
        assert_eq!(complaint.last(), None);
        let line = "[thrd:sasl_ssl://b:9/bootstrap]: sasl_ssl://b:9/bootstrap: SASL authentication error: no (after 5ms in state AUTH_REQ)";
        complaint.hear(CONNECTION_FAILED, line);
        let reason = "sasl_ssl://b:9/bootstrap: SASL authentication error: no";
        assert_eq!(complaint.last().as_deref(), Some(reason));
        complaint.withdraw();
        assert_eq!(complaint.last(), None);
    }
}

//! Why a broker does not answer: a password, a certificate, nobody there. An admin client's calls say "transport failure"
//! whatever it is; the reason is only in the log of a client that is polled.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, ProducerContext};
use rdkafka::{ClientConfig, ClientContext};

const PATIENCE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(50);
/// The facility under which a connection's failure is logged.
const CONNECTION_FAILED: &str = "FAIL";

/// Connects anew and tells why that fails; `None` where it does not, or not soon. Blocks.
pub(super) fn reason(config: &ClientConfig) -> Option<String> {
    let heard = Arc::default();
    let client: BaseProducer<Listening> = config
        .clone()
        // That a broker hung up is only worth that much to librdkafka.
        .set_log_level(RDKafkaLogLevel::Info)
        .create_with_context(Listening(Arc::clone(&heard)))
        .ok()?;
    let deadline = Instant::now() + PATIENCE;
    let last = || heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
    while last().is_none() && Instant::now() < deadline {
        client.poll(TICK);
    }
    last()
}

struct Listening(Arc<Mutex<Option<String>>>);

impl ClientContext for Listening {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, line: &str) {
        if facility == CONNECTION_FAILED {
            // What follows differs each time.
            let reason = line
                .rsplit_once(" (after ")
                .map_or(line, |(reason, _)| reason);
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        }
    }

    /// What is said there is in the log, too.
    fn error(&self, _: KafkaError, _: &str) {}
}

impl ProducerContext for Listening {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

//! The summary as it changes, for all who listen: printed once, whoever and however many they are.
//!
//! Nothing is queued for anybody: a channel holds the newest state alone. Who is slow skips to it, and needs no more memory
//! than who is not. The state is compared with what a listener was sent last, by the id of its summary, so that who comes
//! back with the id of what he has (`Last-Event-ID`) is sent only what is new to him.
//!
//! It knows nothing of HTTP; a listener is a stream of text that is ready to send.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::ids::Currency;
use common::order::ContentHash;
use common::time::Timestamp;
use futures_util::{Stream, stream};
use metrics::{counter, gauge};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::analytics::{Analytics, Live};
use crate::freshness::{Database, Freshness, FreshnessReceiver, Seen, Totals};
use crate::questions::Question;
use crate::touches::{Tick, Touches};
use crate::views;

/// Between two changes that are sent. With the feed's interval it stays below the bound on staleness, and it bounds what a
/// thousand listeners cost while orders pour in.
const SPACING: Duration = Duration::from_millis(150);
/// The longest silence: a listener who hears nothing for much longer has lost the connection.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// After this a stream ends, and its listener comes back by itself, past the gate: a key that was withdrawn opens nothing
/// for longer.
const LONGEST: Duration = Duration::from_mins(15);
/// When to come back after the connection was lost, in milliseconds.
const RETRY_MS: u64 = 1_000;

/// No more may listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many are listening already")]
pub struct TooManyListeners;

/// What a listener is to know now.
#[derive(Debug, Default)]
struct State {
    /// `None` before the first summary.
    summary: Option<Summary>,
    freshness: Bytes,
}

#[derive(Debug, Clone)]
struct Summary {
    /// The same for the same content, whichever query API it comes from.
    id: Bytes,
    /// The summary's event with the freshness behind it.
    text: Bytes,
}

/// Where listeners come to.
#[derive(Debug, Clone)]
pub struct Events {
    newest: watch::Receiver<Arc<State>>,
    room: Arc<Semaphore>,
    capacity: usize,
}

/// The task that prints what they are sent.
pub struct Publisher {
    live: Arc<Live>,
    default_currency: Currency,
    newest: watch::Sender<Arc<State>>,
    events: Events,
    /// What the summary that was printed last was made of.
    printed: Option<(Tick, Vec<u8>)>,
}

/// Room for `capacity` listeners.
#[must_use]
pub fn events(live: Arc<Live>, default_currency: Currency, capacity: usize) -> (Publisher, Events) {
    let (newest, receiver) = watch::channel(Arc::default());
    let events = Events {
        newest: receiver,
        room: Arc::new(Semaphore::new(capacity)),
        capacity,
    };
    let publisher = Publisher {
        live,
        default_currency,
        newest,
        events: events.clone(),
        printed: None,
    };
    (publisher, events)
}

/// What a listener is sent first where nothing has been ordered yet: for the API's description.
pub(crate) fn example() -> String {
    let live = Arc::new(Live::default());
    live.replace(Some(Analytics::default()));
    let tick = Touches::default().now();
    let as_of = Timestamp::EPOCH;
    let seen = Seen::new(tick, as_of, Instant::now(), Arc::default(), Arc::default());
    let freshness = Freshness {
        seen: Some(Arc::new(seen)),
        database: Database::Reachable,
        totals: Totals::Loaded,
    };
    let currency = Currency::parse("USD").expect("it keeps the rule");
    let (mut publisher, _) = events(live, currency, 0);
    let first = publisher.print(&freshness).summary;
    let text = first.map(|summary| summary.text).unwrap_or_default();
    String::from_utf8_lossy(&text).into_owned()
}

/// One who listens.
struct Listener {
    newest: watch::Receiver<Arc<State>>,
    /// The id of the summary he has.
    has: Option<Bytes>,
    ends_at: Instant,
    _room: OwnedSemaphorePermit,
}

impl Events {
    /// The newest state at once, and each that follows; `last_event_id` is that of the last summary the listener has. It
    /// ends when the service stops, and after [`LONGEST`].
    ///
    /// # Errors
    /// [`TooManyListeners`].
    pub fn listen(
        &self,
        last_event_id: Option<Bytes>,
    ) -> Result<impl Stream<Item = Bytes> + use<>, TooManyListeners> {
        let listener = self.listener(last_event_id)?;
        Ok(stream::unfold(listener, |mut listener| async move {
            listener.next().await.map(|text| (text, listener))
        }))
    }

    fn listener(&self, last_event_id: Option<Bytes>) -> Result<Listener, TooManyListeners> {
        let room = Arc::clone(&self.room).try_acquire_owned();
        let mut listener = Listener {
            newest: self.newest.clone(),
            has: last_event_id,
            ends_at: Instant::now() + LONGEST,
            _room: room.map_err(|_| TooManyListeners)?,
        };
        listener.newest.mark_changed();
        Ok(listener)
    }

    fn listeners(&self) -> usize {
        self.capacity.saturating_sub(self.room.available_permits())
    }
}

impl Listener {
    async fn next(&mut self) -> Option<Bytes> {
        // There is always a next one soon: the heartbeat.
        if Instant::now() >= self.ends_at {
            return None;
        }
        let state = loop {
            self.newest.changed().await.ok()?;
            let state = Arc::clone(&self.newest.borrow_and_update());
            // Nothing is published yet; an empty text would be the end of the stream.
            if !state.freshness.is_empty() {
                break state;
            }
        };
        match &state.summary {
            Some(summary) if self.has.as_ref() != Some(&summary.id) => {
                self.has = Some(summary.id.clone());
                Some(summary.text.clone())
            }
            Some(_) | None => Some(state.freshness.clone()),
        }
    }
}

impl Publisher {
    /// Follows the feed until `stop`; then every listener's stream ends.
    pub async fn run(mut self, mut freshness: FreshnessReceiver, stop: CancellationToken) {
        let publishing = async {
            let mut last = Last::default();
            // At each look of the feed; when the database is away there are none, and the heartbeat goes on.
            loop {
                let looked = tokio::time::timeout(HEARTBEAT, freshness.changed()).await;
                if matches!(looked, Ok(Err(_))) {
                    return;
                }
                let now = freshness.borrow_and_update().clone();
                if last.is_due(&now) {
                    self.publish(&now);
                    last = Last::of(&now);
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = publishing => {}
        }
    }

    fn publish(&mut self, freshness: &Freshness) {
        let state = self.print(freshness);
        self.newest.send_replace(Arc::new(state));
        counter!("query_api_events_total").increment(1);
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        gauge!("query_api_event_listeners").set(self.events.listeners() as f64);
    }

    fn print(&mut self, freshness: &Freshness) -> State {
        self.print_summary(freshness);
        let printed = print_freshness(freshness);
        let summary = self.printed.as_ref().map(|(_, json)| {
            let id = ContentHash::of(json).to_string();
            let json = String::from_utf8_lossy(json);
            let text =
                format!("retry: {RETRY_MS}\nid: {id}\nevent: summary\ndata: {json}\n\n{printed}");
            Summary {
                id: id.into(),
                text: text.into(),
            }
        });
        State {
            summary,
            freshness: printed.into(),
        }
    }

    /// Only after a change; while the totals are loaded again the last one stands.
    fn print_summary(&mut self, freshness: &Freshness) {
        let Some(seen) = &freshness.seen else { return };
        let is_printed = self
            .printed
            .as_ref()
            .is_some_and(|(tick, _)| *tick == seen.tick);
        if is_printed {
            return;
        }
        if let Ok(json) = views::answer(&self.live, Question::Summary, self.default_currency) {
            self.printed = Some((seen.tick, json));
        }
    }
}

/// What was published last, and when.
#[derive(Default)]
struct Last {
    at: Option<Instant>,
    tick: Option<Tick>,
    database: Option<Database>,
}

impl Last {
    fn of(freshness: &Freshness) -> Self {
        Self {
            at: Some(Instant::now()),
            tick: freshness.seen.as_ref().map(|seen| seen.tick),
            database: Some(freshness.database),
        }
    }

    fn is_due(&self, now: &Freshness) -> bool {
        let Some(at) = self.at else { return true };
        let has_changed = self.tick != now.seen.as_ref().map(|seen| seen.tick)
            || self.database != Some(now.database);
        let silence = at.elapsed();
        silence >= HEARTBEAT || (has_changed && silence >= SPACING)
    }
}

/// How far the summary reaches, whether it can reach further, and how far the tables are behind the topic.
fn print_freshness(freshness: &Freshness) -> String {
    #[derive(Serialize)]
    struct View {
        as_of: Option<Timestamp>,
        database: &'static str,
        lag: Option<u64>,
        lag_read_at: Option<Timestamp>,
    }
    let seen = freshness.seen.as_ref();
    let view = View {
        as_of: seen.map(|seen| seen.as_of),
        database: freshness.database.name(),
        lag: seen.and_then(|seen| seen.lag.records()),
        lag_read_at: seen.and_then(|seen| seen.lag.read_at()),
    };
    let json = serde_json::to_string(&view).expect("a view is made of strings and numbers");
    format!("event: freshness\ndata: {json}\n\n")
}

#[cfg(test)]
mod tests;

//! What all requests share.

use std::sync::Arc;
use std::time::Duration;

use common::http::{HttpError, Room};
use common::ids::OrderId;
use metrics::Counter;

use crate::config::{OrderSettings, QueryUrl};
use crate::publisher::{PublishError, Publisher};

/// When to come again after a 503: a broker that restarts needs a moment.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(2);

/// What handlers need.
pub struct Door {
    pub(super) publisher: Arc<Publisher>,
    pub(super) settings: OrderSettings,
    pub(super) query_url: Option<QueryUrl>,
    /// For the bodies of single orders, over all requests.
    pub(super) order_room: Arc<Room>,
    /// For the bodies of batches, and what is told of them until it is sent; for what is told of a large order that has very
    /// many errors, too. Of their own, so that some batches do not keep all orders out.
    pub(super) batch_room: Arc<Room>,
    pub(super) outcomes: Outcomes,
}

/// `orders_total` by what became of them.
pub(super) struct Outcomes {
    pub(super) accepted: Counter,
    pub(super) rejected: Counter,
    pub(super) unknown: Counter,
}

impl Door {
    #[must_use]
    pub fn new(
        publisher: Arc<Publisher>,
        settings: OrderSettings,
        query_url: Option<QueryUrl>,
    ) -> Self {
        let room = |bytes| Room::new(usize::try_from(bytes).unwrap_or(usize::MAX));
        let order_room = room(settings.order_buffer_bytes);
        let batch_room = room(settings.batch_buffer_bytes);
        let outcome = |outcome| metrics::counter!("orders_total", "outcome" => outcome);
        let outcomes = Outcomes {
            accepted: outcome("accepted"),
            rejected: outcome("rejected"),
            unknown: outcome("unknown"),
        };
        Self {
            publisher,
            settings,
            query_url,
            order_room,
            batch_room,
            outcomes,
        }
    }
}

/// What a client is told of an order that is not known to be published.
pub(super) fn not_published(error: &PublishError, order_id: OrderId) -> HttpError {
    match error {
        PublishError::TooLarge => HttpError::PayloadTooLarge {
            detail: format!("the order is {error}"),
            order_id: Some(order_id),
        },
        PublishError::QueueFull | PublishError::NotConnected | PublishError::Unconfirmed(_) => {
            HttpError::Unavailable {
                detail: format!("{error}; send it again with this order_id: it is counted once"),
                retry_after: RETRY_AFTER,
                order_id: Some(order_id),
            }
        }
    }
}

//! What answers are kept by.

use common::ids::{Currency, OrderId, UserId};

use crate::analytics::Grain;
use crate::charts::Chart;
use crate::questions::Question;
use crate::repo::Hours;
use crate::touches::Subject;

/// What an answer is the answer to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    Order(OrderId),
    /// The first page of a user's orders.
    OrdersOfUser {
        user_id: UserId,
        limit: u16,
    },
    /// The first page of all orders.
    NewestOrders {
        limit: u16,
    },
    /// A user's series; its hours are those that were meant, whatever was asked.
    SeriesOfUser {
        user_id: UserId,
        currency: Currency,
        grain: Grain,
        hours: Hours,
    },
    /// How many users ordered in each period.
    ActiveUsers {
        currency: Currency,
        grain: Grain,
        hours: Hours,
    },
    Question(Question),
    Chart(Chart),
}

impl Key {
    pub(super) fn subject(&self) -> Subject<'_> {
        match self {
            Self::OrdersOfUser { user_id, .. } | Self::SeriesOfUser { user_id, .. } => {
                Subject::User(user_id.as_str())
            }
            Self::ActiveUsers { hours, .. } => Subject::Hours(hours.from, hours.to),
            // An order's own user is known when it is.
            Self::Order(_) | Self::NewestOrders { .. } | Self::Question(_) | Self::Chart(_) => {
                Subject::Everything
            }
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::OrdersOfUser { user_id, .. } | Self::SeriesOfUser { user_id, .. } => {
                user_id.as_str().len()
            }
            Self::Order(_)
            | Self::ActiveUsers { .. }
            | Self::NewestOrders { .. }
            | Self::Question(_)
            | Self::Chart(_) => 0,
        }
    }
}

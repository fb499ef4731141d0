//! The order: one canonical form, every accepted spelling, and the hash that tells two contents apart.
//!
//! Normalise, then complete. [`Order::parse`] *normalises*: it maps spellings, numbers and key order and adds nothing, so
//! that the same body always gives the same [`Order`], the same text ([`Order::to_json`]) and the same [`ContentHash`],
//! whenever it is sent. [`Order::complete`] fills in what was left out; only the consumer does that.
//!
//! This module does not know HTTP, Kafka or SQL.

use crate::ids::{Currency, OrderId, UserId};
use crate::money::Amount;
use crate::time::Timestamp;

mod attributes;
mod complete;
mod decode;
mod hash;
mod print;
mod rejection;
#[cfg(test)]
mod tests;
mod text;

pub use attributes::Attributes;
pub use complete::{CompleteItem, CompleteOrder, Defaults};
pub use decode::is_order_id_key;
pub use hash::ContentHash;
pub use rejection::{FieldError, Rejection, excerpt};

/// The largest order, in bytes of JSON.
pub const MAX_ORDER_BYTES: usize = 512 * 1024;
/// The most items an order may have.
pub const MAX_ITEMS: usize = 5_000;
/// The largest `attributes` of an order, those of its parts included, in bytes of JSON with its numbers written out.
pub const MAX_ATTRIBUTES_BYTES: usize = 16 * 1024;
/// How deep objects and arrays may nest.
pub const MAX_DEPTH: usize = 64;

/// An order in normalised form: what was sent, under canonical names, with nothing added.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Order {
    pub order_id: Option<OrderId>,
    pub user_id: UserId,
    pub created_at: Option<Timestamp>,
    pub currency: Option<Currency>,
    pub amount: Option<Amount>,
    #[cfg_attr(feature = "http", schema(required = false))]
    pub items: Vec<Item>,
    pub delivery: Option<Delivery>,
    pub payment: Option<Payment>,
    pub track_number: Option<String>,
    #[cfg_attr(feature = "http", schema(required = false))]
    pub attributes: Attributes,
}

/// One line of an order. `sku` or `name` is there, and `unit_price` or `total_price`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Item {
    pub sku: Option<String>,
    pub name: Option<String>,
    /// 1 to 2³¹−1, read by its value (`2.0` is 2); absent means 1.
    pub quantity: Option<i32>,
    pub unit_price: Option<Amount>,
    /// Absent means quantity × unit price.
    pub total_price: Option<Amount>,
    #[cfg_attr(feature = "http", schema(required = false))]
    pub attributes: Attributes,
}

/// Where an order goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Delivery {
    pub name: Option<String>,
    pub phone: Option<String>,
    pub zip: Option<String>,
    pub city: Option<String>,
    pub address: Option<String>,
    pub region: Option<String>,
    pub email: Option<String>,
    #[cfg_attr(feature = "http", schema(required = false))]
    pub attributes: Attributes,
}

/// How an order was paid.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Payment {
    pub transaction: Option<String>,
    pub request_id: Option<String>,
    pub currency: Option<Currency>,
    pub provider: Option<String>,
    pub amount: Option<Amount>,
    /// Unix seconds.
    pub payment_dt: Option<i64>,
    pub bank: Option<String>,
    pub delivery_cost: Option<Amount>,
    pub goods_total: Option<Amount>,
    pub custom_fee: Option<Amount>,
    #[cfg_attr(feature = "http", schema(required = false))]
    pub attributes: Attributes,
}

//! Completing: what a normalised order leaves out is filled in, once, by the consumer.

use super::{Attributes, Delivery, Item, Order, Payment};
use crate::ids::{Currency, OrderId, UserId};
use crate::money::Amount;
use crate::time::Timestamp;

/// What an order gets where it says nothing itself.
#[derive(Debug, Clone)]
pub struct Defaults {
    pub order_id: OrderId,
    /// When it was received.
    pub created_at: Timestamp,
    pub currency: Currency,
}

/// An order with nothing left to decide: what is stored and counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompleteOrder {
    pub order_id: OrderId,
    pub user_id: UserId,
    pub created_at: Timestamp,
    pub currency: Currency,
    pub amount: Amount,
    pub items: Vec<CompleteItem>,
    pub delivery: Option<Delivery>,
    pub payment: Option<Payment>,
    pub track_number: Option<String>,
    pub attributes: Attributes,
}

/// One line of a complete order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompleteItem {
    pub sku: Option<String>,
    pub name: Option<String>,
    /// 1 to 2³¹−1.
    pub quantity: i32,
    pub unit_price: Option<Amount>,
    pub total_price: Amount,
    pub attributes: Attributes,
}

const QUANTITY: i32 = 1;

impl Order {
    /// Fills in what was left out: the currency from the payment, the amount from the payment or the items, the rest
    /// from `defaults`.
    ///
    /// # Panics
    /// Where a product or the sum has more than 15 digits before the decimal point. [`Order::parse`] refuses such
    /// orders, so only an order put together by hand can be one.
    #[must_use]
    pub fn complete(self, defaults: Defaults) -> CompleteOrder {
        let payment = self.payment.as_ref();
        let amount = self
            .amount
            .or_else(|| payment.and_then(|payment| payment.amount))
            .unwrap_or_else(|| sum(&self.items).expect("a parsed order's sum is in range"));
        let currency = self
            .currency
            .or_else(|| payment.and_then(|payment| payment.currency));
        CompleteOrder {
            order_id: self.order_id.unwrap_or(defaults.order_id),
            user_id: self.user_id,
            created_at: self.created_at.unwrap_or(defaults.created_at),
            currency: currency.unwrap_or(defaults.currency),
            amount,
            items: self.items.into_iter().map(Item::complete).collect(),
            delivery: self.delivery,
            payment: self.payment,
            track_number: self.track_number,
            attributes: self.attributes,
        }
    }
}

impl Item {
    /// What the line costs: `total_price`, else quantity × unit price. `None` where that is out of range, and where
    /// there is no price at all.
    pub(super) fn line_total(&self) -> Option<Amount> {
        self.total_price.or_else(|| {
            let quantity = u32::try_from(self.quantity.unwrap_or(QUANTITY)).ok()?;
            self.unit_price?.checked_mul(quantity)
        })
    }

    fn complete(self) -> CompleteItem {
        let total_price = self
            .line_total()
            .expect("a parsed item has a price, and its product is in range");
        CompleteItem {
            sku: self.sku,
            name: self.name,
            quantity: self.quantity.unwrap_or(QUANTITY),
            unit_price: self.unit_price,
            total_price,
            attributes: self.attributes,
        }
    }
}

/// The sum of all lines; `None` where it or one of them is out of range.
pub(super) fn sum(items: &[Item]) -> Option<Amount> {
    items.iter().try_fold(Amount::ZERO, |sum, item| {
        sum.checked_add(item.line_total()?)
    })
}

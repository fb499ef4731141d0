//! The order's own fields, and what must hold between them.

use super::item::ItemDraft;
use super::place::Place;
use super::reader::{NotJson, Value};
use super::scalar::{ARRAY, Field};
use super::spelling::{Claims, Fields, ItemField, OrderField};
use super::string::Text;
use super::{Decoder, Open, depth};
use crate::ids::{Currency, OrderId, UserId};
use crate::money::Amount;
use crate::order::complete;
use crate::order::{
    Attributes, Delivery, Item, MAX_ATTRIBUTES_BYTES, MAX_ITEMS, Order, Payment, Rejection,
};
use crate::time::Timestamp;

/// An order while it is being read.
#[derive(Default)]
pub(super) struct Draft {
    order_id: Field<OrderId>,
    user_id: Field<UserId>,
    created_at: Field<Timestamp>,
    currency: Field<Currency>,
    amount: Field<Amount>,
    items: Field<Vec<Item>>,
    delivery: Option<Delivery>,
    payment: Option<Payment>,
    /// Whether the payment had an amount, be it one that was refused.
    payment_amount_sent: bool,
    track_number: Field<String>,
    attributes: Attributes,
    undecided: Vec<Undecided>,
}

/// A field at top level that belongs to a single item, if there is one: that is not known before the end of the order.
#[derive(Clone, Copy)]
struct Undecided {
    key: &'static str,
    /// Where its value is.
    position: usize,
    /// Whether it says that there is one.
    names_product: bool,
}

impl Decoder<'_> {
    /// The value that is the whole text.
    pub(super) fn order(&mut self) -> Result<Draft, NotJson> {
        let mut draft = Draft::default();
        let here = Place::Whole;
        if !self.enter_object(&here)? {
            return Ok(draft);
        }
        let open = self.begin_attributes(depth::ORDER_ATTRIBUTES);
        self.members(&here, open, |decoder, field, key| {
            decoder.order_field(&mut draft, field, key)
        })?;
        if !draft.undecided.is_empty() {
            let end = self.reader.position();
            self.decide(&mut draft, open)?;
            self.reader.go_to(end);
        }
        draft.attributes = self.end_attributes(open, &here);
        self.check(&draft);
        Ok(draft)
    }

    fn order_field(
        &mut self,
        draft: &mut Draft,
        field: OrderField,
        key: &'static str,
    ) -> Result<(), NotJson> {
        let at = &Place::Member(&Place::Whole, key);
        match field {
            OrderField::OrderId => draft.order_id = self.order_id(at)?,
            OrderField::UserId => draft.user_id = self.user_id(at)?,
            OrderField::CreatedAt => draft.created_at = self.created_at(at)?,
            OrderField::Currency => draft.currency = self.currency(at)?,
            OrderField::Amount => draft.amount = self.amount(at)?,
            OrderField::Items => draft.items = self.items(at)?,
            OrderField::Delivery => draft.delivery = self.delivery(at)?,
            OrderField::Payment => {
                (draft.payment, draft.payment_amount_sent) = self.payment(at)?;
            }
            OrderField::TrackNumber => draft.track_number = self.identifier(at)?,
            OrderField::ProductId | OrderField::ProductName => {
                let position = self.reader.position();
                if !matches!(self.reader.value()?, Value::Null) {
                    draft.undecided.push(Undecided {
                        key,
                        position,
                        names_product: true,
                    });
                }
            }
            OrderField::Quantity
            | OrderField::Price
            | OrderField::UnitPrice
            | OrderField::TotalPrice => {
                let position = self.reader.position();
                self.reader.skip()?;
                draft.undecided.push(Undecided {
                    key,
                    position,
                    names_product: false,
                });
            }
        }
        Ok(())
    }

    fn items(&mut self, at: &Place<'_>) -> Result<Field<Vec<Item>>, NotJson> {
        match self.enter(b'[', ARRAY, at)? {
            Field::Given(()) => {}
            Field::Absent => return Ok(Field::Absent),
            Field::Refused => return Ok(Field::Refused),
        }
        let mut items = Vec::new();
        let mut count = 0;
        let mut first = true;
        while self.reader.element(&mut first)? {
            if count < MAX_ITEMS {
                items.extend(self.item(&at.element(count))?);
            } else {
                self.reader.skip()?;
            }
            count += 1;
        }
        if count > MAX_ITEMS {
            self.errors.add(
                at,
                format_args!("has {count} items, at most {MAX_ITEMS} are allowed"),
            );
        }
        // An empty array says what none says. Where no element is an item, items were sent all the same.
        Ok(if count == 0 {
            Field::Absent
        } else {
            Field::Given(items)
        })
    }

    /// Decides whose the fields are that may belong to a single item: its own if a product is named, else they are
    /// nothing we know. Leaves the reader anywhere.
    fn decide(&mut self, draft: &mut Draft, open: Open) -> Result<(), NotJson> {
        let here = Place::Whole;
        let undecided = std::mem::take(&mut draft.undecided);
        match undecided.iter().find(|field| field.names_product) {
            None => self.unknown_after_all(&undecided, open),
            Some(product) if !draft.items.is_absent() => {
                let detail = format_args!(
                    "is an item at top level, and `items` is there, too: send one of them"
                );
                self.errors.add(&here.member(product.key), detail);
                Ok(())
            }
            Some(_) => {
                draft.items = Field::Given(vec![self.single_item(&undecided, open)?]);
                Ok(())
            }
        }
    }

    fn unknown_after_all(&mut self, fields: &[Undecided], open: Open) -> Result<(), NotJson> {
        for field in fields {
            self.reader.go_to(field.position);
            self.attribute(open, &Place::Whole, Text::Plain(field.key))?;
        }
        Ok(())
    }

    fn single_item(&mut self, fields: &[Undecided], open: Open) -> Result<Item, NotJson> {
        let here = Place::Whole;
        let mut draft = ItemDraft::default();
        let mut claims = Claims::default();
        for &Undecided { key, position, .. } in fields {
            let (field, _) = ItemField::of(key).expect("an item has each of these fields");
            if claims.claim(&mut self.errors, &here, field, key) {
                self.reader.go_to(position);
                self.item_field(&mut draft, &here, field, key)?;
            }
        }
        self.choose_sku(&mut draft, &here, open)?;
        Ok(self.finish_item(draft, Attributes::default(), &here))
    }

    /// What must hold between fields. Where one of them was refused, nothing is said about those that rest on it.
    fn check(&mut self, draft: &Draft) {
        let here = Place::Whole;
        if draft.user_id.is_absent() {
            self.errors
                .add(&here.member("user_id"), format_args!("is required"));
        }
        let summed = draft.amount.is_absent() && !draft.payment_amount_sent;
        if summed && draft.items.is_absent() {
            let detail =
                format_args!("needs an amount, a payment with an amount, or at least one item");
            self.errors.add(&here, detail);
        }
        if self.attributes_bytes > MAX_ATTRIBUTES_BYTES {
            let bytes = self.attributes_bytes;
            let detail = format_args!(
                "has attributes of {bytes} bytes, at most {MAX_ATTRIBUTES_BYTES} are allowed"
            );
            self.errors.add(&here, detail);
        }
        if summed
            && self.errors.is_empty()
            && draft
                .items
                .as_given()
                .is_some_and(|items| complete::sum(items).is_none())
        {
            let detail = format_args!("add up to more than 15 digits before the decimal point");
            self.errors.add(&here.member("items"), detail);
        }
    }

    /// The order, if nothing is wrong with it.
    pub(super) fn finish(self, draft: Draft) -> Result<Order, Rejection> {
        let order_id = draft.order_id.given();
        match (draft.user_id, self.errors.is_empty()) {
            (Field::Given(user_id), true) => Ok(Order {
                order_id,
                user_id,
                created_at: draft.created_at.given(),
                currency: draft.currency.given(),
                amount: draft.amount.given(),
                items: draft.items.given().unwrap_or_default(),
                delivery: draft.delivery,
                payment: draft.payment,
                track_number: draft.track_number.given(),
                attributes: draft.attributes,
            }),
            _ => Err(Rejection::Invalid {
                order_id,
                errors: self.errors.into_list(),
            }),
        }
    }
}

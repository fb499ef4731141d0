//! One line of an order.

use super::place::Place;
use super::reader::{NotJson, Value};
use super::scalar::Field;
use super::spelling::ItemField;
use super::string::Text;
use super::{Decoder, Open, depth};
use crate::money::Amount;
use crate::order::{Attributes, Item};

/// An item while it is being read.
#[derive(Default)]
pub(super) struct ItemDraft {
    sku: Field<String>,
    /// Further ids in order of precedence, each with its key and the position of its value: which of them becomes the
    /// sku is not known before the end of the item.
    ids: [Option<(&'static str, usize)>; 3],
    name: Field<String>,
    quantity: Field<i32>,
    unit_price: Field<Amount>,
    total_price: Field<Amount>,
}

impl Decoder<'_> {
    /// The element of `items` that is next; `None` if it is no object.
    pub(super) fn item(&mut self, at: &Place<'_>) -> Result<Option<Item>, NotJson> {
        if !self.enter_object(at)? {
            return Ok(None);
        }
        let mut draft = ItemDraft::default();
        let open = self.begin_attributes(depth::ITEM_ATTRIBUTES);
        self.members(at, open, |decoder, field, key| {
            decoder.item_field(&mut draft, at, field, key)
        })?;
        let end = self.reader.position();
        self.choose_sku(&mut draft, at, open)?;
        self.reader.go_to(end);
        let attributes = self.end_attributes(open, at);
        Ok(Some(self.finish_item(draft, attributes, at)))
    }

    /// One field of the item at `around`, its value next.
    pub(super) fn item_field(
        &mut self,
        draft: &mut ItemDraft,
        around: &Place<'_>,
        field: ItemField,
        key: &'static str,
    ) -> Result<(), NotJson> {
        let at = &around.member(key);
        match field {
            ItemField::Sku => draft.sku = self.identifier(at)?,
            ItemField::ProductId => draft.ids[0] = Some(self.set_id_aside(key)?),
            ItemField::NmId => draft.ids[1] = Some(self.set_id_aside(key)?),
            ItemField::ChrtId => draft.ids[2] = Some(self.set_id_aside(key)?),
            ItemField::Name => draft.name = self.text(at)?,
            ItemField::Quantity => draft.quantity = self.quantity(at)?,
            ItemField::UnitPrice => draft.unit_price = self.amount(at)?,
            ItemField::TotalPrice => draft.total_price = self.amount(at)?,
        }
        Ok(())
    }

    fn set_id_aside(&mut self, key: &'static str) -> Result<(&'static str, usize), NotJson> {
        let position = self.reader.position();
        self.reader.skip()?;
        Ok((key, position))
    }

    /// Makes the first of an item's ids its sku, if it has none, and the others attributes. Leaves the reader anywhere.
    pub(super) fn choose_sku(
        &mut self,
        draft: &mut ItemDraft,
        at: &Place<'_>,
        open: Open,
    ) -> Result<(), NotJson> {
        for (key, position) in draft.ids.iter().copied().flatten() {
            self.reader.go_to(position);
            if draft.sku.is_absent() {
                draft.sku = self.identifier(&at.member(key))?;
            } else if !matches!(self.reader.value()?, Value::Null) {
                self.reader.go_to(position);
                self.attribute(open, at, Text::Plain(key))?;
            }
        }
        Ok(())
    }

    /// The item, and an error for what it lacks or where what it costs is out of range. A price that was refused is not
    /// a missing one.
    pub(super) fn finish_item(
        &mut self,
        draft: ItemDraft,
        attributes: Attributes,
        at: &Place<'_>,
    ) -> Item {
        let ItemDraft {
            sku,
            name,
            quantity,
            unit_price,
            total_price,
            ids: _,
        } = draft;
        if sku.is_absent() && name.is_absent() {
            self.errors.add(at, format_args!("needs a sku or a name"));
        }
        if unit_price.is_absent() && total_price.is_absent() {
            self.errors
                .add(at, format_args!("needs a unit_price or a total_price"));
        }
        let item = Item {
            sku: sku.given(),
            name: name.given(),
            quantity: quantity.given(),
            unit_price: unit_price.given(),
            total_price: total_price.given(),
            attributes,
        };
        if item.unit_price.is_some() && item.line_total().is_none() {
            let detail = format_args!(
                "has a quantity × unit price of more than 15 digits before the decimal point"
            );
            self.errors.add(at, detail);
        }
        item
    }
}

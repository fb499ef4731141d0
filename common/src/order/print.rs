//! Printing: the one text of a normalised order. Compact, in the table's order, what is absent left out.

use super::text::write_string;
use super::{Attributes, Delivery, Item, Order, Payment};
use crate::ids::{Currency, OrderId};
use crate::money::Amount;
use crate::time::Timestamp;

impl Order {
    /// The normalised order as JSON: the topic's value, and the answer to who asks for the order.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.expected_length());
        self.write_json(&mut out);
        out
    }

    /// Appends what [`Order::to_json`] gives.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::open(out);
        object.text("order_id", self.order_id.as_ref().map(AsRef::as_ref));
        object.text("user_id", Some(self.user_id.as_str()));
        object.instant("created_at", self.created_at);
        object.currency("currency", self.currency);
        object.amount("amount", self.amount);
        object.items(&self.items);
        if let Some(delivery) = &self.delivery {
            delivery.write_json(object.key("delivery"));
        }
        if let Some(payment) = &self.payment {
            payment.write_json(object.key("payment"));
        }
        object.text("track_number", self.track_number.as_deref());
        object.attributes(&self.attributes);
        object.close();
    }

    /// The id that `json` begins with, if it begins as [`Order::to_json`] does for an order that has one. Nothing else is
    /// looked at: whether the rest is an order, or is printed so, is not known.
    #[must_use]
    pub fn leading_id(json: &[u8]) -> Option<&str> {
        let id = json.strip_prefix(br#"{"order_id":""#)?;
        let end = id
            .iter()
            .take(OrderId::MAX_LENGTH + 1)
            .position(|byte| *byte == b'"')?;
        let id = std::str::from_utf8(&id[..end]).ok()?;
        OrderId::allows(id).then_some(id)
    }

    /// About as long as most orders come out; a guess, so that printing one seldom has to grow its buffer.
    fn expected_length(&self) -> usize {
        const HEAD: usize = 256;
        const ITEM: usize = 128;
        const PARTS: usize = 512;
        let parts = usize::from(self.delivery.is_some()) + usize::from(self.payment.is_some());
        HEAD + ITEM * self.items.len() + PARTS * parts + self.attributes.as_json().len()
    }
}

impl Item {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::open(out);
        object.text("sku", self.sku.as_deref());
        object.text("name", self.name.as_deref());
        object.integer("quantity", self.quantity.map(i64::from));
        object.amount("unit_price", self.unit_price);
        object.amount("total_price", self.total_price);
        object.attributes(&self.attributes);
        object.close();
    }
}

impl Delivery {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::open(out);
        object.text("name", self.name.as_deref());
        object.text("phone", self.phone.as_deref());
        object.text("zip", self.zip.as_deref());
        object.text("city", self.city.as_deref());
        object.text("address", self.address.as_deref());
        object.text("region", self.region.as_deref());
        object.text("email", self.email.as_deref());
        object.attributes(&self.attributes);
        object.close();
    }
}

impl Payment {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::open(out);
        object.text("transaction", self.transaction.as_deref());
        object.text("request_id", self.request_id.as_deref());
        object.currency("currency", self.currency);
        object.text("provider", self.provider.as_deref());
        object.amount("amount", self.amount);
        object.integer("payment_dt", self.payment_dt);
        object.text("bank", self.bank.as_deref());
        object.amount("delivery_cost", self.delivery_cost);
        object.amount("goods_total", self.goods_total);
        object.amount("custom_fee", self.custom_fee);
        object.attributes(&self.attributes);
        object.close();
    }
}

/// One object on its way out. Absent members leave no trace.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    /// What goes before the next key.
    separator: u8,
}

impl<'a> Object<'a> {
    fn open(out: &'a mut Vec<u8>) -> Self {
        Self {
            out,
            separator: b'{',
        }
    }

    fn close(self) {
        if self.separator == b'{' {
            self.out.push(b'{');
        }
        self.out.push(b'}');
    }

    /// Begins a member; its value goes to what this returns. No key here needs an escape.
    #[inline]
    fn key(&mut self, key: &str) -> &mut Vec<u8> {
        self.out.reserve(key.len() + 4);
        self.out.extend_from_slice(&[self.separator, b'"']);
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.separator = b',';
        self.out
    }

    fn text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            write_string(self.key(key), value);
        }
    }

    fn instant(&mut self, key: &str, value: Option<Timestamp>) {
        if let Some(value) = value {
            quoted(self.key(key), |out| value.write_text(out));
        }
    }

    fn currency(&mut self, key: &str, value: Option<Currency>) {
        if let Some(value) = value {
            quoted(self.key(key), |out| {
                out.extend_from_slice(value.as_str().as_bytes())
            });
        }
    }

    fn amount(&mut self, key: &str, value: Option<Amount>) {
        if let Some(value) = value {
            quoted(self.key(key), |out| value.write_digits(out));
        }
    }

    fn integer(&mut self, key: &str, value: Option<i64>) {
        if let Some(value) = value {
            self.key(key)
                .extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        }
    }

    fn items(&mut self, items: &[Item]) {
        if items.is_empty() {
            return;
        }
        let out = self.key("items");
        for (index, item) in items.iter().enumerate() {
            out.push(if index == 0 { b'[' } else { b',' });
            item.write_json(out);
        }
        out.push(b']');
    }

    fn attributes(&mut self, attributes: &Attributes) {
        if !attributes.is_empty() {
            self.key("attributes")
                .extend_from_slice(attributes.as_json().as_bytes());
        }
    }
}

/// Writes what needs no escapes as a JSON string.
fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

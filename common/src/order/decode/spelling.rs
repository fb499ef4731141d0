//! The accepted spellings: the one table by which producer, loader and consumer read an order.
//!
//! On the left the field, on the right the keys under which it is read, the canonical one first. Two of them in one
//! object are refused. A key that is not here goes to the attributes of its object, and so does what is sent inside
//! [`ATTRIBUTES`], which each kind of object may have.

use super::place::{Errors, Place};

/// The member of any object whose own members are taken as they are.
pub(super) const ATTRIBUTES: &str = "attributes";

/// The fields of one kind of object.
pub(super) trait Fields: Copy + Eq {
    /// The field that a key stands for, and the key itself.
    fn of(key: &str) -> Option<(Self, &'static str)>;

    /// Below `MAX_FIELDS`, and no other field's.
    fn index(self) -> usize;
}

macro_rules! spellings {
    ($($(#[$doc:meta])* $name:ident { $($(#[$note:meta])* $field:ident: $($key:literal)|+,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum $name { $($(#[$note])* $field),+ }

        impl Fields for $name {
            fn of(key: &str) -> Option<(Self, &'static str)> {
                match key {
                    $($($key => Some((Self::$field, $key)),)+)+
                    _ => None,
                }
            }

            fn index(self) -> usize {
                const { assert!([$(Self::$field),+].len() <= MAX_FIELDS) };
                self as usize
            }
        }
    )+};
}

spellings! {
    OrderField {
        OrderId:     "order_id" | "order_uid" | "event_id" | "id",
        UserId:      "user_id" | "customer_id",
        CreatedAt:   "created_at" | "timestamp" | "date_created",
        Currency:    "currency",
        Amount:      "amount" | "total",
        Items:       "items",
        Delivery:    "delivery",
        Payment:     "payment",
        TrackNumber: "track_number",
        /// One item at top level: either of these two makes it one …
        ProductId:   "product_id",
        ProductName: "product_name",
        /// … and then these belong to it, as [`ItemField`] reads them. Without one, they are nothing we know.
        Quantity:    "quantity",
        Price:       "price",
        UnitPrice:   "unit_price",
        TotalPrice:  "total_price",
    }

    ItemField {
        Sku:         "sku",
        /// Without `sku`, the first of these three that is there becomes it, in this order. What does not stays in the
        /// item's attributes: marketplaces send more than one.
        ProductId:   "product_id",
        NmId:        "nm_id",
        ChrtId:      "chrt_id",
        Name:        "name" | "product_name",
        Quantity:    "quantity",
        UnitPrice:   "unit_price" | "price",
        TotalPrice:  "total_price",
    }

    DeliveryField {
        Name:        "name",
        Phone:       "phone",
        Zip:         "zip",
        City:        "city",
        Address:     "address",
        Region:      "region",
        Email:       "email",
    }

    PaymentField {
        Transaction:  "transaction",
        RequestId:    "request_id",
        Currency:     "currency",
        Provider:     "provider",
        Amount:       "amount",
        PaymentDt:    "payment_dt",
        Bank:         "bank",
        DeliveryCost: "delivery_cost",
        GoodsTotal:   "goods_total",
        CustomFee:    "custom_fee",
    }
}

/// As many as any kind of object has, or more.
const MAX_FIELDS: usize = 16;

/// Under which key each field of an object was sent.
#[derive(Default)]
pub(super) struct Claims([Option<&'static str>; MAX_FIELDS]);

impl Claims {
    /// Notes that a field of the object at `around` was sent. False, and an error, if it already was, under this key
    /// or another.
    pub(super) fn claim<F: Fields>(
        &mut self,
        errors: &mut Errors,
        around: &Place<'_>,
        field: F,
        key: &'static str,
    ) -> bool {
        let Some(earlier) = self.0[field.index()].replace(key) else {
            return true;
        };
        let at = around.member(key);
        if earlier == key {
            errors.add(&at, format_args!("is there twice"));
        } else {
            errors.add(
                &at,
                format_args!("is the same field as `{earlier}`: send one of them"),
            );
        }
        false
    }
}

/// Whether an order's member of this name is its id.
#[must_use]
pub fn is_order_id_key(key: &str) -> bool {
    matches!(OrderField::of(key), Some((OrderField::OrderId, _)))
}

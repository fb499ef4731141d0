//! How the values that orders are made of look in JSON.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    AnyOfBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type,
};
use utoipa::{PartialSchema, ToSchema};

use crate::ids::{Currency, OrderId, UserId};
use crate::money::Amount;
use crate::order::Attributes;
use crate::time::Timestamp;

fn string(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
}

macro_rules! shapes {
    ($($type:ty: $schema:expr;)*) => {$(
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                RefOr::T(Schema::from($schema))
            }
        }

        impl ToSchema for $type {}
    )*};
}

shapes! {
    OrderId: string("1 to 64 of A-Z a-z 0-9 . _ ~ : -, the first a letter or a digit; also sent as order_uid, event_id or id")
        .pattern(Some("^[A-Za-z0-9][A-Za-z0-9._~:-]{0,63}$")).build();
    UserId: string("1 to 128 characters without control characters; also sent as customer_id, or as an integer")
        .min_length(Some(1)).max_length(Some(128)).build();
    Currency: string("ISO 4217").pattern(Some("^[A-Z]{3}$")).build();
    Timestamp: string("RFC 3339, from 1970, in UTC where it is answered")
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).build();
    Amount: AnyOfBuilder::new()
        .description(Some("Up to 15 digits and 4 decimals, never negative and never rounded; a string or a number where it is sent, always a string where it is answered"))
        .item(string("").pattern(Some(r"^[0-9]{1,15}(\.[0-9]+)?$")))
        .item(ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0)))
        .build();
    Attributes: ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("Every field that has no place of its own"))
        .build();
}

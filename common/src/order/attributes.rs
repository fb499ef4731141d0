//! Fields that the order's table does not name: kept as they were sent, in one canonical text.

use std::fmt;

use super::decode;

/// The fields of one object that the table does not name: JSON in canonical form. Keys are sorted by the bytes of
/// their text at every depth, strings carry no escape that they could do without, a number is its shortest plain or
/// exponent form, so that two texts are equal where PostgreSQL's `jsonb` would call the values equal.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Attributes(Option<Box<str>>);

/// Why a text is no `attributes` object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no attributes: {0}")]
pub struct InvalidAttributes(String);

impl Attributes {
    /// Reads one JSON object of any formatting: what [`Attributes::as_json`] gives, and what `jsonb` prints.
    ///
    /// # Errors
    /// [`InvalidAttributes`] where it is no JSON object, or holds what an order may not hold.
    pub fn from_json(json: &str) -> Result<Self, InvalidAttributes> {
        decode::attributes(json).map_err(|rejection| InvalidAttributes(rejection.reason()))
    }

    /// `canonical` is an object in canonical form.
    pub(super) fn from_canonical(canonical: &str) -> Self {
        Self((canonical != Self::NONE).then(|| canonical.into()))
    }

    const NONE: &'static str = "{}";

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The whole object, `{}` where there is nothing in it.
    #[must_use]
    pub fn as_json(&self) -> &str {
        self.0.as_deref().unwrap_or(Self::NONE)
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_json())
    }
}

#[cfg(feature = "pg")]
mod sql {
    use std::error::Error;

    use bytes::{BufMut, BytesMut};
    use postgres_types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

    use super::Attributes;

    /// The only version of jsonb's binary form: this byte, then the text.
    const JSONB_VERSION: u8 = 1;

    impl ToSql for Attributes {
        fn to_sql(
            &self,
            _: &Type,
            out: &mut BytesMut,
        ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
            out.put_u8(JSONB_VERSION);
            out.put_slice(self.as_json().as_bytes());
            Ok(IsNull::No)
        }

        accepts!(JSONB);
        to_sql_checked!();
    }

    impl<'a> FromSql<'a> for Attributes {
        fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
            match raw.split_first() {
                Some((&JSONB_VERSION, text)) => Ok(Self::from_json(std::str::from_utf8(text)?)?),
                _ => Err("an unknown version of jsonb's binary form".into()),
            }
        }

        accepts!(JSONB);
    }
}

//! The hash that tells two contents of one order id apart.

use std::fmt;

use sha2::{Digest, Sha256};

use super::Order;

/// The first 16 bytes of SHA-256 over an order's normalised JSON. Two contents of one order id that agree in it are
/// taken for the same; finding a pair on purpose takes 2⁶⁴ work and would only hide the sender's own second order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentHash([u8; 16]);

impl ContentHash {
    /// The hash of an order that is already printed: `normalised_json` is what [`Order::to_json`] gives.
    #[must_use]
    pub fn of(normalised_json: &[u8]) -> Self {
        let digest = Sha256::digest(normalised_json);
        let mut first = [0; 16];
        first.copy_from_slice(&digest[..16]);
        Self(first)
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl From<[u8; 16]> for ContentHash {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl Order {
    /// The hash of this order's normalised form. Whoever has that printed already takes [`ContentHash::of`].
    #[must_use]
    pub fn content_hash(&self) -> ContentHash {
        ContentHash::of(&self.to_json())
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

#[cfg(feature = "pg")]
mod sql {
    use std::error::Error;

    use bytes::BytesMut;
    use postgres_types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

    use super::ContentHash;

    impl ToSql for ContentHash {
        fn to_sql(
            &self,
            _: &Type,
            out: &mut BytesMut,
        ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
            out.extend_from_slice(&self.0);
            Ok(IsNull::No)
        }

        accepts!(BYTEA);
        to_sql_checked!();
    }

    impl<'a> FromSql<'a> for ContentHash {
        fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
            Ok(Self(raw.try_into()?))
        }

        accepts!(BYTEA);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_beginning_of_sha_256() {
        // FIPS 180-2's example.
        assert_eq!(
            ContentHash::of(b"abc").to_string(),
            "ba7816bf8f01cfea414140de5dae2223"
        );
    }
}

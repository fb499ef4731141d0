//! PostgreSQL's binary NUMERIC. Its digits are of base 10,000, as our units are: the last group is the fraction.
//!
//! Source: `src/backend/utils/adt/numeric.c`, `numeric_send` and `numeric_recv`: number of groups, weight of the first
//! group (0 is the ones), sign, decimals to display, then the groups, each a 16-bit integer, the largest first.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use postgres_types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

use super::{Amount, DECIMALS, Total, UNITS_PER_ONE};

type BoxedError = Box<dyn Error + Sync + Send>;

const BASE: u128 = UNITS_PER_ONE as u128;
const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
/// 2¹²⁷ has 39 decimal digits: ten groups.
const MAX_GROUPS: usize = 10;

/// Writes the value without its length, as both parameters and binary COPY take it.
pub(super) fn write(negative: bool, mut units: u128, out: &mut BytesMut) {
    let mut groups = [0_u16; MAX_GROUPS];
    let mut count: u16 = 0;
    while units > 0 {
        groups[usize::from(count)] =
            u16::try_from(units % BASE).expect("a remainder is below 10,000");
        units /= BASE;
        count += 1;
    }
    out.put_u16(count);
    // groups[0] is the fraction, so the first of `count` groups stands at weight count − 2.
    let weight = if count == 0 {
        0
    } else {
        i16::try_from(count).expect("ten groups at most") - 2
    };
    out.put_i16(weight);
    out.put_u16(if negative { NEGATIVE } else { POSITIVE });
    out.put_u16(u16::try_from(DECIMALS).expect("four"));
    for group in groups[..usize::from(count)].iter().rev() {
        out.put_u16(*group);
    }
}

/// Reads what has at most four decimals and fits 127 bits; anything else (NaN, infinity) is an error.
fn read(raw: &[u8]) -> Result<i128, BoxedError> {
    let mut words = raw
        .chunks_exact(2)
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let mut word = || words.next().ok_or("a truncated numeric");
    let (count, weight, sign, _decimals) = (word()?, word()?.cast_signed(), word()?, word()?);
    let mut units: i128 = 0;
    for index in 0..count {
        let exponent = i32::from(weight) - i32::from(index) + 1;
        let group = i128::from(word()?);
        if exponent < 0 {
            if group != 0 {
                return Err("a numeric with more than four decimals".into());
            }
            continue;
        }
        let scale = u32::try_from(exponent)
            .ok()
            .and_then(|power| BASE.cast_signed().checked_pow(power));
        units = scale
            .and_then(|scale| group.checked_mul(scale))
            .and_then(|value| units.checked_add(value))
            .ok_or("a numeric that does not fit 127 bits")?;
    }
    match sign {
        POSITIVE => Ok(units),
        NEGATIVE => Ok(-units),
        _ => Err("a numeric that is not a number".into()),
    }
}

impl ToSql for Amount {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, BoxedError> {
        write(false, u128::from(self.0), out);
        Ok(IsNull::No)
    }

    accepts!(NUMERIC);
    to_sql_checked!();
}

impl ToSql for Total {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, BoxedError> {
        write(self.0 < 0, self.0.unsigned_abs(), out);
        Ok(IsNull::No)
    }

    accepts!(NUMERIC);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Amount {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, BoxedError> {
        u64::try_from(read(raw)?)
            .ok()
            .and_then(Self::from_units)
            .ok_or_else(|| "a numeric outside an amount's range".into())
    }

    accepts!(NUMERIC);
}

impl<'a> FromSql<'a> for Total {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, BoxedError> {
        read(raw).map(Self)
    }

    accepts!(NUMERIC);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that PostgreSQL 18 sends for the literals (`numeric_send`).
    #[test]
    fn the_binary_form_is_postgresqls_own() {
        let cases: [(i128, &[u16]); 4] = [
            (0, &[0, 0, 0, 4]),
            (125_000, &[2, 0, 0, 4, 12, 5000]),
            (-1, &[1, 0xFFFF, 0x4000, 4, 1]),
            (100_000_000, &[3, 1, 0, 4, 1, 0, 0]),
        ];
        for (units, words) in cases {
            let mut out = BytesMut::new();
            write(units < 0, units.unsigned_abs(), &mut out);
            let expected: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            assert_eq!(out, expected, "{units}");
            assert_eq!(read(&out).unwrap(), units);
        }
    }

    #[test]
    fn groups_that_postgresql_leaves_out_are_zeros() {
        // 10000.0000 as numeric_send prints it: one group of weight 1.
        let raw: Vec<u8> = [1_u16, 1, 0, 4, 1]
            .iter()
            .flat_map(|word| word.to_be_bytes())
            .collect();
        assert_eq!(read(&raw).unwrap(), 100_000_000);
    }

    #[test]
    fn the_largest_values_survive_the_way_there_and_back() {
        for units in [i128::MAX, -i128::MAX, i128::from(Amount::MAX.units())] {
            let mut out = BytesMut::new();
            write(units < 0, units.unsigned_abs(), &mut out);
            assert_eq!(read(&out).unwrap(), units);
        }
    }

    #[test]
    fn a_nan_or_a_fifth_decimal_is_an_error() {
        let raw = |words: &[u16]| {
            words
                .iter()
                .flat_map(|word| word.to_be_bytes())
                .collect::<Vec<u8>>()
        };
        assert!(read(&raw(&[0, 0, 0xC000, 0])).is_err());
        assert!(read(&raw(&[1, 0xFFFE, 0, 8, 1])).is_err());
        assert!(read(&raw(&[2, 0, 0, 4, 1])).is_err());
    }
}

//! The text between a JSON string's quotes: where it needs attention, and how it is written.

use std::io::Write as _;

const LANES: u64 = u64::from_ne_bytes([1; 8]);
const HIGH_BITS: u64 = LANES << 7;

/// How many bytes from the start stand for themselves in a JSON string: up to the first quote, backslash or control
/// character, or all. Eight bytes are looked at in one step.
pub(super) fn plain_length(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(eight) = bytes.get(at..at + 8) {
        let word = u64::from_le_bytes(eight.try_into().expect("eight bytes"));
        // Sets the high bit of each byte that is below `limit`. A borrow may set it in bytes above such a byte, which
        // is never the lowest.
        let below =
            |word: u64, limit: u8| word.wrapping_sub(LANES * u64::from(limit)) & !word & HIGH_BITS;
        let equal = |byte: u8| below(word ^ (LANES * u64::from(byte)), 1);
        let special = below(word, b' ') | equal(b'"') | equal(b'\\');
        if special != 0 {
            return at + usize::try_from(special.trailing_zeros() / 8).expect("below 8");
        }
        at += 8;
    }
    let is_plain = |&&byte: &&u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    at + bytes[at..].iter().take_while(is_plain).count()
}

/// Writes a JSON string with the escapes that JSON demands and no other.
pub(super) fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, special) = rest.split_at(plain_length(rest));
        out.extend_from_slice(plain);
        let Some((&byte, after)) = special.split_first() else {
            break;
        };
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0C => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => write!(out, "\\u{byte:04x}").expect("a Vec takes every byte"),
        }
        rest = after;
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_json_demands_is_escaped() {
        let mut out = Vec::new();
        write_string(&mut out, "a/\"\\\u{8}\u{c}\n\r\t\u{0}\u{1f}\u{7f}é😀");
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#""a/\"\\\b\f\n\r\t\u0000\u001f"#.to_owned() + "\u{7f}é😀\""
        );
    }

    proptest! {
        #[test]
        fn the_plain_part_ends_at_the_first_special_byte(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let special = |&byte: &u8| byte < b' ' || byte == b'"' || byte == b'\\';
            prop_assert_eq!(plain_length(&bytes), bytes.iter().position(special).unwrap_or(bytes.len()));
        }

        #[test]
        fn what_is_written_reads_back(text in any::<String>()) {
            let mut out = Vec::new();
            write_string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}

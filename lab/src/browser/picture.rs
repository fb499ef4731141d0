//! Pictures as WebDriver sends them.

use anyhow::Context;

/// Bytes from standard base64.
pub(super) fn base64(text: &str) -> anyhow::Result<Vec<u8>> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut held) = (Vec::with_capacity(text.len() / 4 * 3), 0_u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let digit = ALPHABET
            .iter()
            .position(|known| *known == letter)
            .context("no base64")?;
        bits = bits << 6 | u32::try_from(digit)?;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff)?);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_with_and_without_padding() {
        for (encoded, decoded) in [
            ("", ""),
            ("TQ==", "M"),
            ("TWE=", "Ma"),
            ("TWFu", "Man"),
            ("TWFuTWE=", "ManMa"),
        ] {
            assert_eq!(base64(encoded).unwrap(), decoded.as_bytes());
        }
    }
}

//! What a JSON string means.

use std::borrow::Cow;
use std::fmt;

/// What stands between a string's quotes; the reader has checked that it is grammatical.
#[derive(Debug, Clone, Copy)]
pub(super) enum Text<'a> {
    /// Has no escapes.
    Plain(&'a str),
    Escaped(&'a str),
}

/// What makes a string of valid JSON one that cannot be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    Nul,
    LoneSurrogate,
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nul => "holds U+0000, which cannot be stored",
            Self::LoneSurrogate => "holds a lone surrogate, which is no character",
        })
    }
}

impl<'a> Text<'a> {
    /// The string that is meant.
    #[inline]
    pub(super) fn content(self) -> Result<Cow<'a, str>, Defect> {
        match self {
            Self::Plain(text) => Ok(Cow::Borrowed(text)),
            Self::Escaped(raw) => unescape(raw).map(Cow::Owned),
        }
    }
}

fn unescape(raw: &str) -> Result<String, Defect> {
    let mut content = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, escape)) = rest.split_once('\\') {
        content.push_str(plain);
        // Every escape is of ASCII characters, so that none is split.
        let (letter, after) = escape.split_at(1);
        let (character, after) = match letter {
            "b" => ('\u{8}', after),
            "f" => ('\u{c}', after),
            "n" => ('\n', after),
            "r" => ('\r', after),
            "t" => ('\t', after),
            "u" => unescape_unicode(after)?,
            _ => (char::from(letter.as_bytes()[0]), after),
        };
        content.push(character);
        rest = after;
    }
    content.push_str(rest);
    Ok(content)
}

/// The character whose four digits are next, and what follows it; a surrogate takes its other half along.
fn unescape_unicode(escape: &str) -> Result<(char, &str), Defect> {
    let (first, after) = utf16_unit(escape);
    if let Some(character) = char::from_u32(u32::from(first)) {
        return if character == '\0' {
            Err(Defect::Nul)
        } else {
            Ok((character, after))
        };
    }
    let (second, after) = after
        .strip_prefix("\\u")
        .map(utf16_unit)
        .ok_or(Defect::LoneSurrogate)?;
    match char::decode_utf16([first, second]).next() {
        Some(Ok(character)) => Ok((character, after)),
        _ => Err(Defect::LoneSurrogate),
    }
}

fn utf16_unit(escape: &str) -> (u16, &str) {
    let (digits, after) = escape.split_at(4);
    (
        u16::from_str_radix(digits, 16).expect("the reader has seen four hexadecimal digits"),
        after,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_mean_their_characters() {
        let content = |raw| Text::Escaped(raw).content();
        for (raw, meant) in [
            (r"", ""),
            (r"é", "é"),
            (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r"a\u0041\u00e9\u00E9z", "aAééz"),
            (r"\ud83d\ude00\\u0041", "😀\\u0041"),
            (r"\uFFFF", "\u{FFFF}"),
        ] {
            assert_eq!(content(raw).as_deref(), Ok(meant), "{raw}");
        }
        assert_eq!(content(r"a\u0000"), Err(Defect::Nul));
        for raw in [
            r"\ud83d",
            r"\ude00",
            r"\ud83dx",
            r"\ud83d\n",
            r"\ud83d\u0041",
            r"\ude00\ud83d",
            r"\ud83d\ud83d\ude00",
        ] {
            assert_eq!(content(raw), Err(Defect::LoneSurrogate), "{raw}");
        }
    }
}

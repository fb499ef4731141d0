//! Text from outside on an operator's terminal: whatever bytes a record holds, none of them may move the cursor, change a
//! colour or turn the direction of writing.

use std::fmt::Display;

/// On one line: what is no printable character is escaped. Not reversible (a backslash stands for itself), so that JSON
/// stays readable; `export` gives the bytes.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    push_visible(&mut shown, text);
    shown
}

/// Bytes that may be text: those that are no UTF-8 as `\xff`.
pub(super) fn visible_bytes(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        push_visible(&mut shown, chunk.valid());
        for byte in chunk.invalid() {
            shown.push_str(&format!("\\x{byte:02x}"));
        }
    }
    shown
}

/// The beginning of a line that would be longer than `characters`.
pub(super) fn cut(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// What is not there.
pub(super) fn dash(value: Option<impl Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn push_visible(shown: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '"' | '\'' | '\\' => shown.push(character),
            // Control and format characters, other spaces, what only alters its neighbour, what is not assigned.
            _ => shown.extend(character.escape_debug()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_a_cursor_or_turns_the_writing_gets_through() {
        let hostile = "a\u{1b}]0;x\u{7}\u{9b}31m\u{202e}\u{200b}\r\n\u{7f}b";
        assert_eq!(
            visible(hostile),
            "a\\u{1b}]0;x\\u{7}\\u{9b}31m\\u{202e}\\u{200b}\\r\\n\\u{7f}b"
        );
        assert_eq!(
            visible("{\"a\": \"Zoë 'Ω' \\\\\"}"),
            "{\"a\": \"Zoë 'Ω' \\\\\"}"
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_hexadecimal() {
        assert_eq!(
            visible_bytes(b"a\xff\xc3\xa9\xe2\x82\0"),
            "a\\xffé\\xe2\\x82\\0"
        );
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        assert_eq!(cut("Ωmega", 5), "Ωmega");
        assert_eq!(cut("Ωmega", 2), "Ωm...");
    }
}

//! JSON's grammar (RFC 8259), read in one pass without copying. It knows nothing of orders.
//!
//! Nothing here recurses, so no input can exhaust the stack. What strings mean is not looked at: see [`Text`].

use super::string::Text;
use crate::order::text::plain_length;

/// Where a text stops being JSON. In a box, because results of nearly every function here hold one, and they are moved
/// for every token: small ones cost half as much.
#[derive(Debug)]
pub(super) struct NotJson(Box<Fault>);

#[derive(Debug)]
struct Fault {
    at: usize,
    expected: &'static str,
}

impl NotJson {
    /// A line for the sender: lines and columns count from 1, columns in characters.
    pub(super) fn describe(&self, text: &str) -> String {
        let before = text.get(..self.0.at).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let column = before[line_start..].chars().count() + 1;
        let found = match text[before.len()..].chars().next() {
            Some(character) => format!("found {character:?}"),
            None => "found the end".to_owned(),
        };
        format!(
            "line {line}, column {column}: expected {}, {found}",
            self.0.expected
        )
    }
}

/// A value of which only scalars are looked at.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Null,
    Text(Text<'a>),
    /// As it is written.
    Number(&'a str),
    /// A boolean, an object or an array.
    Other,
}

/// A position in a JSON text. Every method leaves it behind what it has read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Goes back to where [`Reader::position`] was.
    pub(super) fn go_to(&mut self, position: usize) {
        self.at = position;
    }

    /// What was read since `start`.
    #[inline]
    pub(super) fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    /// The next byte that is no space, without reading it.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.byte() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                other => return other,
            }
        }
    }

    /// Nothing but space may follow.
    pub(super) fn end(&mut self) -> Result<(), NotJson> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.expected("nothing more")),
        }
    }

    /// Goes into an object or an array, whose first byte [`Reader::peek`] has shown.
    pub(super) fn enter(&mut self) {
        self.at += 1;
    }

    /// The next key of the object that was entered, with its colon; `None` at its end.
    #[inline]
    pub(super) fn key(&mut self, first: &mut bool) -> Result<Option<Text<'a>>, NotJson> {
        if !self.another(first, b'}', "`,` or `}`")? {
            return Ok(None);
        }
        self.key_and_colon("a key in double quotes").map(Some)
    }

    /// Whether the array that was entered goes on; if so, an element is next.
    pub(super) fn element(&mut self, first: &mut bool) -> Result<bool, NotJson> {
        self.another(first, b']', "`,` or `]`")
    }

    /// Reads a value of any kind.
    #[inline]
    pub(super) fn value(&mut self) -> Result<Value<'a>, NotJson> {
        match self.peek() {
            Some(b'"') => self.string().map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(b'n') => self.literal("null").map(|()| Value::Null),
            _ => self.skip().map(|()| Value::Other),
        }
    }

    /// Reads past a value of any kind and depth.
    pub(super) fn skip(&mut self) -> Result<(), NotJson> {
        // What closes each object and array that is open, the innermost last.
        let mut open: Vec<u8> = Vec::new();
        loop {
            match self.peek() {
                Some(b'{') => {
                    self.at += 1;
                    if self.peek() != Some(b'}') {
                        self.key_and_colon("a key in double quotes or `}`")?;
                        open.push(b'}');
                        continue;
                    }
                    self.at += 1;
                }
                Some(b'[') => {
                    self.at += 1;
                    if self.peek() != Some(b']') {
                        open.push(b']');
                        continue;
                    }
                    self.at += 1;
                }
                Some(b'"') => {
                    self.string()?;
                }
                Some(b'-' | b'0'..=b'9') => {
                    self.number()?;
                }
                Some(b't') => self.literal("true")?,
                Some(b'f') => self.literal("false")?,
                Some(b'n') => self.literal("null")?,
                _ => return Err(self.expected("a value")),
            }
            if !self.leave(&mut open)? {
                return Ok(());
            }
        }
    }

    /// After a value: closes what ends here. Whether anything is still open; if so, its next value is next.
    fn leave(&mut self, open: &mut Vec<u8>) -> Result<bool, NotJson> {
        while let Some(&close) = open.last() {
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    if close == b'}' {
                        self.key_and_colon("a key in double quotes")?;
                    }
                    return Ok(true);
                }
                Some(byte) if byte == close => {
                    self.at += 1;
                    open.pop();
                }
                _ if close == b'}' => return Err(self.expected("`,` or `}`")),
                _ => return Err(self.expected("`,` or `]`")),
            }
        }
        Ok(false)
    }

    #[inline]
    fn another(
        &mut self,
        first: &mut bool,
        close: u8,
        expected: &'static str,
    ) -> Result<bool, NotJson> {
        let was_first = std::mem::replace(first, false);
        match self.peek() {
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            _ if was_first => Ok(true),
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            _ => Err(self.expected(expected)),
        }
    }

    #[inline]
    fn key_and_colon(&mut self, expected: &'static str) -> Result<Text<'a>, NotJson> {
        if self.peek() != Some(b'"') {
            return Err(self.expected(expected));
        }
        let key = self.string()?;
        if self.peek() != Some(b':') {
            return Err(self.expected("`:`"));
        }
        self.at += 1;
        Ok(key)
    }

    /// A string whose opening quote is next.
    #[inline]
    fn string(&mut self) -> Result<Text<'a>, NotJson> {
        let start = self.at + 1;
        self.at = start + plain_length(&self.text.as_bytes()[start..]);
        if self.byte() != Some(b'"') {
            return self.escaped_string(start);
        }
        let text = Text::Plain(self.since(start));
        self.at += 1;
        Ok(text)
    }

    /// The rest of a string that began at `start` and has something other than plain text next.
    #[cold]
    fn escaped_string(&mut self, start: usize) -> Result<Text<'a>, NotJson> {
        loop {
            match self.byte() {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(self.expected("an escape in place of a control character")),
                None => return Err(self.expected("the string's closing quote")),
            }
            self.at += plain_length(&self.text.as_bytes()[self.at..]);
        }
        let text = Text::Escaped(self.since(start));
        self.at += 1;
        Ok(text)
    }

    fn escape(&mut self) -> Result<(), NotJson> {
        self.at += 1;
        match self.byte() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.byte().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return Err(self.expected("four hexadecimal digits after \\u"));
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.expected("one of \" \\ / b f n r t u after a backslash")),
        }
        Ok(())
    }

    /// A number whose first byte, a digit or a minus, is next.
    #[inline]
    fn number(&mut self) -> Result<&'a str, NotJson> {
        let start = self.at;
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        match self.byte() {
            // Nothing follows a leading zero, so that `01` is no number.
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(self.since(start))
    }

    #[inline]
    fn digits(&mut self) -> Result<(), NotJson> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.byte() {
            self.at += 1;
        }
        if self.at > start {
            Ok(())
        } else {
            Err(self.expected("a digit"))
        }
    }

    fn literal(&mut self, literal: &'static str) -> Result<(), NotJson> {
        if self.text.as_bytes()[self.at..].starts_with(literal.as_bytes()) {
            self.at += literal.len();
            Ok(())
        } else {
            Err(self.expected("a value"))
        }
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[cold]
    fn expected(&self, expected: &'static str) -> NotJson {
        NotJson(Box::new(Fault {
            at: self.at,
            expected,
        }))
    }
}

//! Writing SVG: elements with checked text.

use std::fmt::{self, Display, Write};

/// The only style of every chart. A policy can name its hash.
pub const STYLE: &str = "\
:root{--paper:#fff;--ink:#1d2125;--muted:#5b6169;--line:#e2ddd3;--bar:#0e6259}\
@media(prefers-color-scheme:dark){:root{--paper:#1b1f23;--ink:#e9e6e0;--muted:#a3a8ae;--line:#31373d;--bar:#7cccc0}}\
text{font:13px Inter,ui-sans-serif,system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif;fill:var(--muted);\
font-variant-numeric:lining-nums tabular-nums}\
.paper{fill:var(--paper)}.title{font-size:16px;font-weight:600;fill:var(--ink)}.value{fill:var(--ink)}\
.grid{stroke:var(--line)}.base{stroke:var(--muted)}.bar{fill:var(--bar)}.end{text-anchor:end}.middle{text-anchor:middle}";

/// The width of a letter, generously: digits and most letters of the fonts above are narrower.
pub(super) const LETTER: f64 = 7.8;

/// A picture while it is being drawn.
pub(super) struct Svg(String);

impl Svg {
    /// `title` is what is read out in its place, `description` what more there is to say.
    pub(super) fn new(width: f64, height: f64, title: &str, description: &str) -> Self {
        let mut svg = Self(String::with_capacity(8 * 1024));
        svg.raw(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"title description\">\
             <title id=\"title\">{}</title><desc id=\"description\">{}</desc><style>{STYLE}</style>\
             <rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>",
            Text(title),
            Text(description)
        ));
        svg
    }

    pub(super) fn text(&mut self, x: f64, y: f64, class: &str, content: &str) {
        let content = Text(content);
        self.raw(format_args!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{content}</text>"
        ));
    }

    /// Text that may be as long as it likes: beyond its box nothing of it is seen. The whole of it is its tooltip.
    pub(super) fn boxed_text(
        &mut self,
        (x, y, width, height): (f64, f64, f64, f64),
        content: &str,
    ) {
        let (cut, whole) = (Cut(content, letters_within(width)), Text(content));
        let baseline = height * 0.68;
        self.raw(format_args!(
            "<svg x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\">\
             <text class=\"value\" y=\"{baseline:.1}\">{cut}<title>{whole}</title></text></svg>"
        ));
    }

    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.raw(format_args!(
            "<path class=\"{class}\" d=\"M{:.1} {:.1}L{:.1} {:.1}\"/>",
            from.0, from.1, to.0, to.1
        ));
    }

    pub(super) fn bar(&mut self, (x, y, width, height): (f64, f64, f64, f64), tooltip: &str) {
        let tooltip = Text(tooltip);
        self.raw(format_args!(
            "<rect class=\"bar\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\">\
             <title>{tooltip}</title></rect>"
        ));
    }

    /// The area below steps, each `(x, y)` up to the next one's x.
    pub(super) fn steps(&mut self, steps: impl Iterator<Item = (f64, f64)>, end: f64, base: f64) {
        self.raw(format_args!("<path class=\"bar\" d=\""));
        let mut command = 'M';
        for (x, y) in steps {
            if command == 'M' {
                self.raw(format_args!("M{x:.1} {base:.1}"));
                command = 'H';
            }
            self.raw(format_args!("H{x:.1}V{y:.1}"));
        }
        self.raw(format_args!("H{end:.1}V{base:.1}Z\"/>"));
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.0.push_str("</svg>");
        self.0.into_bytes()
    }

    fn raw(&mut self, arguments: fmt::Arguments<'_>) {
        self.0
            .write_fmt(arguments)
            .expect("a string takes any text");
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "widths are small and not negative"
)]
fn letters_within(width: f64) -> usize {
    (width / LETTER) as usize
}

/// Text as XML writes it. What XML cannot say becomes U+FFFD.
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .chars()
            .try_for_each(|letter| write_letter(f, letter))
    }
}

/// The first so many letters, with an ellipsis in the place of the last where there are more.
struct Cut<'a>(&'a str, usize);

impl Display for Cut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text, letters) = *self;
        if text.chars().nth(letters).is_none() {
            return Text(text).fmt(f);
        }
        let mut kept = text.chars().take(letters.saturating_sub(1));
        kept.try_for_each(|letter| write_letter(f, letter))?;
        f.write_char('…')
    }
}

fn write_letter(f: &mut fmt::Formatter<'_>, letter: char) -> fmt::Result {
    match letter {
        '&' => f.write_str("&amp;"),
        '<' => f.write_str("&lt;"),
        '>' => f.write_str("&gt;"),
        '"' => f.write_str("&quot;"),
        // Directions are the reader's to choose, and what is no character of XML would make the whole picture unreadable.
        '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}'),
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => f.write_char('\u{fffd}'),
        other => f.write_char(other),
    }
}

//! The words of a message, as a Bayesian filter learns them.
//!
//! A word counts once per message. Header words carry their field's name (`Subject:offer`). Text parts and HTML parts
//! (as text) of the message and of embedded messages give body words; a part that cannot be decoded hides only itself.

use std::collections::BTreeSet;

use crate::charset::to_text;
use crate::decode::decode_part;
use crate::header::{fields, unfold};
use crate::html;
use crate::part::{decoded_message, Kind, Part, MAX_DECODED};
use crate::words::decode_words;

/// Fields whose values are words too.
const FIELDS: [&str; 8] = [
    "From",
    "To",
    "Cc",
    "Bcc",
    "Reply-To",
    "Subject",
    "Sender",
    "Return-Path",
];
/// Octets of a shorter word say too little.
const MIN_WORD: usize = 3;
/// A run of this many consonants and digits is no word of a language.
const RANDOM_RUN: usize = 6;

/// What counts as a word, and how much of a message is looked at.
#[derive(Debug, Clone, Copy)]
pub struct TokenOptions {
    /// Single words.
    pub onegrams: bool,
    /// Two words in a row.
    pub twograms: bool,
    /// Three words in a row.
    pub threegrams: bool,
    /// Octets of raw text parts that are looked at.
    pub max_text: usize,
    /// Different words.
    pub max_words: usize,
}

impl Default for TokenOptions {
    fn default() -> Self {
        Self {
            onegrams: true,
            twograms: false,
            threegrams: false,
            max_text: 512 * 1024,
            max_words: 20_000,
        }
    }
}

/// The different words of a message, sorted.
#[must_use]
pub fn words(data: &[u8], root: &Part, options: &TokenOptions) -> BTreeSet<String> {
    let mut collector = Collector {
        options: *options,
        left: options.max_text,
        decoded: 0,
        words: BTreeSet::new(),
    };
    let header = data.get(..root.body_start).unwrap_or_default();
    for field in fields(header) {
        if let Some(name) = FIELDS.iter().find(|name| field.is(name)) {
            collector.text(&decode_words(&unfold(field.value)), name);
        }
    }
    collector.part(data, root);
    collector.words
}

struct Collector {
    options: TokenOptions,
    left: usize,
    /// Decoded messages that are looked into.
    decoded: usize,
    words: BTreeSet<String>,
}

impl Collector {
    fn part(&mut self, data: &[u8], part: &Part) {
        if part.kind != Kind::Leaf {
            part.children
                .iter()
                .for_each(|child| self.part(data, child));
            return;
        }
        let is_text = part.media_type.is_empty() || part.media_type == "TEXT";
        if !is_text && part.media_type != "MESSAGE" {
            return;
        }
        let body = part.body(data);
        let body = &body[..body.len().min(self.left)];
        if !is_text {
            self.message(body, part);
            return;
        }
        self.left -= body.len();
        let Some(content) = decode_part(body, &part.encoding) else {
            return;
        };
        let text = to_text(&content, part.param("charset").unwrap_or_default());
        if part.media_subtype == "HTML" {
            self.text(&html::all_text(&text), "");
        } else {
            self.text(&text, "");
        }
    }

    /// An embedded message that is encoded: its text counts, however long the rest of it is.
    fn message(&mut self, body: &[u8], part: &Part) {
        if self.decoded == MAX_DECODED {
            return;
        }
        let (media_type, media_subtype) = (&part.media_type, &part.media_subtype);
        if let Some((data, root)) = decoded_message(body, media_type, media_subtype, &part.encoding)
        {
            self.decoded += 1;
            self.part(&data, &root);
            self.decoded -= 1;
        }
    }

    /// Words of one text: n-grams do not reach over its ends.
    fn text(&mut self, text: &str, field: &str) {
        let (mut before_last, mut last) = (String::new(), String::new());
        let mut token = String::new();
        let mut chars = text.chars().peekable();
        loop {
            let next = chars.next();
            match next {
                Some('\'')
                    if !token.is_empty() && chars.peek().is_some_and(|c| c.is_alphabetic()) =>
                {
                    token.push('\'');
                }
                Some(c) if is_word_char(c) => token.extend(c.to_lowercase()),
                _ => {
                    if is_word(&token) {
                        self.word(&before_last, &last, &token, field);
                        before_last = std::mem::replace(&mut last, std::mem::take(&mut token));
                    }
                    token.clear();
                }
            }
            if next.is_none() || self.words.len() >= self.options.max_words {
                return;
            }
        }
    }

    fn word(&mut self, before_last: &str, last: &str, token: &str, field: &str) {
        let options = self.options;
        if options.threegrams && !before_last.is_empty() {
            self.add(&format!("{before_last} {last} {token}"), field);
        }
        if options.twograms && !last.is_empty() {
            self.add(&format!("{last} {token}"), field);
        }
        if options.onegrams {
            self.add(token, field);
        }
    }

    fn add(&mut self, word: &str, field: &str) {
        if field.is_empty() {
            self.words.insert(word.to_owned());
        } else if word.len() > MIN_WORD {
            self.words.insert(format!("{field}:{word}"));
        }
    }
}

fn is_word_char(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_alphanumeric()
    } else {
        c.is_alphanumeric()
    }
}

fn is_word(token: &str) -> bool {
    token.len() >= MIN_WORD
        && token.len() <= 512
        && !token.chars().all(char::is_numeric)
        && !is_random(token)
        && !is_number(token)
}

/// Many consonants and digits in a row, as in ids and keys.
fn is_random(token: &str) -> bool {
    let mut run = 0;
    for byte in token.bytes() {
        if !byte.is_ascii() {
            return false;
        }
        let breaks = matches!(byte, b'a' | b'e' | b'i' | b'o' | b'u' | b'0' | b'1' | b'\'');
        run = if breaks { 0 } else { run + 1 };
        if run >= RANDOM_RUN {
            return true;
        }
    }
    false
}

/// Four digits in a row, or three in something hexadecimal.
fn is_number(token: &str) -> bool {
    let digits = token.strip_prefix("0x").unwrap_or(token);
    let mut run = 0;
    let mut longest = 0;
    for byte in digits.bytes() {
        run = if byte.is_ascii_digit() { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let is_hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
    longest >= 4 || (is_hex && digits.bytes().filter(u8::is_ascii_digit).count() >= 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{part, Limits};
    use proptest::prelude::*;

    fn list(message: &[u8], options: &TokenOptions) -> String {
        let root = part::parse(message, &Limits::default());
        let found: Vec<String> = words(message, &root, options).into_iter().collect();
        found.join(" ")
    }

    #[test]
    fn table() {
        let cases: &[(&str, &str)] = &[
            ("\nDon't 'quote' ab abc", "abc don't quote"),
            ("\n12345 2024x ax12yy1b abc12f a1b2c3d4zz 1a2b3c", "abc12f ax12yy1b"),
            ("\nxkcdfgh strengths rhythm ångström 日本語", "strengths ångström 日本語"),
            ("Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= an\nX: y\n\nbody", "Subject:grüße body"),
            (
                "Content-Type: text/html\n\n<p>one</p><p>two</p>a<br>three <b>fo</b>ur<style>no</style>",
                "four one three two",
            ),
            (
                "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nplain\n--b\nContent-Type: image/png\n\nimage\n--b\nContent-Transfer-Encoding: bogus\n\nhidden\n--b--\n",
                "plain",
            ),
            (
                "Content-Type: message/rfc822\n\nSubject: inner\n\nnested words",
                "nested words",
            ),
            (
                "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nDQpuZXN0ZWQgd29yZHM=\n",
                "nested words",
            ),
        ];
        for (message, expected) in cases {
            let message = message.replace('\n', "\r\n");
            assert_eq!(
                list(message.as_bytes(), &TokenOptions::default()),
                *expected,
                "{message}"
            );
        }
    }

    #[test]
    fn ngrams() {
        let options = TokenOptions {
            twograms: true,
            threegrams: true,
            ..TokenOptions::default()
        };
        assert_eq!(
            list(b"\r\none two 12345 three", &options),
            "one one two one two three three two two three"
        );
    }

    #[test]
    fn bounds() {
        let options = TokenOptions {
            max_text: 10,
            max_words: 2,
            ..TokenOptions::default()
        };
        assert_eq!(list(b"\r\nabc def ghi jkl", &options), "abc def");
    }

    proptest! {
        #[test]
        fn any_input(data in proptest::collection::vec(any::<u8>(), 0..400)) {
            let found = list(&data, &TokenOptions { twograms: true, ..TokenOptions::default() });
            prop_assert!(found.len() < data.len() * 40 + 40);
        }
    }
}

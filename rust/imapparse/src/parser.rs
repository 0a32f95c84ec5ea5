//! The command grammar (RFC 9051 §9). Input is a complete command as sent, literals in place.

use crate::command::{Command, Value};
use crate::set::SequenceSet;
use crate::utf7::decode_utf7;

/// What is wrong with a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// Response code, may be empty.
    pub code: &'static str,
    /// For the client.
    pub text: String,
    /// The command word is not known.
    pub unknown: bool,
}

impl ParseError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            code: "",
            text: text.into(),
            unknown: false,
        }
    }
}

pub(crate) type Parse<T> = Result<T, ParseError>;

pub(crate) fn error<T>(text: impl Into<String>) -> Parse<T> {
    Err(ParseError::new(text))
}

/// A number that `Parser::number` has read: below 2^63.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) struct Parser<'a> {
    pub(crate) data: &'a [u8],
    pub(crate) at: usize,
    /// Mailbox names are UTF-8 (RFC 9051 §5.1, RFC 6855).
    pub(crate) utf8: bool,
    pub(crate) depth: usize,
}

pub(crate) fn is_atom(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte)
}

/// Tag and command word of a line, for errors: the tag is `*` when there is none, the word may be empty.
pub(crate) fn tag_and_word(data: &[u8]) -> (String, String) {
    let mut parser = Parser::new(data, false);
    let Ok(tag) = parser.tag() else {
        return ("*".to_owned(), String::new());
    };
    let word = parser.space().and_then(|()| parser.word());
    (tag, word.unwrap_or_default())
}

impl<'a> Parser<'a> {
    pub(crate) fn new(data: &'a [u8], utf8: bool) -> Self {
        Self {
            data,
            at: 0,
            utf8,
            depth: 0,
        }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.data.get(self.at).copied()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.data[self.at..]
    }

    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub(crate) fn expect(&mut self, byte: u8) -> Parse<()> {
        if self.take(byte) {
            return Ok(());
        }
        error(format!(
            "expected {:?} at offset {}",
            char::from(byte),
            self.at
        ))
    }

    pub(crate) fn space(&mut self) -> Parse<()> {
        self.expect(b' ')
    }

    pub(crate) fn end(&self) -> Parse<()> {
        if self.at == self.data.len() {
            return Ok(());
        }
        error(format!("leftover data at offset {}", self.at))
    }

    pub(crate) fn while_(&mut self, accept: impl Fn(u8) -> bool) -> &'a str {
        let start = self.at;
        while self.peek().is_some_and(&accept) {
            self.at += 1;
        }
        std::str::from_utf8(&self.data[start..self.at]).unwrap_or_default()
    }

    /// The word in any case; a longer word is another word.
    pub(crate) fn keyword(&mut self, word: &str) -> bool {
        let Some(found) = self.rest().get(..word.len()) else {
            return false;
        };
        let ends = word.ends_with(|c: char| !c.is_ascii_alphanumeric())
            || !self
                .rest()
                .get(word.len())
                .is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'=' | b'.'));
        if ends && found.eq_ignore_ascii_case(word.as_bytes()) {
            self.at += word.len();
            return true;
        }
        false
    }

    /// `tag = 1*<any ASTRING-CHAR except "+">`
    pub(crate) fn tag(&mut self) -> Parse<String> {
        let tag = self
            .while_(|b| (is_atom(b) || b == b']') && b != b'+')
            .to_owned();
        if tag.is_empty() || tag.len() > 100 || self.peek() != Some(b' ') {
            return error("missing tag");
        }
        Ok(tag)
    }

    /// The command word in upper case; `UID FETCH` and the like are one.
    pub(crate) fn word(&mut self) -> Parse<String> {
        let letters = |p: &mut Self| p.while_(|b| b.is_ascii_alphabetic()).to_ascii_uppercase();
        let mut word = letters(self);
        if word == "UID" {
            self.space()?;
            word = format!("UID {}", letters(self));
        }
        Ok(word)
    }

    pub(crate) fn atom(&mut self) -> Parse<&'a str> {
        let atom = self.while_(is_atom);
        if atom.is_empty() {
            return error(format!("expected an atom at offset {}", self.at));
        }
        Ok(atom)
    }

    pub(crate) fn number(&mut self) -> Parse<u64> {
        let digits = self.while_(|b| b.is_ascii_digit());
        match digits.parse::<u64>() {
            Ok(number) if i64::try_from(number).is_ok() => Ok(number),
            _ => error(format!("expected a number at offset {}", self.at)),
        }
    }

    pub(crate) fn number32(&mut self) -> Parse<u32> {
        u32::try_from(self.number()?).or_else(|_| error("number too large"))
    }

    /// A literal's octets, `{5}` or `{5+}` and, with `binary`, also `~{5}`.
    pub(crate) fn literal(&mut self) -> Parse<&'a [u8]> {
        self.expect(b'{')?;
        let size = usize::try_from(self.number()?).or_else(|_| error("literal too large"))?;
        self.take(b'+');
        self.expect(b'}')?;
        self.expect(b'\r')?;
        self.expect(b'\n')?;
        let Some(data) = self.rest().get(..size) else {
            return error("literal is cut off");
        };
        self.at += size;
        Ok(data)
    }

    fn quoted(&mut self) -> Parse<Vec<u8>> {
        self.expect(b'"')?;
        let mut out = Vec::new();
        loop {
            let Some(byte) = self.peek() else {
                return error("quoted string without end");
            };
            self.at += 1;
            match byte {
                b'"' => return Ok(out),
                b'\\' => match self.peek() {
                    Some(escaped @ (b'"' | b'\\')) => {
                        self.at += 1;
                        out.push(escaped);
                    }
                    _ => return error("only quote and backslash can be escaped"),
                },
                0 | b'\r' | b'\n' => return error("control character in quoted string"),
                _ => out.push(byte),
            }
        }
    }

    pub(crate) fn string_bytes(&mut self) -> Parse<Vec<u8>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal().map(<[u8]>::to_vec),
            _ => error(format!("expected a string at offset {}", self.at)),
        }
    }

    pub(crate) fn string(&mut self) -> Parse<String> {
        self.string_bytes()
            .map(|b| String::from_utf8_lossy(&b).into_owned())
    }

    pub(crate) fn astring_bytes(&mut self) -> Parse<Vec<u8>> {
        if matches!(self.peek(), Some(b'"' | b'{')) {
            return self.string_bytes();
        }
        let atom = self.while_(|b| is_atom(b) || b == b']');
        if atom.is_empty() {
            return error(format!("expected a string at offset {}", self.at));
        }
        Ok(atom.as_bytes().to_vec())
    }

    pub(crate) fn astring(&mut self) -> Parse<String> {
        self.astring_bytes()
            .map(|b| String::from_utf8_lossy(&b).into_owned())
    }

    pub(crate) fn nstring(&mut self) -> Parse<Option<String>> {
        if self.keyword("NIL") {
            return Ok(None);
        }
        self.string().map(Some)
    }

    fn mailbox_name(&self, raw: &[u8]) -> Parse<String> {
        if self.utf8 {
            return String::from_utf8(raw.to_vec()).or_else(|_| error("mailbox name is not UTF-8"));
        }
        decode_utf7(raw).map_or_else(|| error("mailbox name is not modified UTF-7"), Ok)
    }

    pub(crate) fn mailbox(&mut self) -> Parse<Value> {
        let raw = self.astring_bytes()?;
        self.mailbox_name(&raw).map(Value::Str)
    }

    /// `list-mailbox = 1*list-char / string`
    pub(crate) fn list_mailbox(&mut self) -> Parse<Value> {
        if matches!(self.peek(), Some(b'"' | b'{')) {
            return self.mailbox();
        }
        let text = self.while_(|b| is_atom(b) || b"%*]".contains(&b));
        if text.is_empty() {
            return error("expected a mailbox pattern");
        }
        self.mailbox_name(text.as_bytes()).map(Value::Str)
    }

    /// `nstring / literal8`, and whether it is a string: octets of a METADATA value (RFC 5464 §5).
    pub(crate) fn value(&mut self) -> Parse<Option<(Vec<u8>, bool)>> {
        if self.peek() == Some(b'~') {
            self.at += 1;
            return self.literal().map(|data| Some((data.to_vec(), false)));
        }
        if self.keyword("NIL") {
            return Ok(None);
        }
        self.string_bytes().map(|data| Some((data, true)))
    }

    /// One of `words`, in any case; longer ones first where one begins another.
    pub(crate) fn one_of(&mut self, words: &[&'static str]) -> Option<&'static str> {
        words.iter().copied().find(|word| self.keyword(word))
    }

    pub(crate) fn set(&mut self) -> Parse<SequenceSet> {
        let text = self.while_(|b| b.is_ascii_digit() || b"*:,$".contains(&b));
        SequenceSet::parse(text).map_or_else(|| error("not a sequence set"), Ok)
    }

    /// `( item item ... )`, empty only where allowed.
    pub(crate) fn list<T>(
        &mut self,
        allow_empty: bool,
        mut item: impl FnMut(&mut Self) -> Parse<T>,
    ) -> Parse<Vec<T>> {
        self.expect(b'(')?;
        let mut out = Vec::new();
        if self.take(b')') {
            return if allow_empty {
                Ok(out)
            } else {
                error("empty list")
            };
        }
        loop {
            out.push(item(self)?);
            if self.take(b')') {
                return Ok(out);
            }
            self.space()?;
        }
    }

    /// A flag or keyword: system flags in lower case with backslash, others as they are.
    pub(crate) fn flag(&mut self) -> Parse<Value> {
        if !self.take(b'\\') {
            return self.atom().map(Value::str);
        }
        let name = format!("\\{}", self.atom()?.to_ascii_lowercase());
        if ["\\answered", "\\flagged", "\\deleted", "\\seen", "\\draft"].contains(&name.as_str()) {
            return Ok(Value::Str(name));
        }
        error(format!("unknown system flag {name}"))
    }

    pub(crate) fn flag_list(&mut self) -> Parse<Value> {
        self.list(true, Self::flag).map(Value::List)
    }

    /// `date-time`, quoted: milliseconds since 1970, and the zone in minutes east of UTC.
    pub(crate) fn date_time(&mut self) -> Parse<(i64, i64)> {
        let raw = self.quoted()?;
        parse_date_time(&String::from_utf8_lossy(&raw)).map_or_else(|| error("not a date-time"), Ok)
    }

    /// `date`, quoted or not: day number since 1970.
    pub(crate) fn date(&mut self) -> Parse<i64> {
        let text = if self.peek() == Some(b'"') {
            String::from_utf8_lossy(&self.quoted()?).into_owned()
        } else {
            self.while_(is_atom).to_owned()
        };
        parse_date(&text).map_or_else(|| error("not a date"), Ok)
    }
}

/// `1-Feb-2003` or ` 1-Feb-2003`: day number since 1970.
fn parse_date(text: &str) -> Option<i64> {
    let mut pieces = text.trim_start().split('-');
    let (day, month, year) = (pieces.next()?, pieces.next()?, pieces.next()?);
    let digits = |s: &str, len: std::ops::RangeInclusive<usize>| {
        (len.contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit()))
            .then(|| s.parse::<i64>().ok())
            .flatten()
    };
    if pieces.next().is_some() {
        return None;
    }
    crate::render::day_number(
        digits(year, 4..=4)?,
        crate::render::month_number(month)?,
        digits(day, 1..=2)?,
    )
}

/// `_2-Jan-2006 15:04:05 +0100`: milliseconds since 1970, and minutes east of UTC.
fn parse_date_time(text: &str) -> Option<(i64, i64)> {
    let text = text.trim_start();
    let mut words = text.split(' ');
    let (date, time, zone) = (words.next()?, words.next()?, words.next()?);
    let two = |s: &str| {
        (s.len() == 2 && s.bytes().all(|b| b.is_ascii_digit()))
            .then(|| s.parse::<i64>().ok())
            .flatten()
    };
    let mut parts = time.split(':');
    let (hour, minute, second) = (
        two(parts.next()?)?,
        two(parts.next()?)?,
        two(parts.next()?)?,
    );
    if words.next().is_some() || parts.next().is_some() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    if zone.len() != 5 || !zone.is_ascii() {
        return None;
    }
    let (zone_hours, zone_minutes) = (two(&zone[1..3])?, two(&zone[3..5])?);
    if zone_minutes > 59 {
        return None;
    }
    let offset = sign * (zone_hours * 60 + zone_minutes);
    let seconds = parse_date(date)? * 86_400 + hour * 3600 + minute * 60 + second - offset * 60;
    Some((seconds * 1000, offset))
}

/// Parse a complete command.
pub(crate) fn parse_command(data: &[u8], utf8: bool) -> Parse<Command> {
    let mut parser = Parser::new(data, utf8);
    let tag = parser.tag()?;
    parser.space()?;
    let name = parser.word()?;
    let args = crate::grammar::arguments(&mut parser, &name)?;
    parser.end()?;
    Ok(Command { tag, name, args })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_times() {
        assert_eq!(parse_date_time(" 1-Jan-1970 01:00:00 +0100"), Some((0, 60)));
        assert_eq!(
            parse_date_time("29-Feb-2024 12:34:56 +0000"),
            Some((1_709_210_096_000, 0))
        );
        for bad in [
            "32-Jan-1970 01:00:00 +0000",
            "1-Jan-1970 25:00:00 +0000",
            "1-Jan-1970 01:00:00",
            "x",
        ] {
            assert_eq!(parse_date_time(bad), None, "{bad}");
        }
        assert_eq!(parse_date("1-Feb-1970"), Some(31));
        assert_eq!(parse_date("30-Feb-1970"), None);
    }
}

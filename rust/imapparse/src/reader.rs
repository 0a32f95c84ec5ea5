//! Cutting the stream into commands and literals, with every limit, before any grammar runs.

use crate::command::{Command, Value};
use crate::parser::{error, parse_command, tag_and_word, Parse, ParseError, Parser};
use crate::set::SequenceSet;

/// Bounds for what a client can make the server hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A line with its line end.
    pub line: usize,
    /// A literal inside a command (not a message).
    pub literal: u64,
    /// All literals of a command.
    pub literals_total: u64,
    /// Number of literals of a command.
    pub literals: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line: 16 * 1024,
            literal: 100 * 1024,
            literals_total: 1_024_000,
            literals: 1000,
        }
    }
}

/// The start of a message in APPEND or REPLACE: what stands before its literal.
#[derive(Debug, Clone, PartialEq)]
pub struct AppendStart {
    /// Tag of the command.
    pub tag: String,
    /// `APPEND`, `REPLACE` or `UID REPLACE`.
    pub name: &'static str,
    /// The message that is replaced (RFC 8508).
    pub replaced: Option<SequenceSet>,
    /// Mailbox.
    pub mailbox: String,
    /// Flags as in STORE.
    pub flags: Vec<Value>,
    /// INTERNALDATE in milliseconds since 1970, and its zone in minutes east of UTC.
    pub date: Option<(i64, i64)>,
    /// Octets of the literal.
    pub size: u64,
    /// The client waits for a continuation.
    pub sync: bool,
}

/// What comes out of the reader.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Send `+ ` and CRLF: the client waits with a literal.
    Continue,
    /// A command. APPEND comes with no arguments when all of its messages have been taken.
    Command(Command),
    /// A message literal follows: take it with [`CommandReader::take_literal`].
    Append(AppendStart),
    /// A bad command. When `fatal`, the connection cannot go on.
    Error {
        /// Tag, `*` when there is none.
        tag: String,
        /// Command word, may be empty.
        word: String,
        /// What is wrong.
        error: ParseError,
        /// The end of the command cannot be known.
        fatal: bool,
    },
    /// A line that was asked for with [`CommandReader::expect_line`].
    Line(Vec<u8>),
}

#[derive(Debug, PartialEq)]
enum State {
    Line,
    /// Octets that are missing of a literal inside a command.
    Literal(u64),
    /// A message literal is being taken; what closes it (`)` for `UTF8 (~{n})`).
    Message {
        remaining: u64,
        closing: bool,
    },
    /// After a message: the next one, or the end of APPEND.
    AfterMessage {
        closing: bool,
    },
    /// After a fatal error nothing more is read.
    Dead,
}

/// Feeds on bytes, yields events.
#[derive(Debug)]
pub struct CommandReader {
    limits: Limits,
    buffer: Vec<u8>,
    /// Start of what is not used yet in `buffer`.
    start: usize,
    /// No LF before this offset, counted from `start`.
    scanned: usize,
    command: Vec<u8>,
    literals: usize,
    literals_total: u64,
    state: State,
    append: Option<Target>,
    want_line: bool,
    utf8: bool,
}

impl CommandReader {
    /// A reader at the start of a connection.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            command: Vec::new(),
            literals: 0,
            literals_total: 0,
            state: State::Line,
            append: None,
            want_line: false,
            utf8: false,
        }
    }

    /// Mailbox names are UTF-8 from now on.
    pub fn set_utf8(&mut self, utf8: bool) {
        self.utf8 = utf8;
    }

    /// The next line is not a command (SASL response, DONE).
    pub fn expect_line(&mut self) {
        self.want_line = true;
    }

    /// Add bytes from the client.
    pub fn feed(&mut self, data: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(data);
    }

    /// Bytes that are not used yet, taken out (for STARTTLS and COMPRESS).
    pub fn drain(&mut self) -> Vec<u8> {
        let rest = self.buffer.split_off(self.start);
        self.buffer.clear();
        (self.start, self.scanned) = (0, 0);
        rest
    }

    /// Number of bytes that are waiting.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffer.len() - self.start
    }

    fn take(&mut self, count: usize) -> &[u8] {
        let from = self.start;
        self.start += count;
        self.scanned = 0;
        &self.buffer[from..from + count]
    }

    /// Up to `max` octets of the message literal that are here.
    pub fn take_literal(&mut self, max: usize) -> Vec<u8> {
        let State::Message { remaining, closing } = self.state else {
            return Vec::new();
        };
        let count = usize::try_from(remaining)
            .unwrap_or(usize::MAX)
            .min(max)
            .min(self.buffered());
        let left = remaining - count as u64;
        self.state = if left == 0 {
            State::AfterMessage { closing }
        } else {
            State::Message {
                remaining: left,
                closing,
            }
        };
        self.take(count).to_vec()
    }

    /// The next event; None when more bytes are needed, or a message literal must be taken first.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Option<Event> {
        loop {
            match self.state {
                State::Dead | State::Message { .. } => return None,
                State::Literal(remaining) => {
                    let count = usize::try_from(remaining)
                        .unwrap_or(usize::MAX)
                        .min(self.buffered());
                    let data = self.take(count).to_vec();
                    self.command.extend_from_slice(&data);
                    if (count as u64) < remaining {
                        self.state = State::Literal(remaining - count as u64);
                        return None;
                    }
                    self.state = State::Line;
                }
                State::Line | State::AfterMessage { .. } => {
                    let line = match self.line() {
                        Ok(line) => line?,
                        Err(error) => return Some(failed(b"", error, true)),
                    };
                    if self.want_line {
                        self.want_line = false;
                        return Some(Event::Line(line));
                    }
                    if let Some(event) = self.complete_line(line) {
                        return Some(event);
                    }
                }
            }
        }
    }

    /// The next line without its line end.
    fn line(&mut self) -> Parse<Option<Vec<u8>>> {
        let waiting = &self.buffer[self.start..];
        let found = memchr::memchr(b'\n', &waiting[self.scanned..]).map(|at| at + self.scanned);
        let length = found.map_or(waiting.len(), |at| at + 1);
        if length > self.limits.line {
            self.state = State::Dead;
            return error("line too long");
        }
        if found.is_none() {
            self.scanned = length;
            return Ok(None);
        }
        let mut line = self.take(length).to_vec();
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(Some(line))
    }

    /// A line is here: a literal follows, or the command is complete.
    fn complete_line(&mut self, line: Vec<u8>) -> Option<Event> {
        self.command.extend_from_slice(&line);
        if let State::AfterMessage { closing } = self.state {
            return self.after_message(closing, &line);
        }
        let Some(marker) = marker(&line) else {
            let data = self.reset();
            return Some(match parse_command(&data, self.utf8) {
                Ok(command) => Event::Command(command),
                Err(error) => failed(&data, error, false),
            });
        };
        if let Some(head) = append_head(&self.command, self.utf8) {
            return Some(self.start_message(head, &marker));
        }
        self.start_literal(&marker)
    }

    fn start_literal(&mut self, marker: &Marker) -> Option<Event> {
        self.literals += 1;
        self.literals_total = self.literals_total.saturating_add(marker.size);
        let too_big = marker.size > self.limits.literal
            || self.literals_total > self.limits.literals_total
            || self.literals > self.limits.literals;
        if too_big {
            let data = self.reset();
            if !marker.sync {
                self.state = State::Dead;
            }
            let error = ParseError {
                code: "TOOBIG",
                text: "literal too big".into(),
                unknown: false,
            };
            return Some(failed(&data, error, !marker.sync));
        }
        self.command.extend_from_slice(b"\r\n");
        self.state = State::Literal(marker.size);
        marker.sync.then_some(Event::Continue)
    }

    fn start_message(&mut self, head: Parse<Head>, marker: &Marker) -> Event {
        let data = std::mem::take(&mut self.command);
        match head {
            Ok(head) => self.message(head, marker),
            Err(error) => self.bad_append(&data, error, marker.sync),
        }
    }

    fn message(&mut self, head: Head, marker: &Marker) -> Event {
        self.state = State::Message {
            remaining: marker.size,
            closing: head.utf8,
        };
        if marker.size == 0 {
            self.state = State::AfterMessage { closing: head.utf8 };
        }
        self.append = Some(head.target.clone());
        Event::Append(AppendStart {
            tag: head.target.tag,
            name: head.target.name,
            replaced: head.target.replaced,
            mailbox: head.target.mailbox,
            flags: head.flags,
            date: head.date,
            size: marker.size,
            sync: marker.sync,
        })
    }

    fn bad_append(&mut self, data: &[u8], error: ParseError, sync: bool) -> Event {
        self.reset();
        if !sync {
            // The octets of the literal are on their way and would be read as commands.
            self.state = State::Dead;
        }
        failed(data, error, !sync)
    }

    fn after_message(&mut self, closing: bool, line: &[u8]) -> Option<Event> {
        self.command.clear();
        let target = self.append.clone()?;
        let start = format!("{} {}", target.tag, target.name).into_bytes();
        let rest = if closing {
            line.strip_prefix(b")")
        } else {
            Some(line)
        };
        if rest.is_some_and(<[u8]>::is_empty) {
            self.reset();
            return Some(Event::Command(Command {
                tag: target.tag,
                name: target.name.into(),
                args: Vec::new(),
            }));
        }
        let found = marker(line);
        let sync = found.as_ref().is_none_or(|m| m.sync);
        Some(match (self.next_message(rest, target), found) {
            (Ok(head), Some(marker)) => self.message(head, &marker),
            (Ok(_), None) => {
                let missing = ParseError::new("expected a message literal");
                self.bad_append(&start, missing, sync)
            }
            (Err(error), _) => self.bad_append(&start, error, sync),
        })
    }

    /// What stands between two messages of MULTIAPPEND (RFC 3502).
    fn next_message(&self, rest: Option<&[u8]>, target: Target) -> Parse<Head> {
        let Some(rest) = rest else {
            return error("expected ) after message");
        };
        if target.name != "APPEND" {
            return error("leftover data after message");
        }
        let mut parser = Parser::new(rest, self.utf8);
        parser.space()?;
        append_message(&mut parser, target)
    }

    /// The command is over; returns its bytes.
    fn reset(&mut self) -> Vec<u8> {
        (self.literals, self.literals_total) = (0, 0);
        self.append = None;
        self.state = State::Line;
        std::mem::take(&mut self.command)
    }

    /// Give up on the APPEND in progress (after an error that was answered before its sync literal was sent).
    pub fn abandon(&mut self) {
        self.reset();
    }
}

struct Marker {
    size: u64,
    sync: bool,
}

/// `{n}` or `{n+}` at the end of a line.
fn marker(line: &[u8]) -> Option<Marker> {
    let inner = line.strip_suffix(b"}")?;
    let open = memchr::memrchr(b'{', inner)?;
    let digits = &inner[open + 1..];
    let (digits, sync) = digits
        .strip_suffix(b"+")
        .map_or((digits, true), |d| (d, false));
    let plain = !digits.is_empty() && digits.len() <= 19 && digits.iter().all(u8::is_ascii_digit);
    let size = plain
        .then(|| std::str::from_utf8(digits).ok()?.parse().ok())
        .flatten()?;
    Some(Marker { size, sync })
}

/// Where the messages of a command go.
#[derive(Debug, Clone)]
struct Target {
    tag: String,
    name: &'static str,
    replaced: Option<SequenceSet>,
    mailbox: String,
}

struct Head {
    target: Target,
    flags: Vec<Value>,
    date: Option<(i64, i64)>,
    /// `UTF8 (` stands before the literal.
    utf8: bool,
}

fn failed(data: &[u8], error: ParseError, fatal: bool) -> Event {
    let (tag, word) = tag_and_word(data);
    Event::Error {
        tag,
        word,
        error,
        fatal,
    }
}

/// The head of an APPEND or REPLACE up to its message literal; None when this is another command, or the literal is the
/// mailbox.
fn append_head(data: &[u8], utf8: bool) -> Option<Parse<Head>> {
    let mut parser = Parser::new(data, utf8);
    let tag = parser.tag().ok()?;
    parser.space().ok()?;
    let word = parser.word().ok()?;
    let name = ["APPEND", "REPLACE", "UID REPLACE"]
        .into_iter()
        .find(|name| *name == word)?;
    parser.space().ok()?;
    let mut replaced = None;
    if name != "APPEND" {
        match parser.set().and_then(|set| parser.space().map(|()| set)) {
            Ok(set) => replaced = Some(set),
            Err(error) => return Some(Err(error)),
        }
    }
    let at = parser.at;
    if parser.peek() == Some(b'{') && parser.literal().is_err() {
        return None;
    }
    parser.at = at;
    Some(head(&mut parser, tag, name, replaced))
}

fn head(
    parser: &mut Parser<'_>,
    tag: String,
    name: &'static str,
    replaced: Option<SequenceSet>,
) -> Parse<Head> {
    if replaced.as_ref().is_some_and(|set| !set.is_single()) {
        return error("expected one message number");
    }
    let Value::Str(mailbox) = parser.mailbox()? else {
        return error("expected a mailbox");
    };
    parser.space()?;
    let target = Target {
        tag,
        name,
        replaced,
        mailbox,
    };
    append_message(parser, target)
}

/// `[flag-list SP] [date-time SP] ( literal / literal8 / "UTF8" SP "(" literal8 ")" )`, up to the literal.
fn append_message(parser: &mut Parser<'_>, target: Target) -> Parse<Head> {
    let mut flags = Vec::new();
    if parser.peek() == Some(b'(') {
        if let Value::List(list) = parser.flag_list()? {
            flags = list;
        }
        parser.space()?;
    }
    let mut date = None;
    if parser.peek() == Some(b'"') {
        date = Some(parser.date_time()?);
        parser.space()?;
    }
    let utf8 = parser.keyword("UTF8");
    if utf8 {
        parser.space()?;
        parser.expect(b'(')?;
        if parser.peek() != Some(b'~') {
            return error("UTF8 wants a literal8");
        }
    }
    parser.take(b'~');
    let rest = parser.rest();
    if rest.first() != Some(&b'{') || memchr::memchr(b'}', rest) != Some(rest.len() - 1) {
        return error("expected a message literal");
    }
    Ok(Head {
        target,
        flags,
        date,
        utf8,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn events(input: &[u8], chunk: usize) -> Vec<String> {
        let mut reader = CommandReader::new(Limits {
            line: 200,
            ..Limits::default()
        });
        let mut out = Vec::new();
        let mut message: Vec<u8> = Vec::new();
        for piece in input.chunks(chunk) {
            reader.feed(piece);
            loop {
                message.extend(reader.take_literal(usize::MAX));
                let Some(event) = reader.next() else { break };
                if !message.is_empty() {
                    out.push(format!(
                        "message {:?}",
                        String::from_utf8_lossy(&std::mem::take(&mut message))
                    ));
                }
                out.push(match event {
                    Event::Command(c) => format!("{} {} {:?}", c.tag, c.name, c.args),
                    Event::Append(a) => format!(
                        "{} {} {:?} {:?} {}",
                        a.name.to_lowercase(),
                        a.mailbox,
                        a.flags,
                        a.date,
                        a.size
                    ),
                    Event::Error {
                        tag, error, fatal, ..
                    } => {
                        format!("error {tag} {} {} {fatal}", error.code, error.text)
                    }
                    Event::Continue => "continue".into(),
                    Event::Line(line) => format!("line {line:?}"),
                });
            }
        }
        out
    }

    #[test]
    fn table() {
        let cases: &[(&str, &[&str])] = &[
            ("a NOOP\r\nb noop\n", &["a NOOP []", "b NOOP []"]),
            (
                "a LOGIN {1}\r\nu \"p\\\"\"\r\n",
                &["continue", "a LOGIN [Str(\"u\"), Str(\"p\\\"\")]"],
            ),
            (
                "a LOGIN {1+}\r\nu {2+}\r\npq\r\n",
                &["a LOGIN [Str(\"u\"), Str(\"pq\")]"],
            ),
            (
                "a APPEND x (\\Seen) {3+}\r\nabc\r\nb NOOP\r\n",
                &[
                    "append x [Str(\"\\\\seen\")] None 3",
                    "message \"abc\"",
                    "a APPEND []",
                    "b NOOP []",
                ],
            ),
            (
                "a APPEND {1+}\r\nx {1+}\r\na {2}\r\nbc\r\n",
                &[
                    "append x [] None 1",
                    "message \"a\"",
                    "append x [] None 2",
                    "message \"bc\"",
                    "a APPEND []",
                ],
            ),
            (
                "a APPEND x UTF8 (~{1+}\r\na)\r\n",
                &["append x [] None 1", "message \"a\"", "a APPEND []"],
            ),
            (
                "a LOGIN {999999}\r\nb NOOP\r\n",
                &["error a TOOBIG literal too big false", "b NOOP []"],
            ),
            (
                "a LOGIN {999999+}\r\nb NOOP\r\n",
                &["error a TOOBIG literal too big true"],
            ),
            (
                "a UID REPLACE 4 x {1+}\r\na\r\nb REPLACE 1:2 x {1}\r\nc NOOP\r\n",
                &[
                    "uid replace x [] None 1",
                    "message \"a\"",
                    "a UID REPLACE []",
                    "error b  expected one message number false",
                    "c NOOP []",
                ],
            ),
            (
                "a REPLACE * x {1+}\r\na {1}\r\nb NOOP\r\n",
                &[
                    "replace x [] None 1",
                    "message \"a\"",
                    "error a  leftover data after message false",
                    "b NOOP []",
                ],
            ),
            (
                "a APPEND x (bad\\) {3}\r\n",
                &["error a  expected ' ' at offset 15 false"],
            ),
        ];
        for (input, expected) in cases {
            for chunk in [1, 2, 7, 1000] {
                assert_eq!(
                    events(input.as_bytes(), chunk),
                    *expected,
                    "{input} by {chunk}"
                );
            }
        }
        assert_eq!(events(&[b'a'; 300], 100), ["error *  line too long true"]);
    }

    proptest! {
        #[test]
        fn no_input_breaks_it(input in proptest::collection::vec(any::<u8>(), 0..300), chunk in 1usize..50) {
            events(&input, chunk);
        }

        #[test]
        fn commands_from_fragments(
            words in proptest::collection::vec(proptest::sample::select(vec![
                "a ", "UID ", "FETCH ", "SEARCH ", "STORE ", "LIST ", "1:* ", "(", ")", "BODY[", "]", "<1.2>", "\"x\" ",
                "{1+}\r\nx", "\r\n", "APPEND ", "x ", "OR ", "NOT ", "RETURN ", "~", "$", "(FLAGS)", "ALL",
            ]), 0..20),
            chunk in 1usize..50,
        ) {
            events(words.concat().as_bytes(), chunk);
        }
    }
}

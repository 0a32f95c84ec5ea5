//! Search keys (RFC 9051 §6.4.4, RFC 5032, RFC 7162 §3.1.5, RFC 8514).

use crate::command::Value;
use crate::parser::{error, signed, Parse, Parser};

const DAY_MS: i64 = 86_400_000;
const DEEPEST: usize = 50;
const MOST_KEYS: usize = 2000;

/// `[return options or Nil, key]`, charset checked. Options are names, and `(PARTIAL, from, to)` (RFC 9394).
///
/// A key is a tuple that starts with its kind: `ALL`, `FLAG bits`, `KEYWORD word`, `RECEIVED from to` and `SAVED from to`
/// in milliseconds of the message's own zone, `SENT from to` in days since 1970, `OLDER s`, `YOUNGER s`, `LARGER n`,
/// `SMALLER n`, `MODSEQ n`, `UID set`, `SEQ set`, `HEADER name text`, `BODY text`, `TEXT text`, `EMAILID id`,
/// `THREADID id`, `HASSAVEDATE`, `AND list`, `OR a b`, `NOT a`.
pub(crate) fn arguments(parser: &mut Parser<'_>) -> Parse<Vec<Value>> {
    let options = return_options(parser)?;
    if parser.keyword("CHARSET") {
        parser.space()?;
        crate::sort::charset(parser)?;
    }
    Ok(vec![options, keys(parser)?])
}

/// `RETURN (...)` with the space after it; Nil without.
pub(crate) fn return_options(parser: &mut Parser<'_>) -> Parse<Value> {
    if !parser.keyword("RETURN") {
        return Ok(Value::Nil);
    }
    parser.space()?;
    let options = parser.list(true, |p| {
        match p.one_of(&["MIN", "MAX", "ALL", "COUNT", "SAVE", "PARTIAL"]) {
            Some("PARTIAL") => {
                p.space()?;
                partial_range(p)
            }
            Some(name) => Ok(Value::str(name)),
            None => error("unknown return option"),
        }
    })?;
    parser.space()?;
    let partial = options.iter().any(|o| matches!(o, Value::Tuple(_)));
    if partial && options.contains(&Value::str("ALL")) {
        return error("PARTIAL and ALL exclude each other");
    }
    Ok(Value::List(options))
}

/// `partial-range` of RFC 9394 §4: both ends count from the start, or both, negative, from the end.
pub(crate) fn partial_range(parser: &mut Parser<'_>) -> Parse<Value> {
    let negative = parser.take(b'-');
    let first = parser.number32()?;
    parser.expect(b':')?;
    if parser.take(b'-') != negative {
        return error("both ends of a partial range have the same sign");
    }
    let second = parser.number32()?;
    if first == 0 || second == 0 {
        return error("a partial range starts at 1");
    }
    let sign = if negative { -1 } else { 1 };
    let (low, high) = (i64::from(first.min(second)), i64::from(first.max(second)));
    Ok(Value::Tuple(vec![
        Value::str("PARTIAL"),
        Value::Num(sign * low),
        Value::Num(sign * high),
    ]))
}

/// `search-key *(SP search-key)`
pub(crate) fn keys(parser: &mut Parser<'_>) -> Parse<Value> {
    let mut keys = vec![key(parser)?];
    while parser.take(b' ') {
        keys.push(key(parser)?);
        if keys.len() > MOST_KEYS {
            return error("too many search keys");
        }
    }
    Ok(all_of(keys))
}

fn all_of(mut keys: Vec<Value>) -> Value {
    if keys.len() == 1 {
        return keys.remove(0);
    }
    node("AND", vec![Value::List(keys)])
}

fn node(kind: &str, mut rest: Vec<Value>) -> Value {
    rest.insert(0, Value::str(kind));
    Value::Tuple(rest)
}

fn not(key: Value) -> Value {
    node("NOT", vec![key])
}

fn flag(bit: u32) -> Value {
    node("FLAG", vec![Value::Num(1 << bit)])
}

fn key(parser: &mut Parser<'_>) -> Parse<Value> {
    parser.depth += 1;
    if parser.depth > DEEPEST {
        return error("search keys nested too deeply");
    }
    let found = key_inner(parser);
    parser.depth -= 1;
    found
}

fn key_inner(parser: &mut Parser<'_>) -> Parse<Value> {
    if parser.peek() == Some(b'(') {
        return parser.list(false, key).map(all_of);
    }
    if parser
        .peek()
        .is_some_and(|b| b.is_ascii_digit() || b == b'*' || b == b'$')
    {
        let set = parser.set()?;
        let kind = if set.is_saved() { "UID" } else { "SEQ" };
        return Ok(node(kind, vec![Value::Set(set)]));
    }
    let word = parser
        .while_(|b| b.is_ascii_alphanumeric())
        .to_ascii_uppercase();
    if let Some(found) = plain(&word) {
        return Ok(found);
    }
    let known = [
        "BCC",
        "CC",
        "FROM",
        "TO",
        "SUBJECT",
        "HEADER",
        "BODY",
        "TEXT",
        "KEYWORD",
        "UNKEYWORD",
        "BEFORE",
        "ON",
        "SINCE",
        "SENTBEFORE",
        "SENTON",
        "SENTSINCE",
        "SAVEDBEFORE",
        "SAVEDON",
        "SAVEDSINCE",
        "OLDER",
        "YOUNGER",
        "LARGER",
        "SMALLER",
        "MODSEQ",
        "EMAILID",
        "THREADID",
        "UID",
        "NOT",
        "OR",
    ];
    if !known.contains(&word.as_str()) {
        return error(format!("unknown search key {word:?}"));
    }
    parser.space()?;
    match word.as_str() {
        "BCC" | "CC" | "FROM" | "TO" | "SUBJECT" => {
            Ok(node("HEADER", vec![Value::Str(word), text(parser)?]))
        }
        "HEADER" => {
            let name = parser.astring()?;
            parser.space()?;
            Ok(node("HEADER", vec![Value::Str(name), text(parser)?]))
        }
        "BODY" | "TEXT" => Ok(node(&word, vec![text(parser)?])),
        "EMAILID" | "THREADID" => Ok(node(&word, vec![Value::str(parser.atom()?)])),
        "KEYWORD" => keyword(parser),
        "UNKEYWORD" => keyword(parser).map(not),
        "OLDER" | "YOUNGER" => seconds(parser, &word),
        "LARGER" | "SMALLER" => Ok(node(&word, vec![Value::Num(signed(parser.number()?))])),
        "MODSEQ" => modseq(parser),
        "UID" => Ok(node("UID", vec![Value::Set(parser.set()?)])),
        "NOT" => key(parser).map(not),
        "OR" => {
            let first = key(parser)?;
            parser.space()?;
            Ok(node("OR", vec![first, key(parser)?]))
        }
        _ => date(parser, &word),
    }
}

fn plain(word: &str) -> Option<Value> {
    Some(match word {
        "ALL" | "OLD" => node("ALL", Vec::new()),
        "SAVEDATESUPPORTED" => node("HASSAVEDATE", Vec::new()),
        "NEW" | "RECENT" => not(node("ALL", Vec::new())),
        "SEEN" => flag(0),
        "ANSWERED" => flag(1),
        "FLAGGED" => flag(2),
        "DELETED" => flag(3),
        "DRAFT" => flag(4),
        "UNSEEN" => not(flag(0)),
        "UNANSWERED" => not(flag(1)),
        "UNFLAGGED" => not(flag(2)),
        "UNDELETED" => not(flag(3)),
        "UNDRAFT" => not(flag(4)),
        _ => return None,
    })
}

fn text(parser: &mut Parser<'_>) -> Parse<Value> {
    parser.astring().map(Value::Str)
}

fn keyword(parser: &mut Parser<'_>) -> Parse<Value> {
    let word = parser.atom()?.to_ascii_lowercase();
    let known = crate::render::FLAG_NAMES
        .iter()
        .position(|name| name.eq_ignore_ascii_case(&word));
    Ok(match known {
        Some(bit) => flag(u32::try_from(bit).unwrap_or(0)),
        None => node("KEYWORD", vec![Value::Str(word)]),
    })
}

fn seconds(parser: &mut Parser<'_>, word: &str) -> Parse<Value> {
    match parser.number32()? {
        0 => error("the interval must be above zero"),
        interval => Ok(node(word, vec![Value::Num(i64::from(interval))])),
    }
}

/// `MODSEQ ["/flags/x" priv|shared|all] n`
fn modseq(parser: &mut Parser<'_>) -> Parse<Value> {
    if parser.peek() == Some(b'"') {
        parser.string()?;
        parser.space()?;
        if !["PRIV", "SHARED", "ALL"]
            .into_iter()
            .any(|word| parser.keyword(word))
        {
            return error("expected priv, shared or all");
        }
        parser.space()?;
    }
    Ok(node("MODSEQ", vec![Value::Num(signed(parser.number()?))]))
}

fn date(parser: &mut Parser<'_>, word: &str) -> Parse<Value> {
    let day = parser.date()?;
    let (kind, unit) = if word.starts_with("SENT") {
        ("SENT", 1)
    } else if word.starts_with("SAVED") {
        ("SAVED", DAY_MS)
    } else {
        ("RECEIVED", DAY_MS)
    };
    let (from, to) = if word.ends_with("BEFORE") {
        (i64::MIN, day * unit)
    } else if word.ends_with("SINCE") {
        (day * unit, i64::MAX)
    } else {
        (day * unit, (day + 1) * unit)
    };
    Ok(node(kind, vec![Value::Num(from), Value::Num(to)]))
}

#[cfg(test)]
mod tests {
    use crate::parser::parse_command;

    fn shown(keys: &str) -> String {
        match parse_command(format!("a search {keys}").as_bytes(), false) {
            Ok(command) => format!("{:?}", command.args),
            Err(error) => format!("error {} {}", error.code, error.text),
        }
    }

    #[test]
    fn keys() {
        assert_eq!(shown("all"), r#"[Nil, Tuple([Str("ALL")])]"#);
        assert_eq!(
            shown("unseen"),
            r#"[Nil, Tuple([Str("NOT"), Tuple([Str("FLAG"), Num(1)])])]"#
        );
        assert_eq!(
            shown("keyword $JUNK"),
            r#"[Nil, Tuple([Str("FLAG"), Num(64)])]"#
        );
        assert_eq!(
            shown("on 2-jan-1970"),
            r#"[Nil, Tuple([Str("RECEIVED"), Num(86400000), Num(172800000)])]"#
        );
        assert!(shown("return () charset utf-8 (or 1:2 not uid $) larger 5")
            .starts_with("[List([]), Tuple([Str(\"AND\")"));
        assert!(shown("charset x all").starts_with("error BADCHARSET"));
        for bad in [
            "",
            "bogus",
            "or all",
            "not",
            "(all",
            "older 0",
            "before 32-jan-2000",
            "return (x) all",
            "()",
        ] {
            assert!(shown(bad).starts_with("error"), "{bad}");
        }
        assert!(shown(&"not ".repeat(60)).contains("too deeply"));
    }
}

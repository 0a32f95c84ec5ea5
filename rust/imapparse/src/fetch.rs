//! FETCH items (RFC 9051 §6.4.5, RFC 3501 §6.4.5).

use crate::command::Value;
use crate::parser::{error, signed, Parse, Parser};
use crate::search;

/// `[set, items, CHANGEDSINCE or Nil, VANISHED, PARTIAL or Nil]` (RFC 7162 §3.1.4 and §3.2.6, RFC 9394 §3.3).
///
/// An item is `(name,)` for what needs no more (`FLAGS`, `ENVELOPE`, `PREVIEW`, …), else `(name, label, peek, part, section,
/// fields, offset, count)` with name `BODY[]`, `BINARY[]` or `BINARY.SIZE[]`; offset and count are Nil without a partial.
pub(crate) fn arguments(parser: &mut Parser<'_>) -> Parse<Vec<Value>> {
    let set = Value::Set(parser.set()?);
    parser.space()?;
    let items = items(parser)?;
    let (mut since, mut vanished, mut partial) = (Value::Nil, false, Value::Nil);
    if parser.take(b' ') {
        parser.list(false, |p| {
            match p.one_of(&["CHANGEDSINCE", "VANISHED", "PARTIAL"]) {
                Some("CHANGEDSINCE") => {
                    p.space()?;
                    since = Value::Num(signed(p.number()?));
                }
                Some("VANISHED") => vanished = true,
                Some(_) => {
                    p.space()?;
                    partial = search::partial_range(p)?;
                }
                None => return error("unknown FETCH modifier"),
            }
            Ok(())
        })?;
    }
    if vanished && since == Value::Nil {
        return error("VANISHED needs CHANGEDSINCE");
    }
    let vanished = Value::Bool(vanished);
    Ok(vec![set, Value::List(items), since, vanished, partial])
}

fn simple(name: &str) -> Value {
    Value::Tuple(vec![Value::str(name)])
}

fn items(parser: &mut Parser<'_>) -> Parse<Vec<Value>> {
    if parser.peek() == Some(b'(') {
        return parser.list(false, item);
    }
    let macros: [(&str, &[&str]); 3] = [
        ("ALL", &["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"]),
        ("FAST", &["FLAGS", "INTERNALDATE", "RFC822.SIZE"]),
        (
            "FULL",
            &["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"],
        ),
    ];
    for (name, names) in macros {
        if parser.keyword(name) {
            return Ok(names.iter().map(|n| simple(n)).collect());
        }
    }
    Ok(vec![item(parser)?])
}

const SIMPLE: [&str; 14] = [
    "ENVELOPE",
    "FLAGS",
    "INTERNALDATE",
    "RFC822.SIZE",
    "RFC822.HEADER",
    "RFC822.TEXT",
    "RFC822",
    "BODYSTRUCTURE",
    "UID",
    "MODSEQ",
    "SAVEDATE",
    "PREVIEW",
    "EMAILID",
    "THREADID",
];

pub(crate) fn item(parser: &mut Parser<'_>) -> Parse<Value> {
    let start = parser.at;
    let word = parser
        .while_(|b| b.is_ascii_alphanumeric() || b == b'.')
        .to_ascii_uppercase();
    if parser.peek() == Some(b'[') {
        return match word.as_str() {
            "BODY" => section(parser, "BODY[]", false),
            "BODY.PEEK" => section(parser, "BODY[]", true),
            "BINARY" => binary(parser, "BINARY[]", false),
            "BINARY.PEEK" => binary(parser, "BINARY[]", true),
            "BINARY.SIZE" => binary(parser, "BINARY.SIZE[]", true),
            _ => error(format!("unknown item at offset {start}")),
        };
    }
    if word == "PREVIEW" && parser.rest().starts_with(b" (") {
        parser.space()?;
        parser.list(false, |p| {
            if p.keyword("LAZY") {
                Ok(())
            } else {
                error("unknown PREVIEW modifier")
            }
        })?;
    }
    if word == "BODY" || SIMPLE.contains(&word.as_str()) {
        return Ok(simple(&word));
    }
    error(format!("unknown item at offset {start}"))
}

/// `1.2.3`, not followed by a dot; leaves a dot before a section name.
fn part(parser: &mut Parser<'_>) -> Parse<Vec<u32>> {
    let mut numbers = Vec::new();
    while parser.peek().is_some_and(|b| b.is_ascii_digit()) {
        let number = parser.number32()?;
        if number == 0 || numbers.len() >= 100 {
            return error("bad part number");
        }
        numbers.push(number);
        if parser.peek() == Some(b'.') && parser.rest().get(1).is_some_and(u8::is_ascii_digit) {
            parser.at += 1;
        }
    }
    Ok(numbers)
}

fn partial(parser: &mut Parser<'_>) -> Parse<Option<(u32, u32)>> {
    if !parser.take(b'<') {
        return Ok(None);
    }
    let offset = parser.number32()?;
    parser.expect(b'.')?;
    let count = parser.number32()?;
    parser.expect(b'>')?;
    if count == 0 {
        return error("partial of zero octets");
    }
    Ok(Some((offset, count)))
}

fn section(parser: &mut Parser<'_>, name: &str, peek: bool) -> Parse<Value> {
    parser.expect(b'[')?;
    let numbers = part(parser)?;
    let mut kind = "";
    let mut fields = Vec::new();
    if parser.peek() != Some(b']') {
        if !numbers.is_empty() {
            parser.expect(b'.')?;
        }
        let names = [
            "HEADER.FIELDS.NOT",
            "HEADER.FIELDS",
            "HEADER",
            "TEXT",
            "MIME",
        ];
        let Some(found) = names.into_iter().find(|word| parser.keyword(word)) else {
            return error(format!("unknown section at offset {}", parser.at));
        };
        kind = found;
        if kind == "MIME" && numbers.is_empty() {
            return error("MIME needs a part number");
        }
        if kind.starts_with("HEADER.FIELDS") {
            parser.space()?;
            fields = parser.list(false, Parser::astring)?;
            if fields
                .iter()
                .any(|f| f.is_empty() || !f.bytes().all(|b| b.is_ascii_graphic() && b != b':'))
            {
                return error("bad header field name");
            }
        }
    }
    parser.expect(b']')?;
    let mut inner = dotted(&numbers);
    if !numbers.is_empty() && !kind.is_empty() {
        inner.push('.');
    }
    inner.push_str(kind);
    if !fields.is_empty() {
        let names: Vec<String> = fields.iter().map(|f| field_name(f)).collect();
        inner.push_str(&format!(" ({})", names.join(" ")));
    }
    let range = partial(parser)?;
    let suffix = range.map_or(String::new(), |(offset, _)| format!("<{offset}>"));
    Ok(built(
        name,
        format!("BODY[{inner}]{suffix}"),
        peek,
        &numbers,
        kind,
        fields,
        range,
    ))
}

fn binary(parser: &mut Parser<'_>, name: &str, peek: bool) -> Parse<Value> {
    parser.expect(b'[')?;
    let numbers = part(parser)?;
    parser.expect(b']')?;
    let range = if name == "BINARY[]" {
        partial(parser)?
    } else {
        None
    };
    let suffix = range.map_or(String::new(), |(offset, _)| format!("<{offset}>"));
    let label = format!("{}[{}]{suffix}", &name[..name.len() - 2], dotted(&numbers));
    Ok(built(name, label, peek, &numbers, "", Vec::new(), range))
}

fn dotted(numbers: &[u32]) -> String {
    numbers
        .iter()
        .map(u32::to_string)
        .collect::<Vec<_>>()
        .join(".")
}

/// In the usual spelling (`Message-Id`); an atom where it is one, else quoted.
fn field_name(name: &str) -> String {
    let words: Vec<String> = name.split('-').map(capitalized).collect();
    let name = words.join("-");
    if name.bytes().all(crate::parser::is_atom) {
        return name;
    }
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

fn capitalized(word: &str) -> String {
    let mut word = word.to_ascii_lowercase();
    if let Some(first) = word.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    word
}

fn built(
    name: &str,
    label: String,
    peek: bool,
    numbers: &[u32],
    kind: &str,
    fields: Vec<String>,
    range: Option<(u32, u32)>,
) -> Value {
    let number = |n: u32| Value::Num(i64::from(n));
    let (offset, count) = range.map_or((Value::Nil, Value::Nil), |(o, c)| (number(o), number(c)));
    Value::Tuple(vec![
        Value::str(name),
        Value::Str(label),
        Value::Bool(peek),
        Value::List(numbers.iter().map(|n| number(*n)).collect()),
        Value::str(kind),
        Value::List(fields.into_iter().map(Value::Str).collect()),
        offset,
        count,
    ])
}

#[cfg(test)]
mod tests {
    use crate::command::Value;
    use crate::parser::parse_command;

    fn labels(line: &str) -> Option<Vec<String>> {
        let command = parse_command(line.as_bytes(), false).ok()?;
        let Value::List(items) = &command.args[1] else {
            return None;
        };
        let label = |item: &Value| match item {
            Value::Tuple(fields) => match (fields.first(), fields.get(1)) {
                (_, Some(Value::Str(label))) | (Some(Value::Str(label)), None) => label.clone(),
                _ => String::new(),
            },
            _ => String::new(),
        };
        Some(items.iter().map(label).collect())
    }

    #[test]
    fn items() {
        for (text, expected) in [
            ("fast", "FLAGS,INTERNALDATE,RFC822.SIZE"),
            ("body", "BODY"),
            ("bodystructure", "BODYSTRUCTURE"),
            ("body[]", "BODY[]"),
            ("body.peek[1.2.header]<0.5>", "BODY[1.2.HEADER]<0>"),
            ("body[header.fields (Date \"x y\")]", ""),
            (
                "(uid body[header.fields.not (DATE from)])",
                "UID,BODY[HEADER.FIELDS.NOT (Date From)]",
            ),
            ("binary.size[1]", "BINARY.SIZE[1]"),
            ("binary[]<1.2>", "BINARY[]<1>"),
            ("(preview (lazy) flags)", "PREVIEW,FLAGS"),
            ("body[1.mime]", "BODY[1.MIME]"),
            ("body[mime]", ""),
            ("body[0]", ""),
            ("body[1.]", ""),
            ("body[]<0.0>", ""),
            ("()", ""),
            ("(all)", ""),
        ] {
            let found = labels(&format!("a fetch 1:* {text}"))
                .unwrap_or_default()
                .join(",");
            assert_eq!(found, expected, "{text}");
        }
        assert!(labels("a uid fetch 1 flags (changedsince 5)").is_some());
    }
}

//! Arguments of every command.

use crate::command::Value;
use crate::parser::{error, signed, Parse, ParseError, Parser};
use crate::{fetch, mailboxes, metadata, notify, search, sort};

/// The arguments that follow the command word `name`, with the space before them.
pub(crate) fn arguments(parser: &mut Parser<'_>, name: &str) -> Parse<Vec<Value>> {
    match name {
        "CAPABILITY" | "NOOP" | "LOGOUT" | "STARTTLS" | "NAMESPACE" | "IDLE" | "CHECK"
        | "CLOSE" | "UNSELECT" | "EXPUNGE" | "UNAUTHENTICATE" => return Ok(Vec::new()),
        _ => {}
    }
    let Some(rule) = rule(name) else {
        return Err(ParseError {
            code: "",
            text: "unknown command".into(),
            unknown: true,
        });
    };
    parser.space()?;
    rule(parser)
}

type Rule = fn(&mut Parser<'_>) -> Parse<Vec<Value>>;

fn rule(name: &str) -> Option<Rule> {
    Some(match name {
        "LOGIN" => login,
        "AUTHENTICATE" => authenticate,
        "ID" => id,
        "ENABLE" => enable,
        "COMPRESS" => |p| Ok(vec![Value::Str(p.atom()?.to_ascii_uppercase())]),
        "SELECT" | "EXAMINE" => mailboxes::select,
        "CREATE" => mailboxes::create,
        "DELETE" | "SUBSCRIBE" | "UNSUBSCRIBE" | "GETQUOTAROOT" => |p| Ok(vec![p.mailbox()?]),
        "GETQUOTA" => |p| Ok(vec![Value::Str(p.astring()?)]),
        "RENAME" => rename,
        "LIST" => mailboxes::list,
        "LSUB" => mailboxes::lsub,
        "STATUS" => mailboxes::status,
        "GETMETADATA" => metadata::get,
        "SETMETADATA" => metadata::set,
        "NOTIFY" => notify::notify,
        "APPEND" | "REPLACE" | "UID REPLACE" => |_| error("expected a message literal"),
        "SEARCH" | "UID SEARCH" => search::arguments,
        "ESEARCH" => notify::esearch,
        "SORT" | "UID SORT" => sort::sort,
        "THREAD" | "UID THREAD" => sort::thread,
        "FETCH" | "UID FETCH" => fetch::arguments,
        "STORE" | "UID STORE" => store,
        "COPY" | "MOVE" | "UID COPY" | "UID MOVE" => copy,
        "UID EXPUNGE" => |p| Ok(vec![Value::Set(p.set()?)]),
        _ => return None,
    })
}

/// `[user, password]`
fn login(parser: &mut Parser<'_>) -> Parse<Vec<Value>> {
    let user = parser.astring()?;
    parser.space()?;
    Ok(vec![Value::Str(user), Value::Str(parser.astring()?)])
}

/// `[mechanism in upper case, initial response or Nil]`
fn authenticate(parser: &mut Parser<'_>) -> Parse<Vec<Value>> {
    let mechanism = parser.atom()?.to_ascii_uppercase();
    let mut initial = Value::Nil;
    if parser.take(b' ') {
        initial = Value::str(parser.while_(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b)));
    }
    Ok(vec![Value::Str(mechanism), initial])
}

/// `[list of (name, value or Nil), or Nil]`
fn id(parser: &mut Parser<'_>) -> Parse<Vec<Value>> {
    if parser.keyword("NIL") {
        return Ok(vec![Value::Nil]);
    }
    parser.expect(b'(')?;
    let mut fields: Vec<(String, Option<String>)> = Vec::new();
    while !parser.take(b')') {
        if !fields.is_empty() {
            parser.space()?;
        }
        let name = parser.string()?.to_ascii_lowercase();
        parser.space()?;
        if fields.iter().any(|(known, _)| *known == name) {
            return error("duplicate ID field");
        }
        fields.push((name, parser.nstring()?));
    }
    let field = |(name, value): (String, Option<String>)| {
        Value::Tuple(vec![Value::Str(name), value.map_or(Value::Nil, Value::Str)])
    };
    Ok(vec![Value::List(fields.into_iter().map(field).collect())])
}

/// `[list of capability names as the client wrote them]`
fn enable(parser: &mut Parser<'_>) -> Parse<Vec<Value>> {
    let mut names = vec![Value::str(parser.atom()?)];
    while parser.take(b' ') {
        names.push(Value::str(parser.atom()?));
    }
    Ok(vec![Value::List(names)])
}

/// `[old, new]`
fn rename(parser: &mut Parser<'_>) -> Parse<Vec<Value>> {
    let old = parser.mailbox()?;
    parser.space()?;
    Ok(vec![old, parser.mailbox()?])
}

/// `[set, UNCHANGEDSINCE or Nil, "+", "-" or "=", silent, flags]` (RFC 7162 §3.1.3)
fn store(parser: &mut Parser<'_>) -> Parse<Vec<Value>> {
    let set = Value::Set(parser.set()?);
    parser.space()?;
    let mut unchanged = Value::Nil;
    if parser.take(b'(') {
        if !parser.keyword("UNCHANGEDSINCE") {
            return error("unknown STORE modifier");
        }
        parser.space()?;
        unchanged = Value::Num(signed(parser.number()?));
        parser.expect(b')')?;
        parser.space()?;
    }
    let mode = if parser.take(b'+') {
        "+"
    } else if parser.take(b'-') {
        "-"
    } else {
        "="
    };
    if !parser.keyword("FLAGS.SILENT") && !parser.keyword("FLAGS") {
        return error("expected FLAGS");
    }
    let silent = parser.data[..parser.at]
        .to_ascii_uppercase()
        .ends_with(b".SILENT");
    parser.space()?;
    let flags = if parser.peek() == Some(b'(') {
        parser.flag_list()?
    } else {
        let mut flags = vec![parser.flag()?];
        while parser.take(b' ') {
            flags.push(parser.flag()?);
        }
        Value::List(flags)
    };
    Ok(vec![
        set,
        unchanged,
        Value::str(mode),
        Value::Bool(silent),
        flags,
    ])
}

/// `[set, mailbox]`
fn copy(parser: &mut Parser<'_>) -> Parse<Vec<Value>> {
    let set = Value::Set(parser.set()?);
    parser.space()?;
    Ok(vec![set, parser.mailbox()?])
}

#[cfg(test)]
mod tests {
    use crate::parser::parse_command;

    fn shown(line: &str) -> String {
        match parse_command(line.as_bytes(), false) {
            Ok(command) => format!("{} {:?}", command.name, command.args),
            Err(error) => format!("error {} {}", error.unknown, error.text),
        }
    }

    #[test]
    fn commands() {
        for (line, expected) in [
            ("a noop", "NOOP []"),
            ("a noop ", "error false leftover data at offset 6"),
            ("a bogus x", "error true unknown command"),
            ("a login x \"y z\"", r#"LOGIN [Str("x"), Str("y z")]"#),
            (
                "a select inbox (condstore)",
                r#"SELECT [Str("inbox"), Bool(true), Nil]"#,
            ),
            (
                "a select x (qresync (1 5 1:3 (1,2 4,3)) condstore)",
                r#"SELECT [Str("x"), Bool(true), Tuple([Num(1), Num(5), Set(SequenceSet { ranges: [(Number(1), Number(3))], saved: false }), List([Num(1), Num(2)]), List([Num(4), Num(3)])])]"#,
            ),
            (
                "a getmetadata (depth 1 maxsize 5) \"\" /private/x",
                r#"GETMETADATA [Str(""), List([Str("/private/x")]), Num(5), Num(1)]"#,
            ),
            (
                "a setmetadata x (/private/x nil /shared/y \"v\")",
                r#"SETMETADATA [Str("x"), List([Tuple([Str("/private/x"), Nil, Bool(true)]), Tuple([Str("/shared/y"), Bytes([118]), Bool(true)])])]"#,
            ),
            (
                "a uid sort (reverse date subject) utf-8 all",
                r#"UID SORT [Nil, List([Tuple([Bool(true), Str("DATE")]), Tuple([Bool(false), Str("SUBJECT")])]), Tuple([Str("ALL")])]"#,
            ),
            (
                "a thread references us-ascii all",
                r#"THREAD [Str("REFERENCES"), Tuple([Str("ALL")])]"#,
            ),
            (
                "a search return (partial -1:-5 count) all",
                r#"SEARCH [List([Tuple([Str("PARTIAL"), Num(-1), Num(-5)]), Str("COUNT")]), Tuple([Str("ALL")])]"#,
            ),
            ("a compress deflate", r#"COMPRESS [Str("DEFLATE")]"#),
            (
                "a create x (use (\\Sent))",
                r#"CREATE [Str("x"), List([Str("\\sent")])]"#,
            ),
            (
                "a authenticate plain =",
                r#"AUTHENTICATE [Str("PLAIN"), Str("=")]"#,
            ),
            ("a id nil", "ID [Nil]"),
            (
                "a status x (messages)",
                r#"STATUS [Str("x"), List([Str("MESSAGES")])]"#,
            ),
        ] {
            assert_eq!(shown(line), expected, "{line}");
        }
        for bad in [
            "a id (\"a\" nil \"A\" nil)",
            "a list (recursivematch remote) \"\" *",
            "a status x ()",
            "a select x ()",
            "a select x (condstore condstore)",
            "a select x (qresync (0 1))",
            "a select x (qresync (1 1 1:*))",
            "a fetch 1 flags (vanished)",
            "a search return (all partial 1:2) all",
            "a sort () utf-8 all",
        ] {
            assert!(shown(bad).starts_with("error false"), "{bad}");
        }
        assert!(
            shown("a store 1 (unchangedsince 5) -flags.silent (\\Seen x)")
                .contains(r#"Str("-"), Bool(true)"#)
        );
        assert!(
            shown("a list () \"\" (a b) return (status (messages) children)")
                .starts_with("LIST [Bool(true)")
        );
    }
}

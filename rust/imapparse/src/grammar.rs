//! Arguments of every command.

use crate::command::Value;
use crate::parser::{error, signed, Parse, ParseError, Parser};
use crate::{fetch, search};

/// The arguments that follow the command word `name`, with the space before them.
pub(crate) fn arguments(parser: &mut Parser<'_>, name: &str) -> Parse<Vec<Value>> {
    match name {
        "CAPABILITY" | "NOOP" | "LOGOUT" | "STARTTLS" | "NAMESPACE" | "IDLE" | "CHECK"
        | "CLOSE" | "UNSELECT" | "EXPUNGE" => return Ok(Vec::new()),
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
        "SELECT" | "EXAMINE" => select,
        "CREATE" => create,
        "DELETE" | "SUBSCRIBE" | "UNSUBSCRIBE" => |p| Ok(vec![p.mailbox()?]),
        "RENAME" => rename,
        "LIST" => list,
        "LSUB" => lsub,
        "STATUS" => status,
        "APPEND" => |_| error("expected a message literal"),
        "SEARCH" | "UID SEARCH" => search::arguments,
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

/// `[mailbox, list of parameter names]`; the only parameter is CONDSTORE (RFC 7162 §3.1.8).
fn select(parser: &mut Parser<'_>) -> Parse<Vec<Value>> {
    let mailbox = parser.mailbox()?;
    let mut params: Vec<Value> = Vec::new();
    if parser.take(b' ') {
        params = parser.list(false, |p| {
            let name = p.atom()?.to_ascii_uppercase();
            if name == "CONDSTORE" {
                Ok(Value::Str(name))
            } else {
                error(format!("unknown parameter {name}"))
            }
        })?;
        if params.len() > 1 {
            return error("duplicate parameter");
        }
    }
    Ok(vec![mailbox, Value::List(params)])
}

/// `[mailbox, list of special-use attributes in lower case]` (RFC 6154 §3)
fn create(parser: &mut Parser<'_>) -> Parse<Vec<Value>> {
    let mailbox = parser.mailbox()?;
    let mut uses = Vec::new();
    if parser.take(b' ') {
        parser.list(false, |p| {
            if !p.keyword("USE") {
                return error("unknown CREATE parameter");
            }
            p.space()?;
            uses.extend(p.list(true, |p| {
                p.expect(b'\\')?;
                Ok(Value::Str(format!("\\{}", p.atom()?.to_ascii_lowercase())))
            })?);
            Ok(())
        })?;
    }
    Ok(vec![mailbox, Value::List(uses)])
}

/// `[old, new]`
fn rename(parser: &mut Parser<'_>) -> Parse<Vec<Value>> {
    let old = parser.mailbox()?;
    parser.space()?;
    Ok(vec![old, parser.mailbox()?])
}

/// `[reference, pattern]`
fn lsub(parser: &mut Parser<'_>) -> Parse<Vec<Value>> {
    let reference = parser.mailbox()?;
    parser.space()?;
    Ok(vec![reference, parser.list_mailbox()?])
}

const STATUS_ITEMS: [&str; 10] = [
    "MESSAGES",
    "UIDNEXT",
    "UIDVALIDITY",
    "UNSEEN",
    "DELETED",
    "SIZE",
    "RECENT",
    "APPENDLIMIT",
    "HIGHESTMODSEQ",
    "DELETED-STORAGE",
];

fn status_items(parser: &mut Parser<'_>) -> Parse<Vec<Value>> {
    parser.list(false, |p| {
        let name = p.atom()?.to_ascii_uppercase();
        if STATUS_ITEMS.contains(&name.as_str()) {
            Ok(Value::Str(name))
        } else {
            error(format!("unknown item {name}"))
        }
    })
}

/// `[mailbox, list of items]`
fn status(parser: &mut Parser<'_>) -> Parse<Vec<Value>> {
    let mailbox = parser.mailbox()?;
    parser.space()?;
    Ok(vec![mailbox, Value::List(status_items(parser)?)])
}

/// `[extended, selection options, reference, patterns, list of (return option, STATUS items)]` (RFC 5258, RFC 5819)
fn list(parser: &mut Parser<'_>) -> Parse<Vec<Value>> {
    let mut extended = false;
    let mut selection = Vec::new();
    if parser.peek() == Some(b'(') {
        extended = true;
        selection = parser.list(true, |p| {
            let name = p.atom()?.to_ascii_uppercase();
            let known =
                ["SUBSCRIBED", "RECURSIVEMATCH", "REMOTE", "SPECIAL-USE"].contains(&name.as_str());
            if known {
                Ok(name)
            } else {
                error(format!("unknown selection option {name}"))
            }
        })?;
        parser.space()?;
        let base = selection
            .iter()
            .any(|n| n == "SUBSCRIBED" || n == "SPECIAL-USE");
        if selection.iter().any(|n| n == "RECURSIVEMATCH") && !base {
            return error("RECURSIVEMATCH needs another selection option");
        }
    }
    let reference = parser.mailbox()?;
    parser.space()?;
    let patterns = if parser.peek() == Some(b'(') {
        extended = true;
        parser.list(false, Parser::list_mailbox)?
    } else {
        vec![parser.list_mailbox()?]
    };
    let mut returns = Vec::new();
    if parser.take(b' ') {
        extended = true;
        if !parser.keyword("RETURN") {
            return error("expected RETURN");
        }
        parser.space()?;
        returns = parser.list(true, return_option)?;
    }
    let selection = selection.into_iter().map(Value::Str).collect();
    Ok(vec![
        Value::Bool(extended),
        Value::List(selection),
        reference,
        Value::List(patterns),
        Value::List(returns),
    ])
}

fn return_option(parser: &mut Parser<'_>) -> Parse<Value> {
    let name = parser.atom()?.to_ascii_uppercase();
    let mut items = Vec::new();
    match name.as_str() {
        "SUBSCRIBED" | "CHILDREN" | "SPECIAL-USE" => {}
        "STATUS" => {
            parser.space()?;
            items = status_items(parser)?;
        }
        _ => return error(format!("unknown return option {name}")),
    }
    Ok(Value::Tuple(vec![Value::Str(name), Value::List(items)]))
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
                r#"SELECT [Str("inbox"), List([Str("CONDSTORE")])]"#,
            ),
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

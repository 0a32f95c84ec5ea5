//! Arguments of commands about mailboxes: SELECT, CREATE, LIST, LSUB, STATUS.

use crate::command::Value;
use crate::parser::{error, signed, Parse, Parser};

/// Longest list of known messages that SELECT takes with QRESYNC.
const MOST_PAIRS: usize = 100_000;

/// `[mailbox, CONDSTORE is asked, QRESYNC or Nil]` (RFC 7162 §3.1.8 and §3.2.5). QRESYNC is `(uidvalidity, modseq,
/// known UIDs or Nil, sequence numbers or Nil, their UIDs or Nil)`; the last two as lists in the order written.
pub(crate) fn select(parser: &mut Parser<'_>) -> Parse<Vec<Value>> {
    let mailbox = parser.mailbox()?;
    let (mut condstore, mut qresync) = (false, Value::Nil);
    if parser.take(b' ') {
        parser.list(false, |p| match p.one_of(&["CONDSTORE", "QRESYNC"]) {
            Some("CONDSTORE") if !condstore => {
                condstore = true;
                Ok(())
            }
            Some("QRESYNC") if qresync == Value::Nil => {
                p.space()?;
                qresync = resync(p)?;
                Ok(())
            }
            Some(name) => error(format!("duplicate parameter {name}")),
            None => error("unknown parameter"),
        })?;
    }
    Ok(vec![mailbox, Value::Bool(condstore), qresync])
}

fn resync(parser: &mut Parser<'_>) -> Parse<Value> {
    parser.expect(b'(')?;
    let uidvalidity = parser.number32()?;
    parser.space()?;
    let modseq = parser.number()?;
    if uidvalidity == 0 || modseq == 0 {
        return error("UIDVALIDITY and modification sequence must be above zero");
    }
    let (mut known, mut seqs, mut uids) = (Value::Nil, Value::Nil, Value::Nil);
    if parser.take(b' ') {
        if parser.peek() != Some(b'(') {
            let set = parser.set()?;
            if set.has_star() || set.is_saved() {
                return error("* and $ are not allowed here");
            }
            known = Value::Set(set);
        }
        if known == Value::Nil || parser.take(b' ') {
            parser.expect(b'(')?;
            seqs = numbers(parser)?;
            parser.space()?;
            uids = numbers(parser)?;
            parser.expect(b')')?;
        }
    }
    parser.expect(b')')?;
    Ok(Value::Tuple(vec![
        Value::Num(i64::from(uidvalidity)),
        Value::Num(signed(modseq)),
        known,
        seqs,
        uids,
    ]))
}

fn numbers(parser: &mut Parser<'_>) -> Parse<Value> {
    match parser.set()?.written(MOST_PAIRS) {
        Some(numbers) => Ok(Value::List(
            numbers
                .into_iter()
                .map(|n| Value::Num(i64::from(n)))
                .collect(),
        )),
        None => error("* and $ are not allowed here, nor very long lists"),
    }
}

/// `[mailbox, list of special-use attributes in lower case]` (RFC 6154 §3)
pub(crate) fn create(parser: &mut Parser<'_>) -> Parse<Vec<Value>> {
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

/// `[reference, pattern]`
pub(crate) fn lsub(parser: &mut Parser<'_>) -> Parse<Vec<Value>> {
    let reference = parser.mailbox()?;
    parser.space()?;
    Ok(vec![reference, parser.list_mailbox()?])
}

const STATUS_ITEMS: [&str; 11] = [
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
    "MAILBOXID",
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
pub(crate) fn status(parser: &mut Parser<'_>) -> Parse<Vec<Value>> {
    let mailbox = parser.mailbox()?;
    parser.space()?;
    Ok(vec![mailbox, Value::List(status_items(parser)?)])
}

/// `[extended, selection options, reference, patterns, list of (return option, items or entries)]` (RFC 5258,
/// RFC 5819, RFC 9590)
pub(crate) fn list(parser: &mut Parser<'_>) -> Parse<Vec<Value>> {
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
        "METADATA" => {
            parser.space()?;
            items = parser.list(false, |p| p.astring().map(Value::Str))?;
        }
        _ => return error(format!("unknown return option {name}")),
    }
    Ok(Value::Tuple(vec![Value::Str(name), Value::List(items)]))
}

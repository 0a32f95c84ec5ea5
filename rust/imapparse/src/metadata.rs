//! Arguments of GETMETADATA and SETMETADATA (RFC 5464).

use crate::command::Value;
use crate::parser::{error, signed, Parse, Parser};

/// Entries of one command.
const MOST_ENTRIES: usize = 1000;

/// `[mailbox, list of entry names, MAXSIZE or Nil, DEPTH: 0, 1 or -1 for infinity]`; the mailbox is empty for the account.
pub(crate) fn get(parser: &mut Parser<'_>) -> Parse<Vec<Value>> {
    let (mut max_size, mut depth) = (Value::Nil, 0);
    if parser.peek() == Some(b'(') {
        parser.list(false, |p| match p.one_of(&["MAXSIZE", "DEPTH"]) {
            Some("MAXSIZE") => {
                p.space()?;
                max_size = Value::Num(signed(p.number()?));
                Ok(())
            }
            Some(_) => {
                p.space()?;
                depth = match p.one_of(&["INFINITY", "0", "1"]) {
                    Some("INFINITY") => -1,
                    Some("1") => 1,
                    Some(_) => 0,
                    None => return error("DEPTH is 0, 1 or infinity"),
                };
                Ok(())
            }
            None => error("unknown GETMETADATA option"),
        })?;
        parser.space()?;
    }
    let mailbox = parser.mailbox()?;
    parser.space()?;
    let entries = if parser.peek() == Some(b'(') {
        parser.list(false, |p| p.astring().map(Value::Str))?
    } else {
        vec![Value::Str(parser.astring()?)]
    };
    if entries.len() > MOST_ENTRIES {
        return error("too many entries");
    }
    Ok(vec![
        mailbox,
        Value::List(entries),
        max_size,
        Value::Num(depth),
    ])
}

/// `[mailbox, list of (entry name, value or Nil, is a string)]`
pub(crate) fn set(parser: &mut Parser<'_>) -> Parse<Vec<Value>> {
    let mailbox = parser.mailbox()?;
    parser.space()?;
    let entries = parser.list(false, |p| {
        let name = Value::Str(p.astring()?);
        p.space()?;
        let (value, is_string) = match p.value()? {
            Some((data, is_string)) => (Value::Bytes(data), is_string),
            None => (Value::Nil, true),
        };
        Ok(Value::Tuple(vec![name, value, Value::Bool(is_string)]))
    })?;
    if entries.len() > MOST_ENTRIES {
        return error("too many entries");
    }
    Ok(vec![mailbox, Value::List(entries)])
}

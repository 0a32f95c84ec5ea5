//! Arguments of SORT and THREAD (RFC 5256, RFC 5267, RFC 5957).

use crate::command::Value;
use crate::parser::{error, Parse, ParseError, Parser};
use crate::search;

/// `[return options or Nil, list of (reverse, criterion), key]`
pub(crate) fn sort(parser: &mut Parser<'_>) -> Parse<Vec<Value>> {
    let options = search::return_options(parser)?;
    let criteria = parser.list(false, criterion)?;
    if criteria.len() > 20 {
        return error("too many sort criteria");
    }
    parser.space()?;
    charset(parser)?;
    Ok(vec![options, Value::List(criteria), search::keys(parser)?])
}

fn criterion(parser: &mut Parser<'_>) -> Parse<Value> {
    let reverse = parser.keyword("REVERSE");
    if reverse {
        parser.space()?;
    }
    let known = [
        "ARRIVAL",
        "CC",
        "DATE",
        "DISPLAYFROM",
        "DISPLAYTO",
        "FROM",
        "SIZE",
        "SUBJECT",
        "TO",
    ];
    match parser.one_of(&known) {
        Some(name) => Ok(Value::Tuple(vec![Value::Bool(reverse), Value::str(name)])),
        None => error("unknown sort criterion"),
    }
}

/// `[algorithm, key]`
pub(crate) fn thread(parser: &mut Parser<'_>) -> Parse<Vec<Value>> {
    let Some(algorithm) = parser.one_of(&["ORDEREDSUBJECT", "REFERENCES"]) else {
        return error("unknown thread algorithm");
    };
    parser.space()?;
    charset(parser)?;
    Ok(vec![Value::str(algorithm), search::keys(parser)?])
}

/// The charset before search keys, with its space.
pub(crate) fn charset(parser: &mut Parser<'_>) -> Parse<()> {
    let name = parser.astring()?.to_ascii_uppercase();
    if name != "UTF-8" && name != "US-ASCII" {
        return Err(ParseError {
            code: "BADCHARSET (US-ASCII UTF-8)",
            text: "only US-ASCII and UTF-8 are supported".into(),
            unknown: false,
        });
    }
    parser.space()
}

//! Arguments of NOTIFY (RFC 5465) and ESEARCH (RFC 7377), which name mailboxes by the same filters.

use crate::command::Value;
use crate::parser::{error, Parse, ParseError, Parser};
use crate::{fetch, search};

const EVENTS: [&str; 7] = [
    "MessageNew",
    "MessageExpunge",
    "FlagChange",
    "MailboxName",
    "SubscriptionChange",
    "MailboxMetadataChange",
    "ServerMetadataChange",
];
const BAD_EVENT: &str =
    "BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange \
                         MailboxMetadataChange ServerMetadataChange)";

/// `(kind, list of mailboxes)`: the kind is `SELECTED`, `SELECTED-DELAYED`, `INBOXES`, `PERSONAL`, `SUBSCRIBED`, `SUBTREE`,
/// `SUBTREE-ONE` or `MAILBOXES`.
fn filter(parser: &mut Parser<'_>) -> Parse<Value> {
    let kinds = [
        "SELECTED-DELAYED",
        "SELECTED",
        "INBOXES",
        "PERSONAL",
        "SUBSCRIBED",
        "SUBTREE-ONE",
        "SUBTREE",
        "MAILBOXES",
    ];
    let Some(kind) = parser.one_of(&kinds) else {
        return error("unknown mailbox filter");
    };
    let mut names = Vec::new();
    if kind.starts_with("SUBTREE") || kind == "MAILBOXES" {
        parser.space()?;
        names = if parser.peek() == Some(b'(') {
            parser.list(false, Parser::mailbox)?
        } else {
            vec![parser.mailbox()?]
        };
    }
    Ok(Value::Tuple(vec![Value::str(kind), Value::List(names)]))
}

/// `[groups or Nil for NONE, STATUS is asked]`; a group is `(filter, list of (event, FETCH items or Nil))`, without events
/// for NONE.
pub(crate) fn notify(parser: &mut Parser<'_>) -> Parse<Vec<Value>> {
    if parser.keyword("NONE") {
        return Ok(vec![Value::Nil, Value::Bool(false)]);
    }
    if !parser.keyword("SET") {
        return error("expected NONE or SET");
    }
    let status = parser.rest().len() > 7
        && parser.rest()[1..7].eq_ignore_ascii_case(b"STATUS")
        && parser.take(b' ')
        && parser.keyword("STATUS");
    let mut groups = Vec::new();
    while parser.take(b' ') {
        groups.push(group(parser)?);
        if groups.len() > 1000 {
            return error("too many event groups");
        }
    }
    let selected = |group: &&Value| matches!(group, Value::Tuple(f) if selected_filter(f));
    if groups.is_empty() || groups.iter().filter(selected).count() > 1 {
        return error("expected event groups, at most one of them for the selected mailbox");
    }
    Ok(vec![Value::List(groups), Value::Bool(status)])
}

fn selected_filter(group: &[Value]) -> bool {
    matches!(group.first(), Some(Value::Tuple(filter))
        if matches!(filter.first(), Some(Value::Str(kind)) if kind.starts_with("SELECTED")))
}

fn group(parser: &mut Parser<'_>) -> Parse<Value> {
    parser.expect(b'(')?;
    let filter = filter(parser)?;
    parser.space()?;
    let events = if parser.keyword("NONE") {
        Vec::new()
    } else {
        parser.list(false, event)?
    };
    parser.expect(b')')?;
    let names: Vec<&str> = events.iter().map(|(name, _)| *name).collect();
    check_events(&names, &filter)?;
    let events = events
        .into_iter()
        .map(|(name, items)| Value::Tuple(vec![Value::str(name), items]))
        .collect();
    Ok(Value::Tuple(vec![filter, Value::List(events)]))
}

/// RFC 5465 §5: which events go together.
fn check_events(names: &[&str], filter: &Value) -> Parse<()> {
    let has = |name: &str| names.contains(&name);
    if has("MessageNew") != has("MessageExpunge") {
        return error("MessageNew and MessageExpunge go together");
    }
    if has("FlagChange") && !has("MessageNew") {
        return error("FlagChange needs MessageNew and MessageExpunge");
    }
    let selected = matches!(filter, Value::Tuple(f)
        if matches!(f.first(), Some(Value::Str(kind)) if kind.starts_with("SELECTED")));
    if selected && names.iter().any(|name| !EVENTS[..3].contains(name)) {
        return error("only message events are possible for the selected mailbox");
    }
    Ok(())
}

fn event(parser: &mut Parser<'_>) -> Parse<(&'static str, Value)> {
    let Some(name) = parser.one_of(&EVENTS) else {
        return Err(ParseError {
            code: BAD_EVENT,
            text: "unknown event".into(),
            unknown: false,
        });
    };
    let mut items = Value::Nil;
    if name == "MessageNew" && parser.rest().starts_with(b" (") {
        parser.space()?;
        items = Value::List(parser.list(false, fetch::item)?);
    }
    Ok((name, items))
}

/// `[list of filters or Nil, return options or Nil, key]`
pub(crate) fn esearch(parser: &mut Parser<'_>) -> Parse<Vec<Value>> {
    let mut filters = Value::Nil;
    if parser.keyword("IN") {
        parser.space()?;
        filters = Value::List(parser.list(false, |p| {
            let found = filter(p)?;
            match &found {
                Value::Tuple(f) if f.first() == Some(&Value::str("SELECTED-DELAYED")) => {
                    error("SELECTED-DELAYED is for NOTIFY")
                }
                _ => Ok(found),
            }
        })?);
        parser.space()?;
    }
    let mut args = search::arguments(parser)?;
    args.insert(0, filters);
    Ok(args)
}

#[cfg(test)]
mod tests {
    use crate::parser::parse_command;

    fn shown(line: &str) -> String {
        match parse_command(line.as_bytes(), false) {
            Ok(command) => format!("{:?}", command.args),
            Err(error) => format!("error {} {}", error.code, error.text),
        }
    }

    #[test]
    fn notify() {
        assert_eq!(shown("a notify none"), "[Nil, Bool(false)]");
        for good in [
            "a notify set (selected (MessageNew (uid body.peek[header]) MessageExpunge FlagChange))",
            "a notify set status (personal none) (subtree (a b) (mailboxname))",
            "a notify set (mailboxes x none)",
        ] {
            assert!(!shown(good).starts_with("error"), "{good} {}", shown(good));
        }
        for bad in [
            "a notify set",
            "a notify set status",
            "a notify set (selected none) (selected-delayed none)",
            "a notify set (selected (MessageNew))",
            "a notify set (personal (FlagChange))",
            "a notify set (selected (MailboxName))",
            "a notify set (bogus none)",
        ] {
            assert!(shown(bad).starts_with("error  "), "{bad}");
        }
        assert!(shown("a notify set (personal (AnnotationChange))").starts_with("error BADEVENT"));
    }

    #[test]
    fn esearch() {
        assert!(
            shown("a esearch in (mailboxes (a b) personal) return (all) unseen")
                .starts_with("[List")
        );
        assert!(shown("a esearch all").starts_with("[Nil, Nil"));
        assert!(shown("a esearch in (selected-delayed) all").starts_with("error"));
    }
}

//! The fields of a message's header that an ENVELOPE and a message list need, gathered in one pass.

use std::borrow::Cow;

use crate::address::{parse_addresses, Address};
use crate::header::{fields, unfold};

/// Octets of References that are kept, over all fields of that name.
const MAX_REFERENCES_OCTETS: usize = 256 * 1024;

/// Unfolded values. Of repeated fields the first counts, of address fields and References all.
#[derive(Debug, Default)]
pub(crate) struct Summary<'a> {
    pub(crate) date: Option<Cow<'a, [u8]>>,
    pub(crate) subject: Option<Cow<'a, [u8]>>,
    pub(crate) message_id: Option<Cow<'a, [u8]>>,
    pub(crate) in_reply_to: Option<Cow<'a, [u8]>>,
    pub(crate) references: Option<Cow<'a, [u8]>>,
    pub(crate) from: Vec<Address>,
    pub(crate) sender: Vec<Address>,
    pub(crate) reply_to: Vec<Address>,
    pub(crate) to: Vec<Address>,
    pub(crate) cc: Vec<Address>,
    pub(crate) bcc: Vec<Address>,
}

impl<'h> Summary<'h> {
    pub(crate) fn of(header: &'h [u8]) -> Self {
        let mut summary = Self::default();
        for field in fields(header) {
            let mut name = [0u8; 12];
            let Some(lower) = name.get_mut(..field.name.len()) else {
                continue;
            };
            lower.copy_from_slice(field.name);
            lower.make_ascii_lowercase();
            match &*lower {
                b"date" => first(&mut summary.date, field.value),
                b"subject" => first(&mut summary.subject, field.value),
                b"message-id" => first(&mut summary.message_id, field.value),
                b"in-reply-to" => first(&mut summary.in_reply_to, field.value),
                b"references" => append(&mut summary.references, field.value),
                b"from" => parse_addresses(field.value, &mut summary.from),
                b"sender" => parse_addresses(field.value, &mut summary.sender),
                b"reply-to" => parse_addresses(field.value, &mut summary.reply_to),
                b"to" => parse_addresses(field.value, &mut summary.to),
                b"cc" => parse_addresses(field.value, &mut summary.cc),
                b"bcc" => parse_addresses(field.value, &mut summary.bcc),
                _ => {}
            }
        }
        summary
    }

    /// Sender and Reply-To that are absent are those of From (RFC 9051 §7.5.2).
    pub(crate) fn or_from<'a>(&'a self, list: &'a [Address]) -> &'a [Address] {
        if list.is_empty() {
            &self.from
        } else {
            list
        }
    }
}

fn first<'h>(slot: &mut Option<Cow<'h, [u8]>>, value: &'h [u8]) {
    if slot.is_none() {
        *slot = Some(unfold(value));
    }
}

fn append<'h>(slot: &mut Option<Cow<'h, [u8]>>, value: &'h [u8]) {
    match slot {
        None => *slot = Some(unfold(value)),
        Some(all) if all.len() < MAX_REFERENCES_OCTETS => {
            let all = all.to_mut();
            all.push(b' ');
            all.extend_from_slice(&unfold(value));
        }
        Some(_) => {}
    }
}

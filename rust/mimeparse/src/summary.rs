//! The fields of a message's header that an ENVELOPE and a message list need, gathered in one pass.

use crate::address::{parse_address_list, Address};
use crate::header::{fields, unfold};

/// Addresses of one kind that are kept; a header can hold one in every three octets.
const MAX_ADDRESSES: usize = 10_000;
/// Octets of References that are kept, over all fields of that name.
const MAX_REFERENCES_OCTETS: usize = 256 * 1024;

/// Unfolded values. Of repeated fields the first counts, of address fields and References all.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) date: Option<Vec<u8>>,
    pub(crate) subject: Option<Vec<u8>>,
    pub(crate) message_id: Option<Vec<u8>>,
    pub(crate) in_reply_to: Option<Vec<u8>>,
    pub(crate) references: Option<Vec<u8>>,
    pub(crate) from: Vec<Address>,
    pub(crate) sender: Vec<Address>,
    pub(crate) reply_to: Vec<Address>,
    pub(crate) to: Vec<Address>,
    pub(crate) cc: Vec<Address>,
    pub(crate) bcc: Vec<Address>,
}

impl Summary {
    pub(crate) fn of(header: &[u8]) -> Self {
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
                b"from" => addresses(&mut summary.from, field.value),
                b"sender" => addresses(&mut summary.sender, field.value),
                b"reply-to" => addresses(&mut summary.reply_to, field.value),
                b"to" => addresses(&mut summary.to, field.value),
                b"cc" => addresses(&mut summary.cc, field.value),
                b"bcc" => addresses(&mut summary.bcc, field.value),
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

fn first(slot: &mut Option<Vec<u8>>, value: &[u8]) {
    if slot.is_none() {
        *slot = Some(unfold(value));
    }
}

fn append(slot: &mut Option<Vec<u8>>, value: &[u8]) {
    let all = slot.get_or_insert_with(Vec::new);
    if all.len() < MAX_REFERENCES_OCTETS {
        all.push(b' ');
        all.extend(unfold(value));
    }
}

fn addresses(list: &mut Vec<Address>, value: &[u8]) {
    if list.len() < MAX_ADDRESSES {
        list.extend(parse_address_list(value));
        list.truncate(MAX_ADDRESSES);
    }
}

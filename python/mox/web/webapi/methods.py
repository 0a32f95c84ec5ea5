"""Which function carries out which method."""

from mox.web.webapi import messages, send, suppression
from mox.web.webapi.api import Method

ALL: dict[str, Method] = {
    "Send": send.send,
    "SendBatch": send.send_batch,
    "SuppressionList": suppression.suppression_list,
    "SuppressionAdd": suppression.suppression_add,
    "SuppressionRemove": suppression.suppression_remove,
    "SuppressionPresent": suppression.suppression_present,
    "MessageGet": messages.message_get,
    "MessageRawGet": messages.message_raw_get,
    "MessagePartGet": messages.message_part_get,
    "MessageDelete": messages.message_delete,
    "MessageFlagsAdd": messages.message_flags_add,
    "MessageFlagsRemove": messages.message_flags_remove,
    "MessageMove": messages.message_move,
}

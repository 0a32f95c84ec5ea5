"""Puts a message into an account: where the decision said, or as a copy of a refused one."""

import errno
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import apsw
from msgspec.structs import replace

from mox import log
from mox._rust import StagedMessage
from mox.inbound.analysis import Analysis
from mox.inbound.incoming import Incoming
from mox.smtp.reply import Reply, local_error, storage_full
from mox.store import mailboxes, messages, rejects, reputation
from mox.store.account import Account, Prepared, Writing
from mox.store.engine import Tx
from mox.store.errors import OverQuota, StoreError
from mox.store.types import Flag

FULL = Reply(452, "4.2.2", "account is over its size limit")
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)

# Adds the message within a transaction; its id, None when it is not wanted after all.
_Place = Callable[[Tx, messages.NewMessage], int | None]

_logger = log.get("inbound")


@dataclass(slots=True)
class Storing:
    """Stores one message in accounts; within an account its file is written once."""

    incoming: Incoming
    staged: StagedMessage
    _files: dict[str, Prepared]

    @classmethod
    def of(cls, incoming: Incoming, staged: StagedMessage) -> "Storing":
        """For one transaction."""
        return cls(incoming, staged, {})

    async def _writing(self, account: Account, prefix: bytes) -> Writing:
        """Raises OSError."""
        held = self._files.get(account.name)
        if held is None and account.is_small(self.staged):
            return account.writing(self.staged, prefix)
        if held is None:
            return Writing.done(await account.prepare(self.staged, prefix))
        return Writing(partial(self._again, held, prefix), held if held.prefix == prefix else None)

    def _again(self, held: Prepared, prefix: bytes) -> Prepared:
        """With the file that the account has already."""
        size = self.staged.size + len(prefix)
        return Prepared(held.blob_id, held.path, prefix, self.staged.parse(prefix), size, held.content)

    async def deliver(self, analysis: Analysis, prefix: bytes, *, is_seen: bool = False) -> int | Reply:
        """The id of the message in the mailbox of the decision, or why it could not be stored."""
        decision = analysis.decision
        flags = int(Flag.SEEN) if is_seen or decision.is_reject else 0

        def place(tx: Tx, new: messages.NewMessage) -> int | None:
            box, destined = _ensure(tx, decision.mailbox), _destined(tx, decision.destined, decision.mailbox)
            added = messages.add(tx, box, [replace(new, flags=flags, mailbox_destined_id=destined)])
            rejects.remove_delivered(tx, self.incoming.parsed.message_id)
            return added.message_ids[0]

        result = await self._store(analysis, prefix, place, is_reject=decision.is_reject)
        assert result is not None
        return result

    async def keep_reject(self, analysis: Analysis, prefix: bytes) -> None:
        """Keep a copy of a refused message, unless there is one; failures are only logged."""
        name, ref = analysis.config.RejectsMailbox, self.incoming.parsed.message_id
        if not name or not analysis.decision.is_stored:
            return
        digest = hashlib.sha256(self.incoming.content).digest()

        def is_known(tx: Tx) -> bool:
            box = mailboxes.find(tx, name)
            return box is not None and rejects.has_copy(tx, box.id, ref, digest)

        def place(tx: Tx, new: messages.NewMessage) -> int | None:
            box = _ensure(tx, name)
            if rejects.has_copy(tx, box, ref, digest) or not rejects.tidy(tx, box, _now_ms()):
                return None
            destined = _destined(tx, analysis.decision.destined, name)
            reject = replace(new, flags=int(Flag.SEEN), mailbox_destined_id=destined)
            return messages.add(tx, box, [reject]).message_ids[0]

        if await analysis.account.read(is_known):
            return
        result = await self._store(analysis, prefix, place, is_reject=True, digest=digest)
        if isinstance(result, Reply):
            _logger.info("refused message was not kept", account=analysis.account.name, err=result.text)

    async def _store(
        self, analysis: Analysis, prefix: bytes, place: _Place, *, is_reject: bool, digest: bytes | None = None
    ) -> int | Reply | None:
        account, envelope = analysis.account, self.incoming.envelope
        record = replace(analysis.record, is_reject=is_reject, message_hash=digest)
        networks = [] if envelope.is_local else [name for name in self.incoming.networks if name]

        def write(writing: Writing, tx: Tx) -> int | None:
            prepared = writing()
            message_id = place(tx, account.new_message(prepared, facts=record))
            if message_id is not None:
                reputation.count_volume(tx, networks, prepared.size, _now_ms())
            return message_id

        result: int | Reply | None
        writing: Writing | None = None
        try:
            writing = await self._writing(account, prefix)
            result = await account.write(partial(write, writing))
        except OverQuota:
            result = FULL
        except OSError as err:
            _logger.error("writing message file", account=account.name, err=str(err))
            result = storage_full() if err.errno in _NO_SPACE else local_error()
        except (StoreError, apsw.Error) as err:
            _logger.error("storing message", account=account.name, err=str(err))
            result = local_error()
        prepared = writing.prepared if writing is not None else None
        if prepared is not None and account.name not in self._files:
            if isinstance(result, int):
                self._files[account.name] = prepared
            else:
                await account.discard(prepared.blob_id)
        return result


def _ensure(tx: Tx, name: str) -> int:
    found = mailboxes.find(tx, name)
    if found is None:
        mailboxes.ensure(tx, name, True)
        found = mailboxes.get_by_name(tx, name)
    return found.id


def _destined(tx: Tx, destined: str, mailbox: str) -> int:
    """0 when the message is where it was meant to go."""
    return _ensure(tx, destined) if destined and destined != mailbox else 0


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

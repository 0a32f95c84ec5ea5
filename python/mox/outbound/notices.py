"""Storing notifications in the account of the sender: never sent by SMTP, so they cannot loop or be refused."""

from mox._rust import stage_bytes
from mox.config.live import Config
from mox.outbound.dsn import Notice
from mox.outbound.notifier import NotifyError
from mox.store import mailboxes, messages
from mox.store.engine import Tx
from mox.store.errors import StoreError
from mox.store.store import Store
from mox.store.types import Facts, Flag

INBOX = "Inbox"
DMARC_MAILBOX = "dmarc"


class AccountNotices:
    """Stores what `dsn` composes. All mail of the queue was submitted by accounts of this server."""

    def __init__(self, config: Config, store: Store) -> None:
        self._config, self._store = config, store

    async def store(self, notice: Notice) -> None:
        """Deliver a notification; to the postmaster where the account is gone. Raises NotifyError."""
        name, mailbox = self._target(notice)
        flags = int(Flag.SEEN) if notice.is_dmarc_report else 0
        try:
            account = await self._store.open(name)
            prepared = await account.prepare(stage_bytes(notice.content))
            facts = Facts(mail_from=notice.mail_from, rcpt_to=notice.recipient)
            new = account.new_message(prepared, flags=flags, facts=facts)
            await account.write(lambda tx: _add(tx, mailbox, new))
        except (StoreError, OSError) as err:
            raise NotifyError(f"storing a notification for account {name}: {err}") from err

    def _target(self, notice: Notice) -> tuple[str, str]:
        postmaster = self._config.static.Postmaster
        if notice.is_dmarc_report:
            return postmaster.Account, f"{postmaster.Mailbox}/{DMARC_MAILBOX}"
        if notice.account in self._config.dynamic.Accounts:
            return notice.account, INBOX
        return postmaster.Account, postmaster.Mailbox


def _add(tx: Tx, mailbox: str, new: messages.NewMessage) -> None:
    found = mailboxes.find(tx, mailbox)
    if found is None:
        mailboxes.ensure(tx, mailbox, subscribed=True)
        found = mailboxes.get_by_name(tx, mailbox)
    messages.add(tx, found.id, [new])

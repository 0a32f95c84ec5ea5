"""The listeners for mail of our users: log-ins, who may send as whom, handing over to the queue."""

from datetime import datetime

from msgspec.structs import replace

from mox.config.tables import AddressNotFound, DomainDisabled, DomainNotFound
from mox.inbound.recipients import DISABLED, NO_SUCH_USER, configured_error
from mox.outbound.submission import Submission, SubmissionRefused, SubmittedRecipient, may_send_as
from mox.sasl.errors import Failure, SaslError
from mox.smtp.events import Receiver, RecipientGiven, Transaction
from mox.smtp.handlers import CommonHandler
from mox.smtp.reply import Reply
from mox.smtp.session import Session
from mox.smtp.shell import Ask, LoginCancelled, LoginFailed
from mox.smtp.trace import received
from mox.store.login import Client, LoginDisabled, LoginError, UnknownMechanismError, describe_tls

_SASL_CODES: dict[Failure, tuple[int, str]] = {
    Failure.SYNTAX: (501, "5.5.4"),
    Failure.FIRST_MESSAGE: (455, "4.7.0"),
    Failure.ENCODING: (535, "5.7.0"),
    Failure.CREDENTIALS: (535, "5.7.8"),
    Failure.OTHER_IDENTITY: (535, "5.7.8"),
    Failure.CHANNEL_BINDING: (535, "5.7.7"),
    Failure.NO_SECRETS: (535, "5.7.8"),
    Failure.NEEDS_TLS: (538, "5.7.11"),
}


def sasl_reply(failure: Failure, text: str) -> Reply:
    """RFC 4954 §4, §6."""
    code, enhanced = _SASL_CODES[failure]
    return Reply(code, enhanced, text)


class SubmissionHandler(CommonHandler):
    """Mail from our users, for anybody."""

    async def tls_client(self, session: Session) -> tuple[str, str]:
        """Whose the key of the client's certificate is. A key that is nobody's any more ends the connection."""
        if self.conn.tls is None or not self.conn.tls.peer_key_fingerprint:
            return "", ""
        found = await self.services.logins.by_certificate(self.conn.remote[0], "submission", self._client())
        if found is None:
            raise ConnectionError("tls client key cannot log in")
        return found

    def _client(self) -> Client:
        tls = self.conn.tls
        return Client(self.conn.local[0], describe_tls(tls), tls.peer_key_fingerprint if tls else "")

    async def mail(self, session: Session, transaction: Transaction) -> Reply | None:
        """Senders are the account's own addresses, or none."""
        path = transaction.sender
        if path.is_null:
            return None
        refusal = may_send_as(self.services.config, session.account, path)
        if refusal is not None:
            return refusal
        return await self.simulated(path) if path.localpart.startswith("mailfrom") else None

    async def recipient(self, session: Session, asked: RecipientGiven) -> Reply | None:
        """Anybody, but nobody of ours who does not exist."""
        path, config = asked.recipient.path, self.services.config
        if path.localpart.startswith("rcptto") and (simulated := await self.simulated(path)):
            return simulated
        if path.is_literal:
            return None
        try:
            found = config.lookup(
                path.localpart, path.domain, allow_postmaster=True, allow_alias=True, check_disabled=True
            )
        except DomainDisabled:
            return DISABLED
        except DomainNotFound:
            return None
        except AddressNotFound:
            return None if config.everything_to else NO_SUCH_USER
        return configured_error(found.destination.SMTPError) if found.alias is None else None

    async def message(self, session: Session, transaction: Transaction, receiver: Receiver) -> Reply:
        """Queue for the recipients."""
        staged = self.take(receiver)
        if isinstance(staged, Reply):
            return staged
        for recipient in transaction.recipients:
            path = recipient.path
            if not path.localpart.startswith("queue") and (refusal := await self.simulated(path)):
                return refusal
        try:
            await self.services.submitter.submit(self._submission(session, transaction), staged)
        except SubmissionRefused as err:
            return err.reply
        return Reply(250, "2.2.0", "queued")

    def _submission(self, session: Session, transaction: Transaction) -> Submission:
        given = transaction.parameters
        facts = self.trace(session, transaction, datetime.now().astimezone())

        def trace(recipient: str, needs_utf8: bool) -> bytes:
            return received(replace(facts, needs_utf8=needs_utf8), recipient).encode()

        return Submission(
            account=session.account,
            login_address=session.user,
            sender=transaction.sender,
            recipients=[
                SubmittedRecipient(r.path, r.parameters.notify, r.parameters.original) for r in transaction.recipients
            ],
            remote_ip=self.conn.remote[0],
            require_tls=given.require_tls,
            release_ms=int(given.release_at.timestamp() * 1000) if given.release_at else 0,
            release_request=given.release_request,
            envelope_id=given.envelope_id,
            return_full=given.dsn_return == "FULL",
            hostname=session.offer.hostname,
            received=trace,
            is_pedantic=session.offer.pedantic,
            said_8bit=given.body == "8BITMIME",
            said_utf8=given.utf8,
        )

    async def authenticate(self, session: Session, mechanism: str, initial: bytes | None, ask: Ask) -> tuple[str, str]:
        """SASL, against the accounts' passwords. Raises LoginFailed."""
        logins, ip = self.services.logins, self.conn.remote[0]
        if not logins.may_try(ip):
            raise LoginFailed(Reply(421, "4.7.0", "too many failed log-ins", closes=True), counts=False)
        certificate_user = session.user if session.certificate_account else ""
        try:
            account, user = await logins.sasl(
                mechanism,
                initial,
                ask,
                self.conn.channel_binding(),
                ip,
                "submission",
                has_tls=session.has_tls,
                certificate_user=certificate_user,
                client=self._client(),
            )
        except LoginCancelled:
            await logins.aborted(ip, "submission", mechanism, self._client())
            raise
        except UnknownMechanismError as err:
            raise LoginFailed(Reply(504, "5.5.4", "mechanism is not supported")) from err
        except LoginDisabled as err:
            raise LoginFailed(Reply(525, "5.7.13", str(err))) from err
        except (SaslError, LoginError) as err:
            raise LoginFailed(sasl_reply(err.failure, str(err)), err.failure is not Failure.NO_SECRETS) from err
        if session.certificate_account and account != session.certificate_account:
            raise LoginFailed(Reply(535, "5.7.8", "not the account of the tls certificate"))
        return account, user

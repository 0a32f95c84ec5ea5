"""What is announced, and what ENABLE turns on. One list, so that everything announced is here and works."""

from mox.imap.session import Session

BASE = (
    "IMAP4rev2 IMAP4rev1 ENABLE LITERAL+ IDLE SASL-IR BINARY UNSELECT UIDPLUS ESEARCH SEARCHRES MOVE UTF8=ACCEPT "
    "LIST-EXTENDED SPECIAL-USE CREATE-SPECIAL-USE LIST-STATUS AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-256 "
    "AUTH=SCRAM-SHA-1-PLUS AUTH=SCRAM-SHA-1 AUTH=CRAM-MD5 ID APPENDLIMIT=9223372036854775807 CONDSTORE QRESYNC "
    "STATUS=SIZE QUOTA QUOTA=RES-STORAGE METADATA SAVEDATE WITHIN NAMESPACE LIST-METADATA MULTIAPPEND REPLACE PREVIEW "
    "INPROGRESS MULTISEARCH NOTIFY UIDONLY CHILDREN OBJECTID SORT SORT=DISPLAY ESORT THREAD=ORDEREDSUBJECT "
    "THREAD=REFERENCES PARTIAL UNAUTHENTICATE COMPRESS=DEFLATE"
).split()
ENABLEABLE = frozenset({"IMAP4REV2", "UTF8=ACCEPT", "CONDSTORE", "QRESYNC", "METADATA", "UIDONLY"})


def passwords_allowed(session: Session) -> bool:
    """Passwords may come in the clear: over TLS, or where the configuration says so."""
    return session.conn.tls is not None or session.plain_allowed


def is_disabled(session: Session, name: str) -> bool:
    """The account's configuration hides this capability (IMAPCapabilitiesDisabled)."""
    if session.account is None:
        return False
    disabled = session.ctx.config.account(session.account_name).IMAPCapabilitiesDisabled
    return name.upper() in {word.upper() for word in disabled}


def capabilities(session: Session) -> str:
    """The capability list at this moment."""
    words = [word for word in BASE if not is_disabled(session, word)]
    if session.is_compressed:
        words.remove("COMPRESS=DEFLATE")
    if session.conn.tls is None and session.tls is not None:
        words.append("STARTTLS")
    words.append("AUTH=PLAIN" if passwords_allowed(session) else "LOGINDISABLED")
    if session.certificate is not None:
        words.append("AUTH=EXTERNAL")
    return " ".join(words)

"""Understanding responses (RFC 9051 §7 and §9). Without I/O."""

from collections.abc import Callable
from typing import Any

from mox._rust import decode_utf7
from mox.imap.client import bodies
from mox.imap.client.reader import ProtocolError
from mox.imap.client.scanner import Scanner
from mox.imap.client.types import (
    Capability,
    Code,
    Continuation,
    Enabled,
    Esearch,
    Exists,
    Expunge,
    Fetch,
    Id,
    ListEntry,
    MailboxFlags,
    Metadata,
    Namespace,
    Quota,
    QuotaRoot,
    Recent,
    Response,
    Result,
    Search,
    Status,
    Thread,
    Vanished,
)

STATUSES = frozenset({"OK", "NO", "BAD", "BYE", "PREAUTH"})
_NUMBER_CODES = frozenset({"UIDNEXT", "UIDVALIDITY", "UNSEEN", "HIGHESTMODSEQ"})


def parse_response(data: bytes, utf8: bool = False) -> Response:
    """A whole response without its line end. Mailbox names are modified UTF-7 unless `utf8`. Raises ProtocolError."""
    try:
        return _Parser(data, utf8).response()
    except (ValueError, IndexError) as err:
        # Lists with a name but no value, and the like.
        raise ProtocolError(f"malformed response {data[:100]!r}") from err


def parse_code(text: bytes) -> Code:
    """A response code with its brackets."""
    return _Parser(text, False).code()


class _Parser(Scanner):
    def __init__(self, data: bytes, utf8: bool) -> None:
        super().__init__(data)
        self._utf8 = utf8

    def response(self) -> Response:
        if self.take(b"+"):
            self.take(b" ")
            return Continuation(self.data[self.at :])
        tag = self.atom()
        self.space()
        if tag == "*" and self.data[self.at : self.at + 1].isdigit():
            return self._numbered()
        word = self.atom().upper()
        if word in STATUSES:
            return self._result(tag, word)
        if tag != "*":
            raise ProtocolError(f"unknown result {word}")
        rule = _RULES.get(word)
        if rule is None:
            raise ProtocolError(f"unknown response {word}")
        found = rule(self)
        self.end()
        return found

    def _result(self, tag: str, status: str) -> Result:
        code = None
        if self.take(b" ") and self.peek(b"["):
            code = self.code()
            self.take(b" ")
        return Result(tag, status, code, self.data[self.at :].decode("utf-8", "replace"))

    # Codes

    def code(self) -> Code:
        self.expect(b"[")
        name = self.word(rb"[^\] ]+").upper()
        args: tuple[Any, ...] = ()
        if self.take(b" "):
            args = self._code_args(name)
        self.expect(b"]")
        return Code(name, args)

    def _code_args(self, name: str) -> tuple[Any, ...]:
        if name in _NUMBER_CODES:
            return (self.number(),)
        match name:
            case "APPENDUID":
                return (self.number(), self._next_set())
            case "COPYUID":
                return (self.number(), self._next_set(), self._next_set())
            case "MODIFIED":
                return (self.sequence(),)
            case "CAPABILITY":
                return tuple(self.word(rb"[^\]]+").split(" "))
            case "PERMANENTFLAGS" | "BADCHARSET" | "BADEVENT" | "MAILBOXID":
                return tuple(self.listed(lambda: self.word(rb"[^ )\]]+")))
            case "INPROGRESS":
                return self._in_progress()
            case "METADATA":
                return self._metadata_code()
        return (self.word(rb"[^\]]+"),)

    def _next_set(self) -> list[int]:
        self.space()
        return self.sequence()

    def _in_progress(self) -> tuple[Any, ...]:
        self.expect(b"(")
        tag = self.nstring()
        self.space()
        done = None if self.nil() else self.number()
        self.space()
        goal = None if self.nil() else self.number()
        self.expect(b")")
        return tag, done, goal

    def _metadata_code(self) -> tuple[Any, ...]:
        """With or without parentheses: servers differ."""
        inside = self.take(b"(")
        word = self.word(rb"[A-Za-z]+").upper()
        args = (word, self.number()) if self.take(b" ") else (word,)
        if inside:
            self.expect(b")")
        return args

    # Untagged responses

    def _numbered(self) -> Response:
        number = self.number()
        self.space()
        word = self.atom().upper()
        match word:
            case "EXISTS":
                return Exists(number)
            case "RECENT":
                return Recent(number)
            case "EXPUNGE":
                return Expunge(number)
            case "FETCH":
                self.space()
                return Fetch(number, bodies.fetch_items(self))
            case "UIDFETCH":
                self.space()
                return Fetch(None, {"UID": number, **bodies.fetch_items(self)})
        raise ProtocolError(f"unknown response {word}")

    def words(self) -> tuple[str, ...]:
        out = []
        while self.take(b" "):
            out.append(self.atom())
        return tuple(out)

    def mailbox(self) -> str:
        raw = self.astring_bytes()
        if raw.upper() == b"INBOX":
            return "Inbox"
        if self._utf8:
            return raw.decode("utf-8", "replace")
        try:
            return decode_utf7(raw)
        except ValueError as err:
            raise ProtocolError(f"mailbox name {raw!r} is no modified UTF-7") from err

    def list_entry(self, lsub: bool = False) -> ListEntry:
        self.space()
        flags = tuple(self.listed(self.atom))
        self.space()
        separator = self.nstring()
        self.space()
        name = self.mailbox()
        old_name: str | None = None
        child_info: tuple[str, ...] = ()
        if self.take(b" "):
            for kind, value in self.listed(self._list_extension):
                if kind == "OLDNAME":
                    old_name = value[0]
                elif kind == "CHILDINFO":
                    child_info = tuple(value)
        return ListEntry(flags, separator, name, old_name, child_info, lsub)

    def _list_extension(self) -> tuple[str, list[str]]:
        kind = self.astring().upper()
        self.space()
        return kind, self.listed(self.mailbox if kind == "OLDNAME" else self.astring)

    def status(self) -> Status:
        self.space()
        name = self.mailbox()
        self.space()
        return Status(name, dict(self.listed(self._status_item)))

    def _status_item(self) -> tuple[str, int | str | None]:
        name = self.atom().upper()
        self.space()
        if name == "MAILBOXID":
            return name, self.listed(self.atom)[0]
        return name, None if self.nil() else self.number()

    def search(self, sort: bool = False) -> Search:
        numbers, modseq = [], None
        while self.take(b" "):
            if self.take(b"("):
                self.expect(b"MODSEQ ")
                modseq = self.number()
                self.expect(b")")
            else:
                numbers.append(self.number())
        return Search(tuple(numbers), modseq, sort)

    def esearch(self) -> Esearch:
        correlator: dict[str, Any] = {}
        values: dict[str, Any] = {}
        is_uid = False
        if self.peek(b" ("):
            self.space()
            self.expect(b"(")
            while not self.take(b")"):
                self.take(b" ")
                name = self.atom().upper()
                self.space()
                rules = {"TAG": self.astring, "MAILBOX": self.mailbox, "UIDVALIDITY": self.number}
                correlator[name] = rules[name]() if name in rules else self.astring()
        while self.take(b" "):
            name = self.atom().upper()
            if name == "UID":
                is_uid = True
                continue
            self.space()
            values[name] = self._esearch_value(name)
        return Esearch(
            correlator.get("TAG"), correlator.get("MAILBOX"), correlator.get("UIDVALIDITY"), is_uid,
            values.get("MIN"), values.get("MAX"), values.get("COUNT"), values.get("ALL"), values.get("PARTIAL"),
            values.get("MODSEQ"),
        )  # fmt: skip

    def _esearch_value(self, name: str) -> Any:
        if name == "ALL":
            return tuple(self.sequence())
        if name == "PARTIAL":
            self.expect(b"(")
            window = self.word(rb"-?\d+:-?\d+")
            self.space()
            found = () if self.nil() else tuple(self.sequence())
            self.expect(b")")
            return window, found
        return self.number()

    def thread(self) -> Thread:
        threads = []
        self.take(b" ")
        while self.peek(b"("):
            threads.append(self._thread_node())
        return Thread(threads)

    def _thread_node(self) -> list[Any]:
        self.expect(b"(")
        self.depth += 1
        if self.depth > 200:
            raise ProtocolError("nested too deeply")
        out: list[Any] = []
        while not self.take(b")"):
            self.take(b" ")
            out.append(self._thread_node() if self.peek(b"(") else self.number())
        self.depth -= 1
        return out

    def vanished(self) -> Vanished:
        earlier = self.take(b" (EARLIER)")
        self.space()
        return Vanished(tuple(self.sequence()), earlier)

    def metadata(self) -> Metadata:
        self.space()
        name = self.mailbox()
        self.space()
        if self.peek(b"("):
            return Metadata(name, dict(self.listed(self._entry)))
        names = [self.astring()]
        while self.take(b" "):
            names.append(self.astring())
        return Metadata(name, {}, tuple(names))

    def _entry(self) -> tuple[str, bytes | None]:
        name = self.astring()
        self.space()
        return name, self.nbytes()

    def namespace(self) -> Namespace:
        kinds = []
        for _ in range(3):
            self.space()
            kinds.append(() if self.nil() else tuple(self._namespaces()))
        return Namespace(*kinds)

    def _namespaces(self) -> list[tuple[str, str | None]]:
        out = []
        self.expect(b"(")
        while not self.take(b")"):
            self.expect(b"(")
            prefix = self.text()
            self.space()
            out.append((prefix, self.nstring()))
            self.expect(b")")
        return out

    def quota_root(self) -> QuotaRoot:
        self.space()
        name = self.mailbox()
        roots = []
        while self.take(b" "):
            roots.append(self.astring())
        return QuotaRoot(name, tuple(roots))

    def quota(self) -> Quota:
        self.space()
        root = self.astring()
        self.space()
        words = self.listed(self.atom)
        triples = zip(words[::3], words[1::3], words[2::3], strict=True)
        return Quota(root, {name: (int(used), int(limit)) for name, used, limit in triples})

    def id(self) -> Id:
        self.space()
        if self.nil():
            return Id(None)
        values = self.listed(self.nstring)
        return Id({str(k): v for k, v in zip(values[::2], values[1::2], strict=True)})

    def mailbox_flags(self) -> MailboxFlags:
        self.space()
        return MailboxFlags(tuple(self.listed(self.atom)))


_RULES: dict[str, Callable[[_Parser], Response]] = {
    "CAPABILITY": lambda p: Capability(p.words()),
    "ENABLED": lambda p: Enabled(p.words()),
    "FLAGS": _Parser.mailbox_flags,
    "LIST": _Parser.list_entry,
    "LSUB": lambda p: p.list_entry(lsub=True),
    "STATUS": _Parser.status,
    "SEARCH": _Parser.search,
    "SORT": lambda p: p.search(sort=True),
    "ESEARCH": _Parser.esearch,
    "THREAD": _Parser.thread,
    "VANISHED": _Parser.vanished,
    "METADATA": _Parser.metadata,
    "NAMESPACE": _Parser.namespace,
    "QUOTAROOT": _Parser.quota_root,
    "QUOTA": _Parser.quota,
    "ID": _Parser.id,
}

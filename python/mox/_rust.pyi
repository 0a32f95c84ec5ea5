"""Typed stub of the extension: one section per binding file of rust/pymox/src."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self, final

# --- mime.rs ---

_Address = tuple[str, str, str]

@final
class ParsedMessage:
    """What the store keeps of a message. Offsets are in prefix + content."""

    @property
    def structure(self) -> bytes:
        """The part tree in a compact, versioned form, for `section_range` and `part_info`."""
    @property
    def envelope(self) -> bytes:
        """IMAP ENVELOPE for the wire, likewise `body` and `bodystructure`; non-ASCII strings are literals."""
    @property
    def body(self) -> bytes: ...
    @property
    def bodystructure(self) -> bytes: ...
    @property
    def header(self) -> bytes:
        """The header section with its empty line, at most 64 KiB of it."""
    @property
    def header_size(self) -> int: ...
    @property
    def message_id(self) -> str:
        """Lower case, without angle brackets; empty when there is none."""
    @property
    def subject(self) -> str: ...
    @property
    def subject_base(self) -> str:
        """RFC 5256 §2.1, lower case."""
    @property
    def is_response(self) -> bool: ...
    @property
    def references(self) -> list[str]: ...
    @property
    def preview(self) -> str: ...
    @property
    def date(self) -> str:
        """Text of the Date header."""
    @property
    def sent(self) -> tuple[int, int] | None:
        """Its moment: (seconds since 1970 UTC, offset of its zone in minutes); None when it is no date."""
    @property
    def needs_smtputf8(self) -> bool:
        """A header, also of a part, has 8-bit octets (RFC 6532)."""
    @property
    def is_dsn(self) -> bool: ...
    @property
    def from_(self) -> list[_Address]:
        """(decoded name, localpart, domain); likewise to, cc, bcc."""
    @property
    def to(self) -> list[_Address]: ...
    @property
    def cc(self) -> list[_Address]: ...
    @property
    def bcc(self) -> list[_Address]: ...

@final
class PartInfo:
    """A part: its body is `start..end`; `encoding`, `media_type`, `media_subtype` are upper case."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def encoding(self) -> str: ...
    @property
    def media_type(self) -> str: ...
    @property
    def media_subtype(self) -> str: ...
    @property
    def is_leaf(self) -> bool: ...

def parse_message(data: bytes, prefix: bytes = ...) -> ParsedMessage:
    """Parse prefix + data. Never fails. Releases the interpreter lock."""

def section_range(structure: bytes, part: Sequence[int], kind: str) -> tuple[int, int] | None:
    """Offsets of an IMAP section (RFC 9051 §6.4.5.1); kind is "", "HEADER", "TEXT" or "MIME". None: no such part."""

def part_info(structure: bytes, part: Sequence[int]) -> PartInfo | None: ...
def decode_part(data: bytes, encoding: str) -> bytes | None:
    """Without the transfer encoding (upper-case name); None when it is unknown."""

def header_fields(header: bytes, names: Sequence[str], exclude: bool) -> bytes:
    """The named fields, or with `exclude` all others, as they stand, and an empty line."""

def header_values(header: bytes, name: str) -> list[str]:
    """Decoded values of every field `name`."""

def decode_header(value: bytes) -> str: ...
def search_message(data: bytes, structure: bytes, needles: Sequence[str], include_headers: bool) -> list[bool]:
    """For each needle, whether the decoded texts have it, in any case."""

def junk_words(
    data: bytes, onegrams: bool = True, twograms: bool = False, threegrams: bool = False, max_text: int = ...
) -> list[str]:
    """The different words of a message for the junk filter, sorted; `max_text` octets of raw text are looked at."""

def parse_address_list(value: bytes) -> list[_Address]: ...
def parse_date(value: bytes) -> tuple[int, int] | None:
    """A date of RFC 5322, as found in the wild, as `ParsedMessage.sent`."""

def base_subject(subject: str) -> tuple[str, bool]:
    """RFC 5256 §2.1: (base subject in lower case, is a reply or forward)."""

# --- data.rs ---

@final
class DataReceiver:
    """Content of one SMTP DATA command: dots removed, bare LF made CRLF, staged in memory and then on disk."""

    def __new__(cls, tmp_dir: str, max_size: int, memory_limit: int = ...) -> Self: ...
    def feed(self, data: bytes) -> int:
        """Bytes that belong to the message; fewer than given only when done."""
    @property
    def done(self) -> bool: ...
    @property
    def error(self) -> str | None:
        """`smuggling` or `too big`; reading must go on to the end of the data all the same."""
    def finish(self) -> StagedMessage:
        """Raises ValueError when not done or refused, OSError when the disk failed."""

@final
class ChunkReceiver:
    """Content of the BDAT commands of one message. Bare LF is made CRLF unless `is_binary`."""

    def __new__(cls, tmp_dir: str, max_size: int, is_binary: bool, memory_limit: int = ...) -> Self: ...
    def feed(self, data: bytes) -> int: ...
    @property
    def done(self) -> bool:
        """Always False: BDAT LAST says when the content is complete."""
    @property
    def error(self) -> str | None:
        """`smuggling` (a bare CR in text) or `too big`."""
    def finish(self) -> StagedMessage:
        """Raises ValueError when refused, OSError when the disk failed."""

@final
class LiteralReceiver:
    """An IMAP message literal of `size` octets; bare LF made CRLF."""

    def __new__(cls, tmp_dir: str, size: int, memory_limit: int = ...) -> Self: ...
    def feed(self, data: bytes) -> int: ...
    @property
    def done(self) -> bool: ...
    @property
    def remaining(self) -> int: ...
    def finish(self) -> StagedMessage: ...

@final
class StagedMessage:
    """Complete content that is not durable yet. Its temporary file goes away with it."""

    @property
    def size(self) -> int: ...
    @property
    def has_8bit(self) -> bool: ...
    @property
    def have_body(self) -> bool:
        """The empty line between header and body is there."""
    def parse(self, prefix: bytes = ...) -> ParsedMessage: ...
    def store(self, path: str) -> None:
        """Make it durable as `path`, which must not exist; the directory is the caller's to sync. Raises OSError."""
    def parse_and_store(self, prefix: bytes, path: str, durable: bool = True) -> ParsedMessage:
        """Both in one call without the interpreter lock; unless `durable`, the file may not be on disk yet."""
    def body_hashes(self, specs: Sequence[_BodySpec]) -> list[tuple[bytes, int]]:
        """As the function of that name, with the message's body."""
    def content(self) -> bytes: ...
    def discard(self) -> None: ...

def stage_bytes(data: bytes) -> StagedMessage: ...
def fsync_dir(path: str) -> None: ...
def sync_files(paths: Sequence[str]) -> None:
    """Make files durable, but not their directories; those that are gone are passed over. Raises OSError."""

def encode_data(content: bytes) -> bytes:
    """For a client's DATA: dots doubled, end marker added. Raises ValueError for bare CR or LF."""

def read_ranges(requests: Sequence[tuple[bytes, str, int, int]]) -> list[bytes | None]:
    """Octets start..end of prefix + file for each (prefix, path, start, end); None when the file cannot be read."""

# --- imap/ ---

@final
class SequenceSet:
    """RFC 9051 `sequence-set`. Raises ValueError for what is none."""

    def __new__(cls, text: str) -> Self: ...
    @property
    def is_saved(self) -> bool:
        """The set is `$` (RFC 5182)."""
    @property
    def is_star(self) -> bool:
        """The set is `*`."""
    def filter(self, numbers: Sequence[int], star: int) -> list[int]:
        """Those of ascending numbers that are in the set, with `*` as `star`."""

@final
class Command:
    """A complete command; `name` is upper case, `args` as documented in rust/imapparse where the command is parsed."""

    @property
    def tag(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def args(self) -> tuple[Any, ...]: ...

@final
class MessageLiteral:
    """The start of a message in APPEND or REPLACE: what stands before its literal."""

    @property
    def tag(self) -> str: ...
    @property
    def name(self) -> str:
        """`APPEND`, `REPLACE` or `UID REPLACE`."""
    @property
    def replaced(self) -> SequenceSet | None:
        """The message that is replaced: one number or `*`."""
    @property
    def mailbox(self) -> str: ...
    @property
    def flags(self) -> list[str]: ...
    @property
    def date(self) -> tuple[int, int] | None:
        """Milliseconds since 1970, and the zone in minutes east of UTC."""
    @property
    def size(self) -> int: ...
    @property
    def sync(self) -> bool:
        """The client waits for a continuation."""

@final
class CommandError:
    """What is wrong with a command; `tag` is `*` and `name` is empty where they could not be read."""

    @property
    def tag(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def code(self) -> str:
        """Response code, may be empty."""
    @property
    def text(self) -> str: ...
    @property
    def unknown(self) -> bool:
        """The command word is not known."""
    @property
    def fatal(self) -> bool:
        """The end of the command cannot be known: nothing more is read."""

@final
class CommandReader:
    """Bytes in, events out."""

    def __new__(cls, max_line: int = ..., max_literal: int = ..., max_literals_total: int = ...) -> Self: ...
    def feed(self, data: bytes) -> None: ...
    def next(self) -> tuple[Any, ...] | None:
        """`("continue",)`, `("command", Command)`, `("append", MessageLiteral)`, `("error", CommandError)`,
        `("line", bytes)`; None: more bytes are needed."""
    def take_literal(self, count: int) -> bytes:
        """Octets of the announced message literal that are here."""
    def expect_line(self) -> None:
        """The next line is no command."""
    def abandon(self) -> None:
        """Forget the command in progress, whose message literal will not come."""
    def set_utf8(self, utf8: bool) -> None: ...
    def drain(self) -> bytes:
        """Take out all unread bytes."""

@final
class SessionView:
    """UIDs by message sequence number, as one session sees them."""

    def __new__(cls, uids: Sequence[int]) -> Self: ...
    def __len__(self) -> int: ...
    def uid(self, seq: int) -> int | None: ...
    def seq(self, uid: int) -> int | None: ...
    def uids(self) -> list[int]: ...
    @property
    def max_uid(self) -> int: ...
    def append(self, uids: Sequence[int]) -> int:
        """Add UIDs above the highest; returns how many were new."""
    def expunge(self, uids: Sequence[int], vanished: bool = False) -> bytes:
        """Remove them; the EXPUNGE responses, or VANISHED."""
    def resolve(self, set: SequenceSet, is_uid: bool, clamp: bool = False) -> list[int]:
        """UIDs, ascending. Raises ValueError for a sequence number out of range, unless `clamp` leaves it out."""
    def known(self, uids: Sequence[int]) -> list[int]:
        """Those that are in the view, ascending."""
    def seqs(self, uids: Sequence[int]) -> list[int]:
        """Sequence numbers in the order of `uids`; unknown ones are left out."""
    def missing(self, set: SequenceSet | None, below: int) -> list[int]:
        """UIDs of the set (all when None) under `below` that are not in the view, ascending."""

_HotRow = tuple[int, int, str, int, int, int, int, int, int]

@final
class FlagPlan:
    """What a change of flags would do."""

    @property
    def spans(self) -> bytes:
        """Ranges of UIDs, pairs of little-endian 32-bit numbers, with all messages that are meant and no others."""
    @property
    def changed(self) -> int:
        """How many messages get other flags."""
    @property
    def touched(self) -> int:
        """Bits that change in any of them."""
    @property
    def keywords(self) -> list[str]:
        """Of the messages that are meant, in no order."""
    @property
    def totals(self) -> tuple[int, int, int, int, int]:
        """How many messages are meant, how many of them are deleted, unread, unseen, and their octets."""
    @property
    def counts(self) -> tuple[int, int, int]:
        """How many messages more are deleted, unread, unseen."""

@final
class MailboxIndex:
    """Hot rows of a mailbox: (uid, flags, keywords, modseq, size, received_ms, save_ms, message_id, zone), the zone of
    `received_ms` in minutes east of UTC. Thread-safe."""

    def __new__(cls) -> Self: ...
    def upsert(self, rows: Sequence[_HotRow]) -> None: ...
    def remove(self, uids: Sequence[int]) -> None: ...
    def purge(self) -> None:
        """Forget removed rows; no session may refer to them any more."""
    def live_uids(self) -> list[int]: ...
    def new_view(self) -> SessionView: ...
    def first_unseen(self) -> int | None: ...
    def get(self, uid: int) -> _HotRow | None:
        """Also of a removed message."""
    def render_flags(
        self, view: SessionView, uids: Sequence[int], items: Sequence[str], uid_only: bool = False
    ) -> bytes:
        """FETCH responses with UID and hot items only, for ascending UIDs. Releases the interpreter lock."""
    def sizes(self, uids: Sequence[int]) -> list[int]:
        """Octets of each."""
    def newer(self, uids: Sequence[int], modseq: int) -> list[int]:
        """Those changed after `modseq` that are not removed."""
    def plan_flags(self, uids: Sequence[int], set: int, clear: int) -> FlagPlan:
        """What `flags & ~clear | set` would do to the messages of ascending `uids` that are not removed. Releases the
        interpreter lock."""
    def change_flags(self, spans: bytes, set: int, clear: int, modseq: int) -> list[int]:
        """Do what a plan with these spans was made for; the UIDs that changed, ascending."""
    def flagged(self, uids: Sequence[int], bits: int) -> list[int]:
        """Those that have one of the flag bits and are not removed."""
    def live_in(self, spans: bytes) -> list[int]:
        """UIDs in the spans of a plan that are not removed."""
    def modseqs(self, uids: Sequence[int], modseq: int) -> list[tuple[int, int]]:
        """(UID, modseq) of those changed after `modseq` that are not removed."""
    def removed(self, uids: Sequence[int]) -> list[int]:
        """Those that are removed."""
    def max_modseq(self, uids: Sequence[int]) -> int: ...
    def without_flag(self, uids: Sequence[int], bits: int) -> list[int]:
        """Those that have none of the flag bits."""

@final
class FetchPlan:
    """What a FETCH asks for: items as the command reader gives them. Raises ValueError for unknown ones."""

    def __new__(cls, items: Sequence[tuple[Any, ...]]) -> Self: ...
    @property
    def columns(self) -> list[str]:
        """Columns of the message table that `render` needs, in this order."""
    @property
    def reads_files(self) -> bool: ...
    @property
    def hot(self) -> bool:
        """The mailbox index has everything."""
    def render(
        self,
        index: MailboxIndex,
        view: SessionView,
        rows: Sequence[tuple[Any, ...]],
        paths: Sequence[str],
        uid_only: bool = False,
        utf8: bool = False,
    ) -> tuple[bytes, list[tuple[int, str]]]:
        """FETCH responses of rows (uid, *columns), and (uid, `no such part`, `unknown encoding` or `unreadable`) for
        items that had to be left out. `paths` has a file for each row, or is empty. Releases the interpreter lock."""
    def render_hot(
        self, index: MailboxIndex, view: SessionView, uids: Sequence[int], uid_only: bool = False
    ) -> bytes: ...

@final
class TextIndex:
    """Which messages cannot contain a text, in files of a folder, each for a block of BLOCK message ids. Methods raise
    OSError and release the interpreter lock."""

    BLOCK: ClassVar[int]

    def __new__(cls, folder: str) -> Self: ...
    def highest(self, block: int) -> int | None:
        """The highest message id of the block that is in the index."""
    def missing(self, message_ids: Sequence[int]) -> list[int]:
        """Those of `message_ids`, all of one block, that are not in the index."""
    def add(self, rows: Sequence[tuple[int, bytes, bytes, str]]) -> None:
        """Add messages (id, structure, prefix, path) of one block. Those that cannot be read stay unknown."""

@final
class SearchProgram:
    """A search key as rust/imapparse/src/search.rs documents it, and `("IN", uids)`, `("INSTANT", from_ms, to_ms)`.
    Raises ValueError for an unknown key."""

    def __new__(cls, value: tuple[Any, ...]) -> Self: ...
    @property
    def columns(self) -> list[str]:
        """Columns of the message table that `test` needs, in this order."""
    @property
    def reads_files(self) -> bool: ...
    @property
    def has_needle(self) -> bool:
        """A text index can tell something about it."""
    def narrow(
        self, index: MailboxIndex, view: SessionView, text: TextIndex, uids: Sequence[int]
    ) -> tuple[list[int], list[int], list[int]]:
        """Of ascending `uids` that `start` left: those that match, those for `test` to decide, and ids of messages that
        the text index does not know. Raises OSError. Releases the interpreter lock."""
    def start(self, index: MailboxIndex, view: SessionView) -> tuple[list[int], list[int]]:
        """UIDs of the view that match, and those for `test` to decide; ascending."""
    def test(
        self, index: MailboxIndex, view: SessionView, rows: Sequence[tuple[Any, ...]], paths: Sequence[str]
    ) -> list[int]:
        """UIDs of rows (uid, *columns) that match. Releases the interpreter lock."""

@final
class Sorter:
    """Collects messages for SORT by (reverse, criterion). Raises ValueError for an unknown criterion."""

    def __new__(cls, criteria: Sequence[tuple[bool, str]]) -> Self: ...
    @property
    def columns(self) -> list[str]: ...
    def add(self, index: MailboxIndex, rows: Sequence[tuple[Any, ...]], paths: Sequence[str]) -> None: ...
    def finish(self) -> list[int]:
        """UIDs in order. The sorter is used up."""

@final
class Threader:
    """Collects messages for THREAD by `ORDEREDSUBJECT` or `REFERENCES`."""

    def __new__(cls, algorithm: str) -> Self: ...
    @property
    def columns(self) -> list[str]: ...
    def add(self, index: MailboxIndex, rows: Sequence[tuple[Any, ...]], paths: Sequence[str]) -> None: ...
    def finish(self, view: SessionView, is_uid: bool) -> str:
        """The threads as in the response. The threader is used up."""

def quote_string(value: str, utf8: bool = False) -> bytes: ...
def quote_astring(value: str, utf8: bool = False) -> str: ...
def quote_mailbox(name: str, utf8: bool = False) -> bytes: ...
def render_search(numbers: Sequence[int], modseq: int) -> bytes:
    """`* SEARCH` lines, at least one; with the highest modification sequence unless that is 0."""

def render_vanished(uids: Sequence[int], earlier: bool = False) -> bytes:
    """VANISHED lines of bounded length for ascending UIDs."""

def decode_utf7(name: bytes) -> str:
    """Modified UTF-7 (RFC 3501 §5.1.3). Raises ValueError."""

def encode_utf7(name: str) -> str: ...
def format_set(uids: Sequence[int]) -> str: ...
def list_match(pattern: str, name: str) -> bool: ...

# --- tls.rs ---

class TlsError(Exception):
    """A TLS failure; `args` are `(kind, text, alert, from_peer)`.

    `kind` is one of `config`, `state`, `not-tls`, `sslv2`, `versions`, `parameters`, `protocol`, `alert`,
    `decrypt`, `certificate`, `certificate-expired`, `certificate-not-yet-valid`, `certificate-name`,
    `certificate-issuer`, `certificate-revoked`, `dane`, `client-key`, `other`. `alert` is the alert's number
    (RFC 8446 §6) or None; `from_peer` is True when the peer sent it.
    """

    args: tuple[str, str, int | None, bool]

@final
class TlsKnownKeys:
    """SHA-256 digests (32 bytes each) of the SubjectPublicKeyInfo of acceptable client keys; shared."""

    def __new__(cls, digests: Sequence[bytes]) -> Self: ...
    def replace(self, digests: Sequence[bytes]) -> None: ...
    def __contains__(self, digest: bytes, /) -> bool: ...
    def __len__(self) -> int: ...

@final
class TlsTicketKeys:
    """Session ticket keys, 32 random bytes each: the first encrypts, all decrypt. Shared by configurations."""

    def __new__(cls, keys: Sequence[bytes]) -> Self: ...
    def replace(self, keys: Sequence[bytes]) -> None: ...

@final
class TlsServerConfig:
    """What a server offers. `keys`: (certificate chain PEM, private key PEM) pairs, by preference."""

    def __new__(
        cls,
        keys: Sequence[tuple[bytes, bytes]],
        alpn: Sequence[bytes] = ...,
        client_keys: TlsKnownKeys | None = None,
        tickets: TlsTicketKeys | None = None,
        tls13_only: bool = False,
    ) -> Self: ...

@final
class TlsRoots:
    """Trusted CAs from PEM, parsed once; those that cannot be used are left out. Raises TlsError for broken PEM."""

    def __new__(cls, pem: bytes) -> Self: ...
    def __len__(self) -> int: ...

@final
class TlsClientConfig:
    """How a client connects. Without a `require_…` any certificate is accepted (RFC 7435), and the connection only
    tells what verification says of it. `tlsa`: (usage, selector, matching type, data); None: DANE does not apply.
    DANE accepts the server's name and `dane_names`; PKIX `pkix_name`, else the server's name."""

    def __new__(
        cls,
        roots: TlsRoots | None,
        require_pkix: bool = False,
        tlsa: Sequence[tuple[int, int, int, bytes]] | None = None,
        require_dane: bool = False,
        dane_names: Sequence[str] = ...,
        pkix_name: str | None = None,
        alpn: Sequence[bytes] = ...,
        identity: tuple[bytes, bytes] | None = None,
    ) -> Self: ...

@final
class TlsHello:
    """A ClientHello."""

    @property
    def server_name(self) -> str | None: ...
    @property
    def alpn(self) -> list[bytes]: ...
    @property
    def signature_schemes(self) -> list[int]:
        """RFC 8446 §4.2.3 numbers."""
    @property
    def can_ecdsa(self) -> bool:
        """The client verifies ECDSA certificates."""

@final
class TlsConnection:
    """A TLS connection without a socket. After an error `take_output()` still holds the alert for the peer."""

    @staticmethod
    def server() -> TlsConnection: ...
    @staticmethod
    def client(config: TlsClientConfig, server_name: str) -> TlsConnection: ...
    def receive(self, data: bytes | memoryview) -> tuple[bytes, bytes, bool]:
        """Take bytes from the peer; plaintext for the reader, bytes to send, and whether the peer has sent
        close_notify. Raises TlsError."""
    def hello(self) -> TlsHello | None:
        """The ClientHello, while a configuration must be chosen."""
    def choose(self, config: TlsServerConfig) -> tuple[bytes, bytes, bool]:
        """Go on with `config` after `hello()`; returns as `receive`. Raises TlsError."""
    def write(self, data: bytes) -> bytes:
        """Encrypt; all bytes to send. Raises TlsError before the handshake is complete or after `close`."""
    def take_output(self) -> bytes: ...
    def close(self) -> bytes:
        """The close_notify alert and anything before it; nothing can be written afterwards."""
    @property
    def handshaking(self) -> bool: ...
    @property
    def version(self) -> str:
        """`TLS1.2` or `TLS1.3`, empty before the handshake is complete; likewise the others."""
    @property
    def cipher_suite(self) -> str:
        """IANA name."""
    @property
    def key_exchange(self) -> str: ...
    @property
    def server_name(self) -> str: ...
    @property
    def alpn(self) -> str: ...
    @property
    def resumed(self) -> bool: ...
    def peer_chain(self) -> list[bytes]:
        """DER certificates of the peer, leaf first."""
    def peer_key_digest(self) -> bytes | None:
        """SHA-256 of the peer's SubjectPublicKeyInfo."""
    def pkix_error(self) -> tuple[str, str] | None:
        """Client: (kind, text) of what PKIX says against the server's chain. None: nothing, or no chain seen."""
    def dane_error(self) -> tuple[str, str] | None:
        """Client: likewise for DANE, where it applies."""
    def dane_record(self) -> int | None:
        """Client: index of the TLSA record that the chain satisfies."""
    def export_keying_material(self, label: bytes, context: bytes, length: int) -> bytes:
        """RFC 5705, RFC 8446 §7.5. `length` at most 1024. Raises TlsError."""

# --- gzip.rs ---

@final
class GzipStream:
    """A gzip stream (RFC 1952) being written; `level` 0 to 9. Every call returns the bytes that are ready."""

    def __new__(cls, level: int = 1) -> Self: ...
    def write(self, data: bytes, flush: bool = False) -> bytes:
        """Compress `data`; with `flush` everything so far can be decoded."""
    def flush(self) -> bytes:
        """Make everything so far decodable; nothing when it is already."""
    def finish(self) -> bytes:
        """The end of the stream; every later call returns nothing."""

@final
class Deflate:
    """A raw deflate stream (RFC 1951, RFC 4978) being written; as `GzipStream`."""

    def __new__(cls, level: int = 1) -> Self: ...
    def write(self, data: bytes, flush: bool = False) -> bytes: ...
    def flush(self) -> bytes: ...
    def finish(self) -> bytes: ...

@final
class Inflate:
    """A raw deflate stream being read."""

    def __new__(cls) -> Self: ...
    def feed(self, data: bytes, max_output: int = ...) -> bytes:
        """At most `max_output` (1 MiB) bytes; while `has_more`, feed b"" for the rest. Raises ValueError for broken
        data."""
    @property
    def has_more(self) -> bool: ...
    @property
    def done(self) -> bool:
        """The stream ended."""

def accepts_gzip(accept_encoding: str) -> bool:
    """Whether a client with this Accept-Encoding value wants gzip, by weights (RFC 9110 §12.5.3)."""

# --- dkim.rs ---

_BodySpec = tuple[str, str, int | None]

@final
class BodyHasher:
    """Hash of a canonicalized body (RFC 6376 §3.4, §3.7) in pieces. `canon`: `simple` or `relaxed`; `algorithm`:
    `sha256` or `sha1`; `length`: value of `l=`. Raises ValueError for other names."""

    def __new__(cls, canon: str, algorithm: str, length: int | None = None) -> Self: ...
    def feed(self, data: bytes) -> None: ...
    def finish(self) -> tuple[bytes, int]:
        """The hash, and the octets of the whole canonical body, which `l=` must not exceed. Only once."""

def body_hashes(body: bytes, specs: Sequence[_BodySpec]) -> list[tuple[bytes, int]]:
    """`BodyHasher` for several signatures at once, each (canon, algorithm, length). Releases the interpreter lock."""

def canon_header(field: bytes, canon: str) -> bytes:
    """One field, perhaps folded, in canonical form; a CRLF at its end is kept and none is added."""

def split_fields(header: bytes) -> list[tuple[str, bytes]]:
    """(name, whole field with CRLF) up to the empty line. Raises ValueError for a header that is none."""

def signed_data(header: bytes, names: Sequence[str], signature: bytes, canon: str) -> bytes:
    """What a signature signs (RFC 6376 §3.7): the fields of `h=`, the lowest instances first, then the signature field
    without its `b=` value. Raises ValueError as `split_fields`. Releases the interpreter lock."""

# --- regexp.rs ---

@final
class Regexp:
    """A regular expression in RE2's syntax, matched in linear time and found anywhere in a text unless anchored."""

    def __new__(cls, pattern: str) -> Self:
        """Raises ValueError for a pattern that does not compile, or compiles to more than 1 MiB."""
    @property
    def pattern(self) -> str: ...
    def matches(self, text: str) -> bool: ...
    def find(self, text: str) -> str | None:
        """The text of the first match."""
    def replace(self, text: str, template: str) -> str:
        """All matches replaced; `$1` and `${name}` in the template stand for groups."""

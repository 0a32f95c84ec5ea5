"""Typed stub of the extension: one section per binding file of rust/pymox/src."""

from collections.abc import Sequence

# --- mime.rs ---

# --- data.rs ---

# --- imap.rs ---

# --- tls.rs ---

class TlsError(Exception):
    """A TLS failure; `args` are `(kind, text, alert, from_peer)`.

    `kind` is one of `config`, `state`, `not-tls`, `sslv2`, `versions`, `parameters`, `protocol`, `alert`,
    `decrypt`, `certificate`, `certificate-expired`, `certificate-not-yet-valid`, `certificate-name`,
    `certificate-issuer`, `certificate-revoked`, `client-key`, `other`. `alert` is the alert's number (RFC 8446 §6) or
    None; `from_peer` is True when the peer sent it.
    """

    args: tuple[str, str, int | None, bool]

class TlsKnownKeys:
    """SHA-256 digests (32 bytes each) of the SubjectPublicKeyInfo of acceptable client keys; shared by configurations."""

    def __init__(self, digests: Sequence[bytes]) -> None: ...
    def replace(self, digests: Sequence[bytes]) -> None: ...
    def __contains__(self, digest: bytes) -> bool: ...
    def __len__(self) -> int: ...

class TlsTicketKeys:
    """Session ticket keys, 32 random bytes each: the first encrypts, all decrypt. Shared by configurations."""

    def __init__(self, keys: Sequence[bytes]) -> None: ...
    def replace(self, keys: Sequence[bytes]) -> None: ...

class TlsServerConfig:
    """What a server offers. `keys`: (certificate chain PEM, private key PEM) pairs, by preference."""

    def __init__(
        self,
        keys: Sequence[tuple[bytes, bytes]],
        alpn: Sequence[bytes] = ...,
        client_keys: TlsKnownKeys | None = None,
        tickets: TlsTicketKeys | None = None,
        tls13_only: bool = False,
    ) -> None: ...

class TlsClientConfig:
    """How a client connects. `roots`: PEM of trusted CAs, needed to `verify`; without `verify` a certificate is not
    judged in the handshake, but `TlsConnection.verification_error()` tells what PKIX says of it when roots are given."""

    def __init__(
        self,
        verify: bool,
        roots: bytes,
        alpn: Sequence[bytes] = ...,
        identity: tuple[bytes, bytes] | None = None,
    ) -> None: ...

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

class TlsConnection:
    """A TLS connection without a socket. After an error `take_output()` still holds the alert for the peer."""

    @staticmethod
    def server() -> TlsConnection: ...
    @staticmethod
    def client(config: TlsClientConfig, server_name: str) -> TlsConnection: ...
    def receive(self, data: bytes) -> tuple[bytes, bytes]:
        """Take bytes from the peer; plaintext for the reader and bytes to send. Raises TlsError."""
    def hello(self) -> TlsHello | None:
        """The ClientHello, while a configuration must be chosen."""
    def choose(self, config: TlsServerConfig) -> tuple[bytes, bytes]:
        """Go on with `config` after `hello()`; returns as `receive`. Raises TlsError."""
    def write(self, data: bytes) -> bytes:
        """Encrypt; all bytes to send. Raises TlsError before the handshake is complete or after `close`."""
    def take_output(self) -> bytes: ...
    def close(self) -> bytes:
        """The close_notify alert and anything before it; nothing can be written afterwards."""
    @property
    def handshaking(self) -> bool: ...
    @property
    def peer_closed(self) -> bool:
        """The peer sent close_notify."""
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
    def verification_error(self) -> tuple[str, str] | None:
        """Client: (kind, text) of what PKIX verification says of the peer's chain, None when it is good."""
    def export_keying_material(self, label: bytes, context: bytes, length: int) -> bytes:
        """RFC 5705, RFC 8446 §7.5. `length` at most 1024. Raises TlsError."""

# --- gzip.rs ---

# --- dkim.rs ---

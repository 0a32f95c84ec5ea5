"""What a listener offers over TLS, and how we connect to others: the choice, not the bytes (those are `mox._rust`).

RFC 8446, RFC 6066 (SNI), RFC 7301 (ALPN), RFC 7672 (DANE for SMTP), RFC 7435 (opportunistic).
"""

import base64
import functools
import ssl
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from mox._rust import (
    TlsClientConfig,
    TlsConnection,
    TlsError,
    TlsHello,
    TlsKnownKeys,
    TlsRoots,
    TlsServerConfig,
    TlsTicketKeys,
)

# Where systems keep their CAs when OpenSSL's own idea of it is not there.
_CA_FILES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


class TlsFailure(ConnectionError):
    """A handshake or record that failed. `kind` as in `TlsError`, or `eof`; `alert` is the number of RFC 8446 §6."""

    def __init__(self, kind: str, text: str, alert: int | None = None, from_peer: bool = False) -> None:
        super().__init__(f"TLS: {text}")
        self.kind = kind
        self.text = text
        self.alert = alert
        self.from_peer = from_peer

    @classmethod
    def of(cls, err: TlsError) -> "TlsFailure":
        """The same as an error of the connection."""
        return cls(*err.args)


class TlsInfo(NamedTuple):
    """Facts of a handshake. Of a client that sent no certificate, and of one not asked, chain and fingerprint are
    empty. The last three are about the server that we connected to."""

    version: str
    cipher_suite: str
    server_name: str
    resumed: bool
    alpn: str = ""
    key_exchange: str = ""
    peer_chain: tuple[bytes, ...] = ()
    peer_key_fingerprint: str = ""
    pkix_error: tuple[str, str] | None = None
    dane_error: tuple[str, str] | None = None
    dane_record: int | None = None

    @classmethod
    def of(cls, conn: TlsConnection) -> "TlsInfo":
        """Those of a connection whose handshake is complete."""
        digest = conn.peer_key_digest()
        return cls(
            version=conn.version,
            cipher_suite=conn.cipher_suite,
            server_name=conn.server_name,
            resumed=conn.resumed,
            alpn=conn.alpn,
            key_exchange=conn.key_exchange,
            peer_chain=tuple(conn.peer_chain()),
            peer_key_fingerprint=fingerprint(digest) if digest else "",
            pkix_error=conn.pkix_error(),
            dane_error=conn.dane_error(),
            dane_record=conn.dane_record(),
        )


def fingerprint(digest: bytes) -> str:
    """SHA-256 of a SubjectPublicKeyInfo as it is stored and shown: base64url without padding."""
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


Chooser = Callable[[TlsHello], Awaitable[TlsServerConfig]]


class ServerTls:
    """Certificates of a listener, ready for handshakes. Raises TlsError for keys that do not fit.

    `choose` decides for each ClientHello; it may wait, and a TlsFailure that it raises ends the connection."""

    def __init__(
        self,
        keys: Sequence[tuple[bytes, bytes]] = (),
        alpn: Sequence[bytes] = (),
        client_keys: TlsKnownKeys | None = None,
        tickets: TlsTicketKeys | None = None,
        choose: Chooser | None = None,
        tls13_only: bool = False,
    ) -> None:
        if choose is None:
            self.config: TlsServerConfig | None = TlsServerConfig(keys, alpn, client_keys, tickets, tls13_only)
        else:
            self.config = None
        self.choose = choose


class ClientTls:
    """How to judge a server, for one or many connections. Raises TlsError for options that do not fit.

    Nothing required: any certificate will do, and `TlsInfo.pkix_error` and `dane_error` record what is wrong with it.
    `tlsa` are (usage, selector, matching type, data); None when DANE does not apply. DANE accepts the server's name
    and `dane_names`; PKIX the server's name or, where SNI is another, `pkix_name`.
    """

    def __init__(
        self,
        *,
        require_pkix: bool = False,
        roots: TlsRoots | None = None,
        tlsa: Sequence[tuple[int, int, int, bytes]] | None = None,
        require_dane: bool = False,
        dane_names: Sequence[str] = (),
        pkix_name: str | None = None,
        alpn: Sequence[bytes] = (),
        identity: tuple[bytes, bytes] | None = None,
    ) -> None:
        self.config = TlsClientConfig(
            roots if roots is not None else system_roots(),
            require_pkix,
            tlsa,
            require_dane,
            dane_names,
            pkix_name,
            alpn,
            identity,
        )


@functools.cache
def system_roots() -> TlsRoots:
    """The CAs that this system trusts; none when it has no list of them."""
    return TlsRoots(system_roots_pem())


def system_roots_pem() -> bytes:
    """Their PEM, to add others to."""
    for name in (ssl.get_default_verify_paths().cafile, *_CA_FILES):
        if name is not None and Path(name).is_file():
            return Path(name).read_bytes()
    return b""

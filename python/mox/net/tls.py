"""What a listener offers over TLS."""

from collections.abc import Sequence

from mox._rust import TlsServerConfig


class ServerTls:
    """Certificates of a listener, ready for handshakes. Raises TlsError for keys that do not fit."""

    def __init__(self, keys: Sequence[tuple[bytes, bytes]], alpn: Sequence[bytes] = ()) -> None:
        self.config = TlsServerConfig(keys, alpn)

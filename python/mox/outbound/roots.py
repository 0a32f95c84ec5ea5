"""Certificate authorities that outgoing connections trust, by configuration."""

from pathlib import Path

from mox._rust import TlsRoots
from mox.config.model import Static
from mox.net.tls import system_roots, system_roots_pem


def load_roots(static: Static, folder: Path) -> TlsRoots:
    """Those of the system, or what mox.conf (in `folder`) says. Raises OSError, TlsError."""
    if static.TLS.CA is None:
        return system_roots()
    pem = system_roots_pem() if static.TLS.CA.AdditionalToSystem else b""
    files = [(folder / name).read_bytes() for name in static.TLS.CA.CertFiles]
    return TlsRoots(b"\n".join([pem, *files]))

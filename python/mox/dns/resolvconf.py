"""Which name servers to ask: settings, and the part of resolv.conf(5) that a stub resolver needs."""

import re
from dataclasses import dataclass
from pathlib import Path

from mox.dns.names import is_ip

_MAX_SERVERS = 3
_LOOPBACK = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class NameServer:
    """Address and port of a recursive resolver."""

    address: str
    port: int = 53

    @property
    def is_loopback(self) -> bool:
        """Answers from this server cannot be changed on their way."""
        return self.address == "::1" or self.address.startswith("127.")


@dataclass(frozen=True, slots=True)
class Settings:
    """How to ask. `trust_ad`: believe the servers' AD bit although they are not all on loopback."""

    servers: tuple[NameServer, ...] = ()
    timeout_s: float = 5.0
    attempts: int = 2
    rotate: bool = False
    use_tcp: bool = False
    trust_ad: bool = False

    @property
    def believes_ad(self) -> bool:
        """Whether the AD bit of answers means anything. RFC 4035 §4.9.3."""
        return self.trust_ad or (bool(self.servers) and all(s.is_loopback for s in self.servers))


def parse_server(text: str) -> NameServer:
    """`1.2.3.4`, `1.2.3.4:5353`, `::1` or `[::1]:5353`. Raises ValueError."""
    found = re.fullmatch(r"\[([^\]]+)\](?::(\d{1,5}))?|([^:]+)(?::(\d{1,5}))?", text)
    if found is None:
        address, port = text, "53"
    else:
        address, port = found[1] or found[3], found[2] or found[4] or "53"
    if not is_ip(address.partition("%")[0]) or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is no address of a name server; write `1.2.3.4`, `1.2.3.4:53`, `::1` or `[::1]:53`")
    return NameServer(address, int(port))


def parse_resolv_conf(text: str) -> Settings:
    """Settings of a resolv.conf; unknown lines and options are ignored, without a server it is the loopback's."""
    servers: list[NameServer] = []
    options: dict[str, str] = {}
    for line in text.splitlines():
        words = re.split(r"[;#]", line)[0].split()
        if words[:1] == ["nameserver"] and len(words) > 1 and len(servers) < _MAX_SERVERS:
            if is_ip(words[1].partition("%")[0]):
                servers.append(NameServer(words[1]))
        elif words[:1] == ["options"]:
            options.update((name, value) for name, _, value in (word.partition(":") for word in words[1:]))
    return Settings(
        tuple(servers) or tuple(NameServer(address) for address in _LOOPBACK),
        timeout_s=float(_bounded(options.get("timeout"), 5, 1, 30)),
        attempts=_bounded(options.get("attempts"), 2, 1, 5),
        rotate="rotate" in options,
        use_tcp=bool(options.keys() & {"use-vc", "usevc", "tcp"}),
        trust_ad="trust-ad" in options,
    )


def load_resolv_conf(path: Path) -> Settings:
    """As `parse_resolv_conf`; a missing or unreadable file counts as empty."""
    try:
        return parse_resolv_conf(path.read_text(errors="replace"))
    except OSError:
        return parse_resolv_conf("")


def _bounded(text: str | None, default: int, low: int, high: int) -> int:
    if text is None or not text.isascii() or not text.isdigit():
        return default
    return max(low, min(high, int(text[:6])))

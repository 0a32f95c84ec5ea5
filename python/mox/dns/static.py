"""A resolver that answers from a table: for tests, and for localserve, which works without network."""

import ipaddress
from collections.abc import Collection, Mapping, Sequence

from mox.dns.names import IPAddress, reverse_name
from mox.dns.resolver import Answer, DnsNotFound, DnsTemporary, Kind, Resolver, check_name

_MAX_ALIASES = 16
_FOREVER = float("inf")

Zone = Mapping[str, Mapping[str, Sequence[object]]]


class StaticResolver(Resolver):
    """Answers from `zone`: `{"example.org": {"A": ["10.0.0.1"], "TXT": ["text"], "MX": [Mx(10, "mx.example")]}}`.

    Records are strings for A, AAAA, TXT, CNAME, NS and PTR, and `Mx`, `Srv`, `Tlsa` otherwise. `fail` holds pairs
    (type, name) that fail temporarily, with "*" for any type. All answers are `authentic`, but those whose (type, name)
    is in `exceptions`; the other way round when `authentic` is false.
    """

    def __init__(
        self,
        zone: Zone | None = None,
        *,
        authentic: bool = False,
        exceptions: Collection[tuple[str, str]] = (),
        fail: Collection[tuple[str, str]] = (),
    ) -> None:
        self._zone: dict[str, dict[Kind, tuple[object, ...]]] = {}
        self._authentic = authentic
        self._exceptions = {(kind, name.lower()) for kind, name in exceptions}
        self._fail = {(kind, name.lower()) for kind, name in fail}
        for name, types in (zone or {}).items():
            for kind, records in types.items():
                self.add(name, kind, records)

    def add(self, name: str, kind: str, records: Sequence[object]) -> None:
        """Add records to the table. Raises ValueError for a bad address or an unknown type."""
        of_kind = Kind(kind)
        converted = tuple(_convert(of_kind, record) for record in records)
        types = self._zone.setdefault(name.lower(), {})
        types[of_kind] = types.get(of_kind, ()) + converted

    def add_ptr(self, ip: IPAddress, *names: str) -> None:
        """Add names of an address."""
        self.add(reverse_name(ip), "PTR", names)

    async def lookup(self, name: str, kind: Kind) -> Answer[object]:
        authentic = True
        asked = name = check_name(name)
        for _ in range(_MAX_ALIASES):
            if {(kind.value, name), ("*", name)} & self._fail:
                raise DnsTemporary(f"{kind.value} of {name}: simulated failure")
            authentic = authentic and self._is_authentic(kind, name)
            types = self._zone.get(name, {})
            if records := types.get(kind):
                return Answer(records, authentic, _FOREVER)
            alias = types.get(Kind.CNAME)
            if not alias:
                raise DnsNotFound(f"no {kind.value} records for {asked}", authentic, _FOREVER)
            name = str(alias[0]).lower()
        raise DnsTemporary(f"{kind.value} of {asked}: too many aliases")

    def _is_authentic(self, kind: Kind, name: str) -> bool:
        excepted = bool({(kind.value, name), ("*", name)} & self._exceptions)
        return self._authentic != excepted


def _convert(kind: Kind, record: object) -> object:
    if kind is Kind.A:
        return ipaddress.IPv4Address(str(record))
    if kind is Kind.AAAA:
        return ipaddress.IPv6Address(str(record))
    return record

"""DMARC records in DNS: parsing and rendering. RFC 7489 §6.3, §6.4, §7.1."""

import enum
import re
from dataclasses import dataclass
from functools import lru_cache

_VERSION = re.compile(r"v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|$)")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_URI = re.compile(r"([a-z][a-z0-9+.-]*:[^!,;\s]+)(?:!([0-9]{1,18})([kmgt]?))?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_DEFAULT_INTERVAL_S = 86400


class DmarcSyntaxError(ValueError):
    """A malformed record. `is_dmarc`: it does begin as DMARC."""

    def __init__(self, text: str, is_dmarc: bool) -> None:
        super().__init__(text)
        self.is_dmarc = is_dmarc


class DmarcPolicy(enum.StrEnum):
    """What a domain asks for mail that fails. RFC 7489 §6.3."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"


class Alignment(enum.StrEnum):
    """Which domains belong together: only equal ones, or those of one organization."""

    RELAXED = "r"
    STRICT = "s"


@dataclass(frozen=True, slots=True)
class ReportUri:
    """Where reports go; `limit` is the largest report wanted, as written (`10m`), empty without."""

    uri: str
    limit: str = ""

    @property
    def max_bytes(self) -> int | None:
        """The limit in octets."""
        if not self.limit:
            return None
        digits = self.limit.rstrip("kmgt")
        return int(digits) * _UNITS[self.limit[len(digits) :]]

    def __str__(self) -> str:
        return self.uri + (f"!{self.limit}" if self.limit else "")


@dataclass(frozen=True, slots=True)
class DmarcRecord:
    """Values of the tags, with RFC 7489's defaults. `subdomain_policy` None: as `policy`."""

    policy: DmarcPolicy = DmarcPolicy.NONE
    subdomain_policy: DmarcPolicy | None = None
    aggregate_uris: tuple[ReportUri, ...] = ()
    failure_uris: tuple[ReportUri, ...] = ()
    dkim_alignment: Alignment = Alignment.RELAXED
    spf_alignment: Alignment = Alignment.RELAXED
    interval_s: int = _DEFAULT_INTERVAL_S
    failure_options: tuple[str, ...] = ("0",)
    report_formats: tuple[str, ...] = ("afrf",)
    percentage: int = 100

    def __str__(self) -> str:
        tags = ["v=DMARC1", f"p={self.policy}"]
        if self.subdomain_policy is not None:
            tags.append(f"sp={self.subdomain_policy}")
        if self.aggregate_uris:
            tags.append("rua=" + ",".join(map(str, self.aggregate_uris)))
        if self.failure_uris:
            tags.append("ruf=" + ",".join(map(str, self.failure_uris)))
        others = [
            ("adkim", str(self.dkim_alignment), "r"),
            ("aspf", str(self.spf_alignment), "r"),
            ("ri", str(self.interval_s), str(_DEFAULT_INTERVAL_S)),
            ("fo", ":".join(self.failure_options), "0"),
            ("rf", ":".join(self.report_formats), "afrf"),
            ("pct", str(self.percentage), "100"),
        ]
        return ";".join(tags + [f"{name}={value}" for name, value, default in others if value != default])


def is_dmarc(text: str) -> bool:
    """Whether a TXT record is a DMARC record at all. RFC 7489 §6.4."""
    return _VERSION.match(text) is not None


@lru_cache(maxsize=4096)
def parse_record(text: str) -> DmarcRecord:
    """Parse a policy record. Raises DmarcSyntaxError.

    Without a valid policy but with somewhere to report to, it counts as policy "none". RFC 7489 §6.6.3.
    """
    tags = _parse_tags(text, bare=False)
    policy, subdomain_policy = _policy(tags.get("p", "")), _policy(tags.get("sp", ""))
    is_bad = policy is None or ("sp" in tags and subdomain_policy is None) or next(iter(tags), "") != "p"
    if is_bad:
        if not tags.get("rua"):
            raise DmarcSyntaxError("no valid p= right after v=, or bad sp=", True)
        policy, subdomain_policy = DmarcPolicy.NONE, None
    return _record(tags, policy or DmarcPolicy.NONE, subdomain_policy)


@lru_cache(maxsize=1024)
def parse_consent_record(text: str) -> DmarcRecord:
    """Parse the record by which a domain accepts reports for another. Raises DmarcSyntaxError. RFC 7489 §7.1."""
    tags = _parse_tags(text, bare=True)
    return _record(tags, _policy(tags.get("p", "")) or DmarcPolicy.NONE, _policy(tags.get("sp", "")))


def _parse_tags(text: str, bare: bool) -> dict[str, str]:
    """Tags after the version, names in lower case."""
    found = _VERSION.match(text)
    if found is None:
        raise DmarcSyntaxError("does not begin with v=DMARC1;", False)
    if not bare and not found[0].endswith(";"):
        raise DmarcSyntaxError("no ; after v=DMARC1", True)
    tags: dict[str, str] = {}
    specs = text[found.end() :].split(";")
    if not specs[-1].strip(" \t"):
        specs.pop()
    for spec in specs:
        name, equals, value = spec.partition("=")
        name = name.strip(" \t").lower()
        if not equals or not _NAME.fullmatch(name):
            raise DmarcSyntaxError(f"not a tag: {spec[:40]!r}", True)
        if name in tags or name == "v":
            raise DmarcSyntaxError(f"duplicate tag {name[:40]}", True)
        tags[name] = value.strip(" \t")
    return tags


def _record(tags: dict[str, str], policy: DmarcPolicy, subdomain_policy: DmarcPolicy | None) -> DmarcRecord:
    try:
        return DmarcRecord(
            policy,
            subdomain_policy,
            _uris(tags.get("rua")),
            _uris(tags.get("ruf")),
            Alignment(tags.get("adkim", "r").lower()),
            Alignment(tags.get("aspf", "r").lower()),
            _number(tags.get("ri", str(_DEFAULT_INTERVAL_S)), 2**32 - 1),
            _keywords(tags.get("fo", "0"), r"[01ds]"),
            _keywords(tags.get("rf", "afrf"), r"[a-z0-9-]*[a-z0-9]"),
            _number(tags.get("pct", "100"), 100),
        )
    except ValueError as err:
        raise DmarcSyntaxError(str(err), True) from err


def _policy(text: str) -> DmarcPolicy | None:
    try:
        return DmarcPolicy(text.lower())
    except ValueError:
        return None


def _uris(text: str | None) -> tuple[ReportUri, ...]:
    if text is None:
        return ()
    uris = []
    for part in text.split(","):
        found = _URI.fullmatch(part.strip(" \t"))
        if found is None:
            raise ValueError(f"bad report URI {part[:60]!r}")
        uris.append(ReportUri(found[1], f"{found[2]}{found[3]}".lower() if found[2] else ""))
    return tuple(uris)


def _number(text: str, most: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) > most:
        raise ValueError(f"bad number {text[:20]!r}")
    return int(text)


def _keywords(text: str, pattern: str) -> tuple[str, ...]:
    words = tuple(word.strip(" \t").lower() for word in text.split(":"))
    if not all(re.fullmatch(pattern, word) for word in words):
        raise ValueError(f"bad value {text[:40]!r}")
    return words

"""Addresses and paths in commands (RFC 5321 §4.1.2, RFC 6531)."""

import re
import unicodedata
from dataclasses import dataclass

MAX_PATH = 256
MAX_LOCALPART = 128
_ATEXT = r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u0080-\U0010ffff]"
_DOT_STRING = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*")
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~\u0080-\U0010ffff]|\\[ -~])*)"')
_LABEL = r"[A-Za-z0-9\u0080-\U0010ffff](?:[A-Za-z0-9\u0080-\U0010ffff_-]*[A-Za-z0-9\u0080-\U0010ffff])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9A-Fa-f:.IPvip]+\]")


class AddressError(Exception):
    """Not an address; the text says why."""


@dataclass(frozen=True, slots=True)
class Path:
    """A mailbox; both parts empty is the null reverse-path."""

    localpart: str
    domain: str

    def __str__(self) -> str:
        if not self.domain and not self.localpart:
            return ""
        local = self.localpart
        if not _DOT_STRING.fullmatch(local):
            escaped = local.replace("\\", "\\\\").replace('"', '\\"')
            local = f'"{escaped}"'
        return f"{local}@{self.domain}"

    @property
    def is_ascii(self) -> bool:
        """Can be sent without SMTPUTF8."""
        return str(self).isascii()


def parse_mailbox(text: str, allow_no_domain: bool = False) -> Path:
    """`localpart@domain`. Raises AddressError."""
    quoted = _QUOTED.match(text)
    if quoted:
        local, rest = re.sub(r"\\(.)", r"\1", quoted[1]), text[quoted.end() :]
    else:
        dotted = _DOT_STRING.match(text)
        if dotted is None:
            raise AddressError("bad localpart")
        local, rest = dotted[0], text[dotted.end() :]
    if len(local.encode()) > MAX_LOCALPART:
        raise AddressError("localpart too long")
    local = unicodedata.normalize("NFC", local)
    if not rest and allow_no_domain:
        return Path(local, "")
    if not rest.startswith("@") or not _DOMAIN.fullmatch(rest[1:]) or len(rest) > 256:
        raise AddressError("bad domain")
    return Path(local, rest[1:].rstrip(".").lower())


def parse_path(text: str) -> tuple[str, str]:
    """Split `<path> rest` into the raw path without brackets and what follows. Raises AddressError."""
    if not text.startswith("<"):
        raise AddressError("expected <")
    quoted = False
    for at, char in enumerate(text):
        if char == '"' and text[at - 1] != "\\":
            quoted = not quoted
        elif char == ">" and not quoted:
            if at + 1 > MAX_PATH:
                raise AddressError("path too long")
            raw = text[1:at]
            if raw.startswith("@") and ":" in raw:
                # A source route is read and ignored.
                raw = raw.partition(":")[2]
            return raw, text[at + 1 :]
    raise AddressError("path without end")

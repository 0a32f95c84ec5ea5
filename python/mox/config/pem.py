"""PEM files, with the headers inside of blocks that mox writes and most readers do not know (RFC 7468 §2, RFC 1421)."""

import base64
import binascii
import re
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(
    r"^-----BEGIN ([A-Z0-9 ]+)-----[ \t]*\r?\n(.*?)^-----END \1-----[ \t]*\r?$", re.MULTILINE | re.DOTALL
)


class PemError(ValueError):
    """The file does not hold what is needed; the text names it."""


@dataclass(frozen=True, slots=True)
class PemBlock:
    """One block, its headers left out."""

    kind: str
    data: bytes


def read_pem(path: Path) -> list[PemBlock]:
    """All blocks of a file. Raises OSError, PemError."""
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError as err:
        raise PemError(f"{path}: not a PEM file") from err
    return parse_pem(text, str(path))


def parse_pem(text: str, source: str) -> list[PemBlock]:
    """All blocks of a text that came from `source`. Raises PemError."""
    try:
        return [
            PemBlock(kind, base64.b64decode(_body(content), validate=True)) for kind, content in _BLOCK.findall(text)
        ]
    except binascii.Error as err:
        raise PemError(f"{source}: damaged PEM block: {err}") from err


def _body(content: str) -> str:
    lines = content.split("\n")
    if any(":" in line for line in lines[:1]) and "" in (stripped := [line.strip() for line in lines]):
        lines = lines[stripped.index("") + 1 :]
    return "".join("".join(lines).split())


def render_pem(kind: str, data: bytes, note: str = "") -> bytes:
    """One block, with a `Note` header if there is a note."""
    encoded = base64.b64encode(data).decode()
    lines = [encoded[at : at + 64] for at in range(0, len(encoded), 64)]
    header = [f"Note: {note}", ""] if note else []
    return "\n".join([f"-----BEGIN {kind}-----", *header, *lines, f"-----END {kind}-----", ""]).encode()

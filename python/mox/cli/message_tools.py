"""message parse: how the server understands the parts of a message."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from mox._rust import ParsedMessage, header_values, parse_address_list, parse_message, part_info, section_range
from mox.cli.command import Command, CommandError, Flag, Invocation
from mox.config.readable import readable_json
from mox.message.tree import build

Json = dict[str, object]
_Names = Sequence[tuple[str, str, str]]

# Name in the output, header field. Empty ones are left out.
_CONTENT_FIELDS = (
    ("ContentID", "Content-Id"),
    ("ContentDescription", "Content-Description"),
    ("ContentTransferEncoding", "Content-Transfer-Encoding"),
    ("ContentDisposition", "Content-Disposition"),
    ("ContentMD5", "Content-Md5"),
    ("ContentLanguage", "Content-Language"),
    ("ContentLocation", "Content-Location"),
)
# Deeper ones are not shown; the parser itself takes the rest as a leaf from depth 64 on.
_MAX_DEPTH = 64


def describe(data: bytes) -> Json:
    """All parts of a message, with offsets in `data`, and the envelopes of it and the messages inside."""
    return _message(data, 0, -1, _MAX_DEPTH)


def _message(data: bytes, base: int, boundary: int, depth: int) -> Json:
    parsed = parse_message(data)
    described = _part(data, parsed.structure, [], base, (boundary, 0), depth)
    described["Envelope"] = _envelope(parsed)
    return described


def _part(data: bytes, structure: bytes, path: list[int], base: int, begin: tuple[int, int], depth: int) -> Json:
    """`begin` is where the part's boundary line and its header begin."""
    boundary, header_start = begin
    info = part_info(structure, path)
    assert info is not None
    header, body = data[header_start : info.start], data[info.start : info.end]
    # The declared parameters; `build` reads them as everything else in the server does.
    leaf = build(header + body, parse_message(header + body).structure)
    described: Json = {
        "BoundaryOffset": base + boundary if boundary >= 0 else -1,
        "HeaderOffset": base + header_start,
        "BodyOffset": base + info.start,
        "EndOffset": base + info.end,
        "RawLineCount": body.count(b"\n") + (not body.endswith(b"\n") and bool(body)),
        "DecodedSize": len(leaf.decoded(header + body)),
        "MediaType": info.media_type,
        "MediaSubType": info.media_subtype,
        "ContentTypeParams": leaf.parameters,
    }
    for key, name in _CONTENT_FIELDS:
        if values := header_values(header, name):
            described[key] = values[0]
    described["Parts"] = list(_children(data, structure, path, base, info.start, depth))
    described["Message"] = None
    if (info.media_type, info.media_subtype) in (("MESSAGE", "RFC822"), ("MESSAGE", "GLOBAL")) and depth > 0:
        described["Message"] = _message(body, base + info.start, -1, depth - 1)
    return described


def _children(data: bytes, structure: bytes, path: list[int], base: int, start: int, depth: int) -> list[Json]:
    info = part_info(structure, path)
    if info is None or info.media_type != "MULTIPART":
        return []
    children: list[Json] = []
    while (mime := section_range(structure, [*path, len(children) + 1], "MIME")) is not None:
        # The line before the header of a part is its boundary.
        boundary = data.rfind(b"\n", start, max(start, mime[0] - 1)) + 1 or start
        children.append(_part(data, structure, [*path, len(children) + 1], base, (boundary, mime[0]), depth))
    return children


def _envelope(parsed: ParsedMessage) -> Json:
    header = parsed.header

    def addresses(name: str) -> list[Json]:
        return _addresses(
            [found for value in header_values(header, name) for found in parse_address_list(value.encode())]
        )

    return {
        "Date": _date(parsed.sent),
        "Subject": parsed.subject,
        "From": _addresses(parsed.from_),
        "Sender": addresses("Sender"),
        "ReplyTo": addresses("Reply-To"),
        "To": _addresses(parsed.to),
        "CC": _addresses(parsed.cc),
        "BCC": _addresses(parsed.bcc),
        "InReplyTo": next(iter(header_values(header, "In-Reply-To")), ""),
        "MessageID": next(iter(header_values(header, "Message-Id")), ""),
    }


def _date(sent: tuple[int, int] | None) -> str | None:
    """RFC 3339; None when there is none that a calendar has."""
    if sent is None:
        return None
    try:
        return datetime.fromtimestamp(sent[0], UTC).astimezone(timezone(timedelta(minutes=sent[1]))).isoformat()
    except (ValueError, OverflowError):
        return None


def _addresses(found: _Names) -> list[Json]:
    return [{"Name": name, "User": localpart, "Host": domain} for name, localpart, domain in found]


def _parse(invocation: Invocation) -> None:
    path = invocation.argument(0)
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as err:
        raise CommandError(f"reading the message: {err}") from err
    print(readable_json(describe(data)))
    if invocation.switch("smtputf8"):
        print(f"message needs smtputf8: {str(parse_message(data).needs_smtputf8).lower()}")


COMMANDS = [
    Command(
        ("message", "parse"),
        _parse,
        """Parse a message as the server does, and print its parts and envelopes as JSON.

Offsets are in the file. "-" reads the message from standard input.
""",
        "[-smtputf8] $messagefile",
        1,
        1,
        flags=(Flag("smtputf8", "also tell whether the message needs SMTPUTF8 (RFC 6531)", False),),
    ),
]

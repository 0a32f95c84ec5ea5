"""The type of data by its first bytes, as browsers find it (WHATWG MIME Sniffing, sections 6 and 7)."""

SNIFF_BYTES = 512
UNKNOWN = "application/octet-stream"

_BLANKS = b"\t\n\x0c\r "
# (bytes, mask, skip white space before them, type). Without a mask all bits count.
_TAGS = (
    b"<!DOCTYPE HTML", b"<HTML", b"<HEAD", b"<SCRIPT", b"<IFRAME", b"<H1", b"<DIV", b"<FONT", b"<TABLE", b"<A",
    b"<STYLE", b"<TITLE", b"<B", b"<BODY", b"<BR", b"<P", b"<!--",
)  # fmt: skip
_EXACT: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "application/pdf"),
    (b"%!PS-Adobe-", "application/postscript"),
    (b"\xfe\xff", "text/plain; charset=utf-16be"),
    (b"\xff\xfe", "text/plain; charset=utf-16le"),
    (b"\xef\xbb\xbf", "text/plain; charset=utf-8"),
    (b"\x00\x00\x01\x00", "image/x-icon"),
    (b"\x00\x00\x02\x00", "image/x-icon"),
    (b"BM", "image/bmp"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"OggS\x00", "application/ogg"),
    (b"MThd\x00\x00\x00\x06", "audio/midi"),
    (b"ID3", "audio/mpeg"),
    (b".snd", "audio/basic"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"\x00\x01\x00\x00", "font/ttf"),
    (b"OTTO", "font/otf"),
    (b"ttcf", "font/collection"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
    (b"\x1f\x8b\x08", "application/x-gzip"),
    (b"PK\x03\x04", "application/zip"),
    (b"Rar!\x1a\x07\x00", "application/x-rar-compressed"),
    (b"Rar!\x1a\x07\x01\x00", "application/x-rar-compressed"),
    (b"\x00asm", "application/wasm"),
)
# (container, kind within it at offset 8, type)
_CONTAINERS = (
    (b"RIFF", b"WEBPVP", "image/webp"),
    (b"RIFF", b"AVI ", "video/avi"),
    (b"RIFF", b"WAVE", "audio/wave"),
    (b"FORM", b"AIFF", "audio/aiff"),
)
_BINARY = frozenset([*range(9), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20)])


def sniff(data: bytes) -> str:
    """A content type; UNKNOWN for bytes that are neither known nor text."""
    data = data[:SNIFF_BYTES]
    trimmed = data.lstrip(_BLANKS)
    if any(_is_tag(trimmed, tag) for tag in _TAGS):
        return "text/html; charset=utf-8"
    if trimmed.startswith(b"<?xml"):
        return "text/xml; charset=utf-8"
    for magic, kind in _EXACT:
        if data.startswith(magic):
            return kind
    for container, inner, kind in _CONTAINERS:
        if data.startswith(container) and data[8:].startswith(inner):
            return kind
    if _is_mp4(data):
        return "video/mp4"
    return UNKNOWN if _BINARY & set(data) else "text/plain; charset=utf-8"


def _is_tag(data: bytes, tag: bytes) -> bool:
    if not data[: len(tag)].upper() == tag:
        return False
    return tag == b"<!--" or data[len(tag) : len(tag) + 1] in (b" ", b">")


def _is_mp4(data: bytes) -> bool:
    """Section 6.2.1: a box `ftyp` that names a brand of mp4."""
    size = int.from_bytes(data[:4], "big")
    if len(data) < 12 or size % 4 or len(data) < size or data[4:8] != b"ftyp":
        return False
    return any(data[at : at + 3] == b"mp4" for at in range(8, size, 4) if at != 12)

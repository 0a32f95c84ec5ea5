"""Writing header fields that are folded at 76 characters. RFC 5322 §2.2.3."""

_LIMIT = 76


class HeaderWriter:
    """Collects tokens of one field; a token is never broken, but by `wrap`."""

    def __init__(self, start: str) -> None:
        """`start` is the field name with its colon, and what must stay beside it."""
        self._text = [start]
        self._column = len(start)

    def add(self, separator: str, *tokens: str) -> None:
        """Append tokens; `separator` stands before each, or a new line in its place when it is white space.

        A separator with other characters stays at the end of the line: only its last space is replaced.
        """
        for token in tokens:
            if self._column > 1 and self._column + len(separator) + len(token) > _LIMIT:
                self._write(separator.rstrip(" "))
                self.newline()
            else:
                self._write(separator)
            self._write(token)

    def newline(self) -> None:
        """Begin a new line."""
        self._text.append("\r\n\t")
        self._column = 1

    def wrap(self, data: str) -> None:
        """Append data that may be cut anywhere, such as base64."""
        while data:
            room = _LIMIT - self._column
            if room <= 0:
                self.newline()
                continue
            self._write(data[:room])
            data = data[room:]

    def wrap_text(self, text: str) -> None:
        """Append text, cut at spaces, which are kept; a word longer than a line is cut anywhere."""
        while self._column + len(text) > _LIMIT:
            room = max(_LIMIT - self._column, 0)
            cut = max(text.rfind(" ", 0, room + 1), text.rfind("\t", 0, room + 1))
            if cut <= 0 and self._column <= 1:
                cut = room
            self._write(text[: max(cut, 0)])
            text = text[max(cut, 0) :]
            self.newline()
        self._write(text)

    def __str__(self) -> str:
        return "".join(self._text) + "\r\n"

    def __bytes__(self) -> bytes:
        return str(self).encode("utf-8", "surrogateescape")

    def _write(self, text: str) -> None:
        self._text.append(text)
        self._column += len(text)

"""Writing header fields that are folded at 76 characters. RFC 5322 §2.2.3."""

_LIMIT = 76
# RFC 5322 §2.1.1 allows lines of 998 characters.
_LONGEST_WORD = 900


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
        text, column, width = self._text, self._column, len(separator)
        for token in tokens:
            if column > 1 and column + width + len(token) > _LIMIT:
                text.append(f"{separator.rstrip(' ')}\r\n\t{token}")
                column = 1 + len(token)
            else:
                text.append(separator + token)
                column += width + len(token)
        self._column = column

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
        """Append text, cut before the last space or tab that fits, else before the first one after, else anywhere.

        The white space is kept, so that unfolding gives the text back.
        """
        while self._column + len(text) > _LIMIT:
            room = _LIMIT - self._column
            if room <= 0:
                self.newline()
                continue
            cut = max(text.rfind(" ", 1, room + 1), text.rfind("\t", 1, room + 1))
            if cut < 0:
                after = [at for blank in " \t" if (at := text.find(blank, room + 1, _LONGEST_WORD)) > 0]
                cut = min(after, default=room)
            self._write(text[:cut])
            text = text[cut:]
            self.newline()
        self._write(text)

    def __str__(self) -> str:
        return "".join(self._text) + "\r\n"

    def __bytes__(self) -> bytes:
        return str(self).encode("utf-8", "surrogateescape")

    def _write(self, text: str) -> None:
        self._text.append(text)
        self._column += len(text)

"""Cutting the server's bytes into responses: a line, with the literals in it where they stand. Without I/O."""

import re

MAX_LINE = 1 << 20
MAX_LITERAL = 1 << 31

_LITERAL = re.compile(rb"\{(\d+)\}\r?\n$")


class ProtocolError(Exception):
    """The server said something that is no IMAP."""


class ResponseReader:
    """Bytes in, whole responses out."""

    def __init__(self, max_literal: int = MAX_LITERAL) -> None:
        self._max_literal = max_literal
        self._buffer = bytearray()
        # The response begins at 0 of the buffer; up to here it is complete lines and literals.
        self._done = 0
        # Octets that are missing of a literal.
        self._missing = 0

    def feed(self, data: bytes) -> None:
        """Add bytes from the server."""
        self._buffer += data

    def next(self) -> bytes | None:
        """A response without its line end; None when more bytes are needed. Raises ProtocolError."""
        while True:
            if self._missing:
                if len(self._buffer) < self._done + self._missing:
                    return None
                self._done += self._missing
                self._missing = 0
            end = self._buffer.find(b"\n", self._done)
            if end < 0:
                if len(self._buffer) - self._done > MAX_LINE:
                    raise ProtocolError("line too long")
                return None
            line = bytes(self._buffer[self._done : end + 1])
            self._done = end + 1
            literal = _LITERAL.search(line)
            if literal is None:
                response = bytes(self._buffer[: self._done])
                del self._buffer[: self._done]
                self._done = 0
                return response.removesuffix(b"\n").removesuffix(b"\r")
            self._missing = int(literal[1])
            if self._missing > self._max_literal:
                raise ProtocolError(f"literal of {self._missing} bytes")

    def drain(self) -> bytes:
        """Take out what is not used (for STARTTLS and COMPRESS)."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._done = self._missing = 0
        return rest

"""Blocking raw-socket SMTP and IMAP clients: every octet under the test's control, nothing rewritten."""

import re
import socket
import ssl

TIMEOUT_S = 30.0


class Wire:
    """A socket with line and exact reads."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.sock: socket.socket = socket.create_connection((host, port), timeout=TIMEOUT_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def _more(self) -> None:
        data = self.sock.recv(1 << 16)
        if not data:
            raise EOFError(f"connection closed; unread: {self.buffer[:200]!r}")
        self.buffer += data

    def line(self) -> bytes:
        """The next line without CRLF."""
        while b"\r\n" not in self.buffer:
            self._more()
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def exactly(self, count: int) -> bytes:
        while len(self.buffer) < count:
            self._more()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def start_tls(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.sock = context.wrap_socket(self.sock, server_hostname="localhost")

    def close(self) -> None:
        self.sock.close()

    def __del__(self) -> None:
        self.sock.close()


class Smtp(Wire):
    """SMTP; `command` returns the last line of the reply as (code, text)."""

    def __init__(self, port: int, hello: str = "EHLO test.example") -> None:
        super().__init__(port)
        self.greeting = self.reply()
        if hello:
            self.command(hello)

    def reply(self) -> tuple[int, str]:
        lines: list[str] = []
        while True:
            line = self.line().decode()
            lines.append(line[4:])
            if line[3:4] != "-":
                return int(line[:3]), "\n".join(lines)

    def command(self, text: str) -> tuple[int, str]:
        self.send(text.encode() + b"\r\n")
        return self.reply()

    def deliver(self, data: bytes, sender: str = "a@example.org", recipient: str = "mox@localhost") -> tuple[int, str]:
        """One transaction; `data` has CRLF line ends. Returns the reply to the final dot."""
        for text in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>", "DATA"):
            code, answer = self.command(text)
            if code >= 400:
                return code, answer
        stuffed = re.sub(rb"(?m)^\.", b"..", data)
        self.send(stuffed + b".\r\n")
        return self.reply()


class Imap(Wire):
    """IMAP; answers are lists of (line, literals)."""

    def __init__(self, port: int, user: str | None = "mox@localhost", password: str = "moxmoxmox") -> None:
        super().__init__(port)
        self.number = 0
        self.greeting = self.line()
        if user is not None:
            self.ok(f'LOGIN {user} "{password}"')

    def response(self) -> tuple[bytes, list[bytes]]:
        """One response with its literals; in the text each literal stands as `{n}` followed by the rest of the line."""
        text, literals = b"", []
        while True:
            text += self.line()
            found = re.search(rb"~?\{(\d+)\}$", text)
            if not found:
                return text, literals
            literals.append(self.exactly(int(found[1])))

    def start(self, text: str | bytes) -> bytes:
        self.number += 1
        tag = b"t%d" % self.number
        self.send(tag + b" " + (text.encode() if isinstance(text, str) else text) + b"\r\n")
        return tag

    def finish(self, tag: bytes) -> tuple[bytes, list[tuple[bytes, list[bytes]]]]:
        """(result line without tag, untagged responses)."""
        untagged: list[tuple[bytes, list[bytes]]] = []
        while True:
            response = self.response()
            if response[0].startswith(tag + b" "):
                return response[0][len(tag) + 1 :], untagged
            untagged.append(response)

    def command(self, text: str | bytes) -> tuple[bytes, list[tuple[bytes, list[bytes]]]]:
        return self.finish(self.start(text))

    def ok(self, text: str | bytes) -> list[tuple[bytes, list[bytes]]]:
        result, untagged = self.command(text)
        assert result.startswith(b"OK"), f"{text!r}: {result!r}"
        return untagged

    def append(self, mailbox: str, data: bytes) -> bytes:
        result, _ = self.command(b"APPEND %s {%d+}\r\n%s" % (mailbox.encode(), len(data), data))
        return result

    def body(self, uid: int, section: str = "") -> bytes:
        """The octets of BODY.PEEK[section] of one message."""
        for text, literals in self.ok(f"UID FETCH {uid} (BODY.PEEK[{section}])"):
            if b"FETCH" in text:
                if literals:
                    return literals[-1]
                found = re.search(rb'BODY\[[^]]*\] "((?:[^"\\]|\\.)*)"', text)
                return re.sub(rb"\\(.)", rb"\1", found[1]) if found else b""
        raise AssertionError("no FETCH response")

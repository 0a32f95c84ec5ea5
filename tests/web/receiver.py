"""A web server that takes webhooks and keeps them, answering what a test wants."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    """A call. Header names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def payload(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """Use it as a context. `status` maps a path to what is answered, 200 unless set; `hang` are paths that answer
    only at the end."""

    status: dict[str, int] = field(default_factory=dict)
    location: dict[str, str] = field(default_factory=dict)
    body: dict[str, bytes] = field(default_factory=dict)
    hang: set[str] = field(default_factory=set)
    calls: list[Received] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Receiver":
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                with receiver.changed:
                    receiver.calls.append(Received(self.path, headers, body))
                    receiver.changed.notify_all()
                if self.path in receiver.hang:
                    receiver.ended.wait(60)
                answer = receiver.body.get(self.path, b"thanks")
                self.send_response(receiver.status.get(self.path, 200))
                if self.path in receiver.location:
                    self.send_header("Location", receiver.location[self.path])
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def wait(self, condition: Callable[[Received], bool], timeout_s: float = 40) -> Received:
        """The first call that fulfils the condition, which may have come already."""
        deadline = time.monotonic() + timeout_s
        with self.changed:
            while True:
                for call in self.calls:
                    if condition(call):
                        return call
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"no such call among {[(c.path, c.body[:300]) for c in self.calls]}")
                self.changed.wait(left)

    def event(self, name: str, queue_id: int) -> Received:
        """The outgoing webhook of an event."""
        return self.wait(lambda call: call.payload.get("Event") == name and call.payload.get("QueueMsgID") == queue_id)

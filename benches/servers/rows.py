"""What is measured: one function a group of rows. A row is a name and a rate (operations per second, more is better).

An operation is one message for delivery and APPEND, and one command over all messages of the mailbox elsewhere.
"""

import asyncio
import itertools
import re
import statistics
import time
from collections.abc import Callable, Iterator

from benches.servers.clients import Imap, deliver, idle_latencies, logins, message
from benches.servers.peers import Server

# A row measured once on one server: the rate.
Measure = Callable[[Server, int], float]

_serial = itertools.count()


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _delivery(connections: int) -> Measure:
    def measure(server: Server, count: int) -> float:
        assert server.delivery is not None
        port, hello = server.delivery
        number = count // 4 if connections == 1 else count
        messages = [message(next(_serial), 4096) for _ in range(number)]
        return number / deliver("127.0.0.1", port, hello, server.recipient, connections, messages)

    return measure


DELIVERY: dict[str, Measure] = {f"deliver, {n} connections": _delivery(n) for n in (1, 10, 20)}


def _client(server: Server) -> Imap:
    if server.client is None:
        assert server.imap_port is not None
        server.client = Imap("127.0.0.1", server.imap_port, server.user, server.password)
    return server.client


def _append_one_by_one(server: Server, count: int) -> float:
    client = _client(server)
    messages = [message(next(_serial)) for _ in range(count // 8)]
    return len(messages) / _seconds(lambda: [client.append("scratch", m) for m in messages])


def _append_pipelined(server: Server, count: int) -> float:
    client = _client(server)
    messages = [message(next(_serial)) for _ in range(count // 2)]
    return len(messages) / _seconds(lambda: client.append_pipelined("scratch", messages))


def _multiappend(server: Server, count: int) -> float:
    client = _client(server)
    messages = [message(next(_serial)) for _ in range(count // 2)]
    return len(messages) / _seconds(lambda: client.multiappend("scratch", messages))


APPENDS: dict[str, Measure] = {
    "APPEND one by one": _append_one_by_one,
    "APPEND pipelined": _append_pipelined,
    "MULTIAPPEND": _multiappend,
}

# Every command here leaves the mailbox as it was, so it can be repeated.
READS = {
    "SELECT": "SELECT bench",
    "STATUS": "STATUS INBOX (MESSAGES UNSEEN UIDNEXT)",
    "FETCH FLAGS": "FETCH 1:* (FLAGS)",
    "FETCH FAST": "FETCH 1:* FAST",
    "FETCH ENVELOPE": "FETCH 1:* (ENVELOPE)",
    "FETCH BODYSTRUCTURE": "FETCH 1:* (BODYSTRUCTURE)",
    "FETCH HEADER.FIELDS": "FETCH 1:* (BODY.PEEK[HEADER.FIELDS (DATE FROM SUBJECT)])",
    "FETCH list view": "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)",
    "FETCH BODY[HEADER]": "FETCH 1:* (BODY.PEEK[HEADER])",
    "FETCH BODY[1]": "FETCH 1:* (BODY.PEEK[1])",
    "FETCH BODY[]": "FETCH 1:* (BODY.PEEK[])",
    "SEARCH UNSEEN": "SEARCH UNSEEN",
    "SEARCH SINCE": "SEARCH SINCE 1-Jan-2020 LARGER 100",
    "SEARCH SUBJECT": "SEARCH SUBJECT nothere",
    "SEARCH BODY": "SEARCH BODY nothere",
    "SEARCH TEXT": "SEARCH TEXT nothere",
}


def _command(text: str) -> Measure:
    return lambda server, _count: 1 / _seconds(lambda: _client(server).command(text))


def _done(client: Imap, command: str) -> tuple[float, float]:
    """Commands a second until the answer, and until another change was possible: our server answers some commands when
    they are durable and does them to all rows later, before the next change (here CREATE)."""
    started = time.perf_counter()
    client.command(command)
    answered = time.perf_counter()
    client.command(f"CREATE next{next(_serial)}")
    return 1 / (answered - started), 1 / (time.perf_counter() - started)


def _store(server: Server) -> Iterator[tuple[str, float]]:
    client = _client(server)
    answered, settled = _done(client, "STORE 1:* +FLAGS.SILENT (\\Flagged)")
    yield "STORE all", answered
    yield "STORE all, CREATE", settled
    _done(client, "STORE 1:* -FLAGS.SILENT (\\Flagged)")


CHANGES = (
    "STORE all",
    "STORE all, CREATE",
    "COPY all",
    "COPY all, CREATE",
    "MOVE all",
    "EXPUNGE all",
    "EXPUNGE all, CREATE",
)


def _copy_move_expunge(server: Server) -> Iterator[tuple[str, float]]:
    """COPY all, MOVE the copies on, EXPUNGE them there."""
    client = _client(server)
    one, two = f"copy{next(_serial)}", f"move{next(_serial)}"
    client.command(f"CREATE {one}")
    client.command(f"CREATE {two}")
    answered, settled = _done(client, f"COPY 1:* {one}")
    yield "COPY all", answered
    yield "COPY all, CREATE", settled
    client.command(f"SELECT {one}")
    yield "MOVE all", 1 / _seconds(lambda: client.command(f"MOVE 1:* {two}"))
    client.command(f"SELECT {two}")
    _done(client, "STORE 1:* +FLAGS.SILENT (\\Deleted)")
    answered, settled = _done(client, "EXPUNGE")
    yield "EXPUNGE all", answered
    yield "EXPUNGE all, CREATE", settled
    client.command("SELECT bench")


def _logins(server: Server, _count: int) -> float:
    assert server.imap_port is not None
    return 50 / asyncio.run(logins("127.0.0.1", server.imap_port, server.user, server.password, 50))


def _idle(server: Server, _count: int) -> float:
    """Notifications a second that one session would get: 1 / median latency of 20 sessions in IDLE."""
    assert server.imap_port is not None
    found = asyncio.run(idle_latencies("127.0.0.1", server.imap_port, server.user, server.password, 20, 10))
    return 1 / statistics.median(found)


COMMANDS: dict[str, Measure] = {name: _command(text) for name, text in READS.items()} | {
    "50 log-ins at once": _logins,
    "IDLE to 20 sessions": _idle,
}


def prepare(server: Server, count: int) -> None:
    """Warm up delivery; make the mailbox of `count` messages that commands work on."""
    if server.delivery:
        port, hello = server.delivery
        deliver("127.0.0.1", port, hello, server.recipient, 4, [message(next(_serial)) for _ in range(40)])
    if server.imap_port:
        client = _client(server)
        client.command("CREATE scratch")
        client.command("CREATE bench")
        client.append_pipelined("bench", [message(next(_serial)) for _ in range(count)])
        # No session may be open during the deliveries: it would be sent thousands of changes.
        client.close()
        server.client = None


def rounds(servers: list[Server], count: int, repeat: int, wanted: re.Pattern[str]) -> dict[str, dict[str, float]]:
    """The best of `repeat` rounds for every row whose name `wanted` finds, and every server. The servers take turns, so
    that a slow moment of the machine does not hit one of them alone."""
    rates: dict[str, dict[str, float]] = {server.name: {} for server in servers}

    def note(server: Server, row: str, rate: float) -> None:
        rates[server.name][row] = max(rate, rates[server.name].get(row, 0.0))

    def chosen(group: dict[str, Measure]) -> list[tuple[str, Measure]]:
        return [(row, measure) for row, measure in group.items() if wanted.search(row)]

    with_imap = [server for server in servers if server.imap_port]
    for group, users in ((DELIVERY, [s for s in servers if s.delivery]), (APPENDS, with_imap)):
        for row, measure in chosen(group):
            for _ in range(max(1, repeat // 2)):
                for server in users:
                    note(server, row, measure(server, count))
    for server in with_imap:
        _client(server).command("SELECT bench")
    for row, measure in chosen(COMMANDS):
        for _ in range(repeat):
            for server in with_imap:
                note(server, row, measure(server, count))
    for _ in range(max(1, repeat // 2) if any(map(wanted.search, CHANGES)) else 0):
        for server in with_imap:
            for row, rate in (*_store(server), *_copy_move_expunge(server)):
                note(server, row, rate)
    return rates

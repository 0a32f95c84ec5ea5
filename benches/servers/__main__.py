"""`make bench`: measure, print one table of ratios, write JSON. See `--help`."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benches.servers import peers
from benches.servers.clients import Imap, deliver, message

Results = dict[str, float]


def timed(work: Callable[[], object], repeat: int = 1) -> float:
    """Seconds of the fastest of `repeat` runs."""
    best = float("inf")
    for _ in range(repeat):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best


def bench_delivery(server: peers.Server, count: int) -> Results:
    """Messages per second at 1, 10 and 20 connections into one account."""
    assert server.delivery is not None
    port, hello = server.delivery
    deliver("127.0.0.1", port, hello, server.recipient, 4, [message(i) for i in range(40)])
    results: Results = {}
    for connections in (1, 10, 20):
        number = count // 4 if connections == 1 else count
        messages = [message(i, 4096) for i in range(number)]
        seconds = deliver("127.0.0.1", port, hello, server.recipient, connections, messages)
        results[f"deliver, {connections} connections"] = number / seconds
    return results


FETCHES = {
    "FETCH FLAGS": "(FLAGS)",
    "FETCH FAST": "FAST",
    "FETCH ENVELOPE": "(ENVELOPE)",
    "FETCH BODYSTRUCTURE": "(BODYSTRUCTURE)",
    "FETCH HEADER.FIELDS": "(BODY.PEEK[HEADER.FIELDS (DATE FROM SUBJECT)])",
    "FETCH BODY[HEADER]": "(BODY.PEEK[HEADER])",
    "FETCH BODY[1]": "(BODY.PEEK[1])",
    "FETCH BODY[]": "(BODY.PEEK[])",
}


def bench_imap(server: peers.Server, count: int) -> Results:
    """Operations per second (an operation is one message for APPEND, one command for the others)."""
    assert server.imap_port is not None
    client = Imap("127.0.0.1", server.imap_port, server.user, server.password)
    results: Results = {}
    client.command("CREATE bench")
    one_by_one = [message(i) for i in range(count // 4)]
    results["APPEND one by one"] = len(one_by_one) / timed(lambda: [client.append("bench", m) for m in one_by_one])
    pipelined = [message(i) for i in range(count - len(one_by_one))]
    results["APPEND pipelined"] = len(pipelined) / timed(lambda: client.append_pipelined("bench", pipelined))
    results["SELECT"] = 1 / timed(lambda: client.command("SELECT bench"), 5)
    for name, items in FETCHES.items():
        client.command(f"FETCH 1:* {items}")
        results[name] = 1 / timed(lambda items=items: client.command(f"FETCH 1:* {items}"), 5)
    results["SEARCH UNSEEN"] = 1 / timed(lambda: client.command("SEARCH UNSEEN"), 5)
    results["SEARCH SUBJECT"] = 1 / timed(lambda: client.command("SEARCH SUBJECT nothere"), 3)
    results["SEARCH BODY"] = 1 / timed(lambda: client.command("SEARCH BODY nothere"), 3)
    results["STORE all"] = 1 / timed(lambda: client.command("STORE 1:* +FLAGS.SILENT (\\Flagged)"))
    client.command("CREATE bench2")
    results["COPY all"] = 1 / timed(lambda: client.command("COPY 1:* bench2"))
    client.command("STORE 1:* +FLAGS.SILENT (\\Deleted)")
    results["EXPUNGE all"] = 1 / timed(lambda: client.command("EXPUNGE"))
    client.close()
    return results


def measure(start: Callable[[], peers.Server | None], count: int) -> tuple[str, Results] | None:
    """Start a server, run everything that it can do, stop it."""
    server = start()
    if server is None:
        return None
    try:
        results = bench_delivery(server, count) if server.delivery else {}
        if server.imap_port:
            results |= bench_imap(server, count)
        return server.name, results
    finally:
        server.stop()


def table(all_results: dict[str, Results]) -> str:
    """Rows of rates; ours also as a ratio to each peer."""
    ours = all_results.get("mox-hybrid", {})
    others = [name for name in all_results if name != "mox-hybrid"]
    lines = [f"{'operations per second':24}" + f"{'mox-hybrid':>12}" + "".join(f"{n:>12}{'ratio':>8}" for n in others)]
    for row, value in ours.items():
        line = f"{row:24}{value:12.1f}"
        for name in others:
            other = all_results[name].get(row)
            line += f"{other:12.1f}{value / other:7.2f}x" if other else f"{'-':>12}{'':8}"
        lines.append(line)
    return "\n".join(lines)


def main() -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benches.servers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer messages: shows that all runs, not how fast")
    parser.add_argument("--count", type=int, default=2000, help="messages per measurement")
    parser.add_argument("--json", type=Path, default=Path(".benchmarks/servers.json"), help="where the figures go")
    args = parser.parse_args()
    count = 200 if args.quick else args.count
    starters: list[Callable[[], peers.Server | None]] = [peers.start_ours, peers.start_dovecot, peers.start_smtp_sink]
    if binary := os.environ.get("MOX_PEER"):
        starters.append(lambda: peers.start_go_mox(binary))
    all_results = dict(found for start in starters if (found := measure(start, count)))
    print(table(all_results))
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps({"count": count, "rates": all_results}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

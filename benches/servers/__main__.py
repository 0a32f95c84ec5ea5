"""`make bench`: measure, print one table of ratios, write JSON. See `--help`."""

import argparse
import json
import os
import re
import sys
from pathlib import Path

from benches.servers import peers, rows

Rates = dict[str, dict[str, float]]


def table(rates: Rates) -> str:
    """Rows of rates; ours also as a ratio to each peer."""
    ours = rates["mox-hybrid"]
    others = [name for name in rates if name != "mox-hybrid" and rates[name]]
    lines = [f"{'operations per second':24}" + f"{'mox-hybrid':>12}" + "".join(f"{n:>12}{'ratio':>8}" for n in others)]
    for row, value in ours.items():
        line = f"{row:24}{value:12.1f}"
        for name in others:
            other = rates[name].get(row)
            line += f"{other:12.1f}{value / other:7.2f}x" if other else f"{'-':>12}{'':8}"
        lines.append(line)
    return "\n".join(lines)


def start() -> list[peers.Server]:
    """Ours, and every peer that this machine has."""
    binary = os.environ.get("MOX_PEER")
    found = [
        peers.start_ours(),
        peers.start_our_workers(),
        peers.start_dovecot(),
        peers.start_smtp_sink(),
        peers.start_go_mox(binary) if binary else None,
    ]
    return [server for server in found if server is not None]


def main() -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benches.servers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer messages: shows that all runs, not how fast")
    parser.add_argument("--count", type=int, default=2000, help="messages per measurement")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of which the best counts")
    parser.add_argument("--only", default="", metavar="REGEXP", help="only rows that match, for work on one of them")
    parser.add_argument("--json", type=Path, default=Path(".benchmarks/servers.json"), help="where the figures go")
    args = parser.parse_args()
    count, repeat = (200, 1) if args.quick else (args.count, args.rounds)
    servers: list[peers.Server] = []
    try:
        servers = start()
        for server in servers:
            rows.prepare(server, count)
        rates = rows.rounds(servers, count, repeat, re.compile(args.only))
    finally:
        for server in servers:
            server.stop()
    print(table(rates))
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps({"count": count, "rates": rates}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The extension's crates next to their rivals: `python -m benches.ratios BENCHMARK_JSON` prints a line for each, with
the ratio of the two times and what it has to be. It reads what criterion and pytest-benchmark left of one run of
`make bench`."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

CRITERION = Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "criterion"


@dataclass(frozen=True, slots=True)
class Row:
    """What is compared: names of benchmarks, `group/name` for those of criterion."""

    work: str
    ours: str
    theirs: str
    target: float


ROWS = (
    Row("parse 2 kB of plain text: mail-parser", "plain 2 kB/mimeparse", "plain 2 kB/mail-parser", 1),
    Row("parse a newsletter: mail-parser", "newsletter 30 kB/mimeparse", "newsletter 30 kB/mail-parser", 1),
    Row("parse 1 MB with attachment: mail-parser", "attachment 1 MB/mimeparse", "attachment 1 MB/mail-parser", 1),
    Row("parse 50 kB: Python's email", "test_mime[ours_mime]", "test_mime[pythons_mime]", 30),
    Row("DKIM relaxed, text: SHA-256", "text/Relaxed", "text/sha256", 0.7),
    Row("DKIM relaxed, flowed text: SHA-256", "flowed/Relaxed", "flowed/sha256", 0.4),
    Row("DKIM relaxed, many blanks: SHA-256", "spaced/Relaxed", "spaced/sha256", 0.4),
    Row("DKIM simple, text: SHA-256", "text/Simple", "text/sha256", 0.7),
    Row("gzip level 1: zlib", "test_gzip[ours_gzip]", "test_gzip[pythons_gzip]", 1),
    Row("TLS bulk: ssl", "test_tls[bulk-ours_tls]", "test_tls[bulk-pythons_tls]", 1),
    Row("TLS handshakes: ssl", "test_tls[handshakes-ours_tls]", "test_tls[handshakes-pythons_tls]", 1),
)
# One run of criterion's `commands/simple`, and what of it must be done in a second.
COMMANDS = 1000
COMMANDS_PER_S = 1_000_000


def criterion_s(name: str) -> float | None:
    """Median of criterion's benchmark `group/name`."""
    file = CRITERION / name / "new" / "estimates.json"
    return float(json.loads(file.read_text())["median"]["point_estimate"]) / 1e9 if file.is_file() else None


def main(results: Path) -> int:
    """Print the table; 1 when a target is missed."""
    found = {b["name"]: float(b["stats"]["min"]) for b in json.loads(results.read_text())["benchmarks"]}
    missed = 0
    for row in ROWS:
        ours, theirs = (found.get(name) or criterion_s(name) for name in (row.ours, row.theirs))
        if ours is None or theirs is None:
            print(f"{row.work:42} not measured")
            continue
        missed += theirs / ours < row.target
        print(f"{row.work:42}{theirs / ours:8.2f} x   (wanted: {row.target:g} x)")
    if seconds := criterion_s("commands/simple"):
        missed += COMMANDS / seconds < COMMANDS_PER_S
        print(f"{'IMAP commands without arguments':42}{COMMANDS / seconds / 1e6:8.2f} million/s (wanted: 1)")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

"""Instructions that three fixed messages take to parse, counted by callgrind: the same on a busy machine as on an idle
one, so that a change of the parser shows; next to those of the `mail-parser` crate. `python -m
benches.instructions` prints a line for each."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

INPUTS = ("plain", "newsletter", "attachment")
# Runs of one program (rust/mimeparse/examples/fixed.rs).
REPEATS = 100


def count(program: Path, name: str, work: str = "") -> int:
    """Instructions for one parse of the input `name`; `work` as the program takes it."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", str(program), name, work]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
    match = re.search(r"Collected : (\d+)", result.stderr)
    assert match is not None, result.stderr
    return int(match[1]) // REPEATS


def main() -> None:
    """Build the program and count."""
    if shutil.which("valgrind") is None:
        print("valgrind is not installed: no instruction counts")
        return
    subprocess.run(["cargo", "build", "--release", "--quiet", "-p", "mimeparse", "--example", "fixed"], check=True)
    program = Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "release" / "examples" / "fixed"
    for name in INPUTS:
        start = count(program, name, "nothing")
        ours, decoding, theirs = (count(program, name, work) - start for work in ("", "decode", "mail-parser"))
        print(f"mimeparse {name}: {ours:,} instructions; with all parts decoded {decoding:,}, mail-parser {theirs:,}")


if __name__ == "__main__":
    sys.exit(main())

"""Imports go downwards only (DESIGN section 2)."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "python" / "mox"

# Highest first. Packages of one layer do not import each other, but for the pairs in ALLOWED.
LAYERS: list[set[str]] = [
    {"cli"},
    {"server", "admin"},
    {"smtp", "imap", "web", "inbound", "outbound", "reports", "acme"},
    {"store", "junk", "mailauth", "message", "sasl", "webapi"},
    {"config", "dns", "net"},
    {"_rust", "log", "metrics"},
]
# `config` makes the certificates that a listener offers, and parses domain names; `store` keeps credentials, which
# `sasl` defines.
ALLOWED = {
    ("server", "admin"),
    ("config", "net"),
    ("config", "dns"),
    ("store", "sasl"),
    ("smtp", "inbound"),
    ("smtp", "outbound"),
    ("store", "message"),
    ("junk", "store"),
}
# An SMTP server hands over to inbound and outbound; neither of these imports smtp's session or server. The webapi
# puts messages into the queue.
ALLOWED |= {("web", "outbound"), ("inbound", "smtp"), ("outbound", "smtp"), ("inbound", "outbound")}
# Reports go out through the queue.
ALLOWED |= {("reports", "outbound"), ("reports", "inbound"), ("reports", "smtp")}
PROTOCOLS = {"smtp", "imap", "web"}


def rank(name: str) -> int | None:
    return next((i for i, layer in enumerate(LAYERS) if name in layer), None)


def imported(path: Path) -> set[str]:
    """Names of mox's sub-packages that `path` imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("mox.")}
        elif isinstance(node, ast.ImportFrom) and node.module == "mox":
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mox."):
            found.add((node.module or "").split(".")[1])
    return found


SOURCES = sorted(p for p in PACKAGE.rglob("*.py") if p.parent != PACKAGE)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_downwards(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0]
    for name in imported(path) - {own}:
        mine, other = rank(own), rank(name)
        if mine is None or other is None or (own, name) in ALLOWED:
            continue
        assert mine < other, f"{path.name}: mox.{own} must not import mox.{name}"
        assert not {own, name} <= PROTOCOLS, f"mox.{own} is a protocol package and must not import mox.{name}"

"""JSON for people: indented by tabs, as mox prints it."""

import re
from typing import Any

import msgspec

_INDENT = re.compile(r"^ +", re.MULTILINE)


def readable_json(value: Any) -> str:
    """A value (structs too) as indented JSON, without a final line end."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=1).decode()
    # A line end within a string is escaped, so every line begins with its indentation.
    return _INDENT.sub(lambda found: "\t" * len(found[0]), text)

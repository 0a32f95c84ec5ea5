"""Writing the sconf file format: plain, with documentation, or as a description of everything that can be set.

`merge` writes a changed value over an existing file so that comments, order and spelling of what did not change stay.
"""

import textwrap
import typing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import Any

import msgspec

from mox.config import durations, schema
from mox.config.sconf import SconfError

DOC_WIDTH = 80


class Mode(Enum):
    """What is written beside the values."""

    PLAIN = "values, without those that have their default"
    DOCUMENTED = "the same, each under its documentation"
    DESCRIBE = "every field with its documentation; lists and maps with one example, so not a usable file"


@dataclass(slots=True)
class Node:
    """A line and the lines below it. `head` ends in a colon or is a dash; `lead` is the comments above."""

    head: str
    value: str | None = None
    children: list["Node"] = field(default_factory=list)
    lead: list[str] = field(default_factory=list)


def dump(value: msgspec.Struct, mode: Mode = Mode.PLAIN) -> str:
    """The text of a struct. Raises SconfError for text that the format cannot hold, such as a line break."""
    return render(_struct(value, mode))


def describe(kind: type[msgspec.Struct]) -> str:
    """Every field of a type with its documentation."""
    return dump(schema.zero(kind), Mode.DESCRIBE)


def _struct(value: msgspec.Struct, mode: Mode) -> list[Node]:
    nodes: list[Node] = []
    for item in schema.fields(type(value)).values():
        content = getattr(value, item.name)
        if mode is Mode.DESCRIBE:
            content = schema.zero(item.kind) if content is None else content
        elif not item.is_required and content == item.default:
            continue
        node = _node(f"{item.name}:", content, item.kind, mode)
        if mode is not Mode.PLAIN and item.doc:
            node.lead = [*([""] if nodes else []), *_comment(item)]
        nodes.append(node)
    return nodes


def _comment(item: schema.Field) -> Iterator[str]:
    text = item.doc + ("" if item.is_required else " (optional)")
    for at, paragraph in enumerate(text.split("\n\n")):
        if at:
            yield "#"
        yield from (f"# {line}" for line in textwrap.wrap(paragraph, DOC_WIDTH - 2, break_on_hyphens=False))


def _node(head: str, value: Any, kind: Any, mode: Mode) -> Node:
    if not schema.is_block(kind):
        return Node(head, _scalar(head, value))
    children = list(_children(value, kind, mode))
    if not children:
        return Node(head, "nil")
    return Node(head, children=children)


def _children(value: Any, kind: Any, mode: Mode) -> Iterable[Node]:
    if schema.is_struct(kind):
        return _struct(value, mode)
    inner = schema.element(kind)
    if typing.get_origin(kind) is list:
        items = value or ([schema.zero(inner)] if mode is Mode.DESCRIBE else [])
        return [_item(item, inner, mode) for item in items]
    pairs = sorted(value.items(), key=lambda pair: pair[0].encode())
    pairs = pairs or ([("x", schema.zero(inner))] if mode is Mode.DESCRIBE else [])
    return [_entry(key, item, inner, mode) for key, item in pairs]


def _item(value: Any, kind: Any, mode: Mode) -> Node:
    node = _node("-", value, kind, mode)
    if node.value == "nil" and schema.is_struct(kind):
        raise SconfError("an item of a list without any value cannot be written")
    return node


def _entry(key: str, value: Any, kind: Any, mode: Mode) -> Node:
    if not key or key != key.strip() or key.startswith("#") or any(c in key for c in ":\r\n"):
        raise SconfError(f"the key {key!r} cannot be written: it may not be empty, start with #, or hold a colon")
    node = _node(f"{key}:", value, kind, mode)
    if kind is str and node.value == "nil":
        raise SconfError(f"the value of {key!r} cannot be written: nil stands for an empty value")
    return node


def _scalar(head: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, timedelta):
        return durations.render(value)
    if isinstance(value, float):
        text = f"{value:.6f}"
        return text if float(text) == value else repr(value)
    text = str(value)
    if "\n" in text or "\r" in text:
        raise SconfError(f"{head} unsupported multiline string {text!r}")
    return text


def render(nodes: Iterable[Node], level: int = 0) -> str:
    """The text of a tree."""
    return "".join(f"{line}\n" for line in _render(nodes, level))


def _render(nodes: Iterable[Node], level: int) -> Iterator[str]:
    indent = "\t" * level
    for node in nodes:
        yield from (indent + line if line else "" for line in node.lead)
        yield f"{indent}{node.head}" if node.value is None else f"{indent}{node.head} {node.value}"
        yield from _render(node.children, level + 1)


def tree(text: str) -> tuple[list[Node], list[str]]:
    """The lines of a valid file as a tree, each with the comments above it; and the comments at the end of the file."""
    top: list[Node] = []
    stack = [top]
    lead: list[str] = []
    for line in text.removesuffix("\n").split("\n"):
        bare = line.lstrip("\t")
        if not line or bare.lstrip(" ").startswith("#"):
            lead.append(line)
            continue
        level = min(len(line) - len(bare), len(stack) - 1)
        del stack[level + 1 :]
        node = _parsed(bare, [comment.removeprefix("\t" * level) for comment in lead])
        stack[-1].append(node)
        stack.append(node.children)
        lead = []
    return top, lead


def _parsed(line: str, lead: list[str]) -> Node:
    if line == "-" or line.startswith("- "):
        head, value = "-", line[2:] if len(line) > 1 else None
    else:
        key, _, rest = line.partition(":")
        head, value = f"{key}:", rest[1:] if rest else None
    return Node(head, value, lead=lead)


def merge(old_text: str, old: msgspec.Struct, new: msgspec.Struct) -> str:
    """`new` as text that differs from `old_text`, which was read as `old`, only where the values differ.

    Comments above a line stay with it; a removed line takes its comments along. Raises SconfError.
    """
    written, end = tree(old_text)
    merged = _merge(written, _struct(old, Mode.PLAIN), _struct(new, Mode.PLAIN))
    text = render(merged)
    return text + "".join(f"{line}\n" for line in end)


def _merge(written: list[Node], old: list[Node], new: list[Node]) -> list[Node]:
    """The lines of a block: `written` as it stands in the file, `old` the same in normal form, `new` in normal form."""
    if all(node.head == "-" for node in (*written, *old, *new)):
        return _merge_list(written, old, new)
    old_by_head = {node.head: node for node in old}
    new_by_head = {node.head: node for node in new}
    kept = [
        _merge_node(node, old_by_head.get(node.head), new_by_head[node.head])
        for node in written
        if node.head in new_by_head
    ]
    return _insert(kept, new)


def _insert(kept: list[Node], new: list[Node]) -> list[Node]:
    """`kept` with the nodes of `new` that it lacks, each after the one that it follows in normal form."""
    present = {node.head for node in kept}
    before = ""
    for node in new:
        if node.head not in present:
            at = next((i + 1 for i, other in enumerate(kept) if other.head == before), 0)
            kept.insert(at, node)
            present.add(node.head)
        before = node.head
    return kept


def _merge_node(written: Node, old: Node | None, new: Node) -> Node:
    if old is None:
        # The line said something that has its default: it stays unless the value is another now.
        return Node(new.head, new.value, new.children, written.lead)
    if (old.value, old.children) == (new.value, new.children):
        return written
    if new.children and written.children:
        return Node(new.head, None, _merge(written.children, old.children, new.children), written.lead)
    return Node(new.head, new.value, new.children, written.lead)


def _merge_list(written: list[Node], old: list[Node], new: list[Node]) -> list[Node]:
    """Items that are in both lists keep their spelling and comments; an item that changed in its place is merged."""
    unused = list(zip(written, old, strict=False))
    merged = []
    for at, node in enumerate(new):
        same = next((pair for pair in unused if _same(pair[1], node)), None)
        if same is not None:
            unused.remove(same)
            merged.append(same[0])
        elif len(old) == len(new) and node.children and at < len(written) and written[at].children:
            merged.append(
                Node("-", None, _merge(written[at].children, old[at].children, node.children), written[at].lead)
            )
        else:
            merged.append(node)
    return merged


def _same(one: Node, other: Node) -> bool:
    return one.value == other.value and one.children == other.children

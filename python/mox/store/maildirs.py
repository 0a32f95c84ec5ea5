"""The maildir format: a file for each message, flags in its name, keywords by letter in `dovecot-keywords`."""

import string
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mox.store.mboxes import Imported, keyword_names, parse_words
from mox.store.types import Flag, is_keyword

KEYWORDS_FILE = "dovecot-keywords"
_INFO = (("D", Flag.DRAFT), ("F", Flag.FLAGGED), ("R", Flag.ANSWERED), ("S", Flag.SEEN), ("T", Flag.DELETED))


def parse_keywords(text: bytes) -> tuple[dict[str, str], list[str]]:
    """Keywords by letter of a `dovecot-keywords` file, and what is wrong with its lines."""
    found: dict[str, str] = {}
    problems = []
    for line in text.decode(errors="replace").splitlines():
        number, _, word = line.partition(" ")
        letter = string.ascii_lowercase[int(number)] if number.isdigit() and int(number) < 26 else ""
        if not letter or letter in found or not word:
            problems.append(f"{KEYWORDS_FILE}: bad or repeated line {line!r}")
        else:
            found[letter] = word.lower()
    return found, problems


def parse_name(name: str, keywords: dict[str, str]) -> tuple[int, frozenset[str], int | None]:
    """(flags, keywords, milliseconds since 1970 if it tells) of a file name. Unknown letters are left out."""
    start, _, info = name.partition(":2,")
    flags = sum(flag for letter, flag in _INFO if letter in info)
    named, words = parse_words([keywords[letter] for letter in info if letter in keywords])
    seconds = start.partition(".")[0]
    return int(flags | named), words, int(seconds) * 1000 if seconds.isdigit() and len(seconds) < 12 else None


def to_crlf(content: bytes) -> bytes:
    """Line ends of mail, also at the end of the last line."""
    content = content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return content if content.endswith(b"\r\n") or not content else content + b"\r\n"


def read(folder: Path, problems: list[str]) -> Iterator[Imported]:
    """Messages of a maildir: `new`, then `cur`, by name. Adds what is wrong with it to `problems`. Raises OSError."""
    keywords: dict[str, str] = {}
    if (folder / KEYWORDS_FILE).exists():
        keywords, bad = parse_keywords((folder / KEYWORDS_FILE).read_bytes())
        problems += bad
    for part in ("new", "cur"):
        for path in sorted((folder / part).iterdir()) if (folder / part).is_dir() else ():
            if path.is_file() and not path.name.startswith("."):
                flags, words, received_ms = parse_name(path.name, keywords)
                when = received_ms if received_ms is not None else path.stat().st_mtime_ns // 1_000_000
                yield Imported(to_crlf(path.read_bytes()), flags, words, when)


@dataclass
class Letters:
    """Letters for the keywords of a maildir that is written."""

    words: list[str]

    def name(self, message: Imported, message_id: int) -> str:
        """The file's name with `new/` or `cur/`. Keywords beyond the 26th are lost, as the format has no letters."""
        letters = []
        for word in keyword_names(message.flags, message.keywords):
            if word not in self.words and len(self.words) < len(string.ascii_lowercase) and is_keyword(word.lower()):
                self.words.append(word)
            if word in self.words:
                letters.append(string.ascii_lowercase[self.words.index(word)])
        info = "".join(letter for letter, flag in _INFO if message.flags & flag) + "".join(sorted(letters))
        folder = "cur" if message.flags & Flag.SEEN else "new"
        return f"{folder}/{(message.received_ms or 0) // 1000}.{message_id}.mox:2,{info}"

    def file(self) -> bytes:
        """Content of `dovecot-keywords`; empty when no keyword was used."""
        return _keyword_lines(self.words)


def _keyword_lines(words: Iterable[str]) -> bytes:
    return "".join(f"{number} {word}\n" for number, word in enumerate(words)).encode()


def to_lf(content: bytes) -> bytes:
    """Line ends of files."""
    return content.replace(b"\r\n", b"\n")

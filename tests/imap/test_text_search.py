"""SEARCH with the text index gives the answers of reading every message (issue 4)."""

import base64
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mox.imap.client.client import Client
from mox.imap.client.client import Message as NewMessage
from mox.imap.client.types import Search
from mox.store import maintenance, messages
from mox.store.account import Account
from mox.store.engine import Tx
from mox.store.textindex import ENOUGH
from tests.imap.harness import Server

WORDS = ["invoice", "Grüße", "CAFÉ", "ship", "Σίσυφος", "ordered", "re", "x-ray", "İstanbul", "a=b", "日本語"]
COUNT = ENOUGH + 40


def letter(rng: random.Random) -> bytes:
    def some() -> str:
        return " ".join(rng.sample(WORDS, rng.randrange(4)))

    body = some() + "\r\n" + some() + "\r\n"
    match rng.randrange(4):
        case 0:
            kind, encoded = "Content-Type: text/plain; charset=utf-8", body.encode()
        case 1:
            kind = "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64"
            encoded = base64.encodebytes(body.encode())
        case 2:
            kind = "Content-Type: message/rfc822"
            encoded = f"Subject: {some()}\r\n\r\n{body}".encode()
        case _:
            kind, encoded = "Content-Type: application/pdf", body.encode()
    subject = rng.choice([some(), "=?utf-8?q?Caf=C3=A9_ship?=", "=?utf-8?b?R3LDvMOfZQ==?="])
    return f"From: {rng.choice(['ann', 'bob'])}@example.org\r\nSubject: {subject}\r\n{kind}\r\n\r\n".encode() + encoded


def programs(rng: random.Random) -> list[str]:
    out = []
    for word in [*WORDS, "nothere", "in", "Caf=C3", "ann@", "oice"]:
        literal = f"{{{len(word.encode())}+}}\r\n{word}"
        out += [f"BODY {literal}", f"TEXT {literal}", f"SUBJECT {literal}", f"HEADER From {literal}"]
        other = rng.choice(WORDS)
        out.append(f"OR NOT TEXT {literal} BODY {{{len(other.encode())}+}}\r\n{other}")
        out.append(f"NOT BODY {literal} SEEN")
    return out


async def found(client: Client, program: str) -> list[int]:
    answer = await client.command(f"SEARCH {program}")
    return [number for line in answer.all(Search) for number in line.numbers]


async def account_of(server: Server) -> Account:
    return await server.store.open("mox")


async def test_answers_are_those_of_reading_all(server: Server) -> None:
    rng = random.Random(7)
    client = await server.client()
    await client.command("ENABLE UTF8=ACCEPT")
    await client.append("Inbox", *(NewMessage(letter(rng)) for _ in range(COUNT)))
    await client.select("Inbox")
    await client.command("STORE 1:9 +FLAGS (\\Seen)")
    account = await account_of(server)

    async def answers() -> list[list[int]]:
        return [await found(client, program) for program in programs(random.Random(1))]

    expected = await answers()
    await account.text.built()
    assert account.text.index.highest(0) == COUNT
    assert await answers() == expected
    # New ones are not known to the index, and found.
    await client.append("Inbox", NewMessage(b"Subject: one more\r\n\r\ninvoice\r\n"))
    assert (await found(client, "BODY invoice"))[-1] == COUNT + 1
    assert any(expected) and not all(expected)


async def test_messages_are_not_read_in_vain(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await server.client()
    await client.append("Inbox", *(NewMessage(b"Subject: a\r\n\r\nword %d\r\n" % n) for n in range(COUNT)))
    await client.select("Inbox")
    account = await account_of(server)
    await client.command("SEARCH TEXT nothere")
    await account.text.built()
    read: list[int] = []
    original = messages.cold_rows

    def noted(tx: Tx, mailbox_id: int, uids: Sequence[int], columns: Sequence[str]) -> list[tuple[Any, ...]]:
        read.extend(uids)
        return original(tx, mailbox_id, uids, columns)

    monkeypatch.setattr(messages, "cold_rows", noted)
    assert (await client.command("SEARCH TEXT nothere")).one(Search).numbers == ()
    assert (await client.command("SEARCH TEXT {8+}\r\nword 17\r")).one(Search).numbers == (18,)
    assert read == [18]


async def test_an_index_from_the_future_is_dropped(server: Server) -> None:
    """A database that was restored from a backup is older than its index."""
    client = await server.client()
    await client.append("Inbox", *(NewMessage(b"Subject: a\r\n\r\nb\r\n") for _ in range(COUNT)))
    await client.select("Inbox")
    account = await account_of(server)
    await client.command("SEARCH BODY abc")
    await account.text.built()
    account.text.check(COUNT + 1)
    assert account.text.index.highest(0) == COUNT
    account.text.check(COUNT)
    assert account.text.index.highest(0) is None


async def test_parsing_anew_drops_it_and_blocks_without_messages_go(server: Server) -> None:
    client = await server.client()
    await client.append("Inbox", *(NewMessage(b"Subject: a\r\n\r\nb\r\n") for _ in range(COUNT)))
    await client.select("Inbox")
    account = await account_of(server)
    for drop in ("reparse", "tidy"):
        await client.command("SEARCH BODY abc")
        await account.text.built()
        assert account.text.index.highest(0) == COUNT
        if drop == "reparse":
            await maintenance.reparse(account)
        else:
            await client.command("STORE 1:* +FLAGS.SILENT (\\Deleted)")
            await client.command("EXPUNGE")
            await client.command("UNSELECT")
            await account.erase()
            await account.text.tidy(account)
        assert account.text.index.highest(0) is None
    assert list(Path(account.blob_path(1)).parents[2].glob("text/*")) == []

"""Requests that are carried out once: repeated, at the same time, and across kill -9 at any moment."""

import json
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import httpx
import pytest

from tests.server_process import PASSWORD, USER, MoxProcess
from tests.web.test_webapi_server import webapi

REQUEST: dict[str, Any] = {
    "To": [{"Address": "a@later.example"}, {"Address": "b@later.example"}],
    "Text": "x",
    # So that the queue keeps them, and can be counted.
    "FutureRelease": (datetime.now(UTC) + timedelta(days=30)).isoformat(),
}


def queued(folder: Path) -> list[tuple[int, int, str]]:
    """(id, size of its content, message-id) of what is in the queue."""
    connection = apsw.Connection(str(folder / "queue" / "index.db"))
    try:
        sql = "SELECT id, length(content), message_id FROM queued LEFT JOIN contents USING (file) ORDER BY id"
        return list(connection.execute(sql))
    finally:
        connection.close()


def in_sent(folder: Path) -> int:
    connection = apsw.Connection(str(folder / "accounts" / "mox" / "index.db"))
    try:
        row = connection.execute("SELECT total FROM mailbox WHERE name = 'Sent'").fetchone()
        return int(row[0])
    finally:
        connection.close()


def test_repeated(mox: MoxProcess) -> None:
    request = {**REQUEST, "IdempotencyKey": "order-1", "SaveSent": True}
    answers = [webapi(mox, "Send", request).json() for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert len(queued(mox.folder)) == 2 and in_sent(mox.folder) == 1
    # Another request under the key is a mistake that must not go unnoticed.
    other = webapi(mox, "Send", {**request, "Text": "y"})
    assert other.status_code == 400 and other.json()["Code"] == "idempotencyMismatch"
    # As a header, which other interfaces have too.
    url = f"http://127.0.0.1:{mox.ports['http']}/webapi/v0/Send"
    options: dict[str, Any] = {
        "data": {"request": json.dumps(REQUEST)},
        "auth": (USER, PASSWORD),
        "headers": {"Idempotency-Key": "order-2"},
    }
    assert httpx.post(url, **options).json() == httpx.post(url, **options).json()
    assert len(queued(mox.folder)) == 4
    inside = webapi(mox, "Send", {**REQUEST, "IdempotencyKey": "order-2"})
    assert inside.json() == httpx.post(url, **options).json()
    # Without a key every request counts.
    assert webapi(mox, "Send", REQUEST).json() != webapi(mox, "Send", REQUEST).json()


def test_at_the_same_time(mox: MoxProcess) -> None:
    request = {**REQUEST, "IdempotencyKey": "same"}
    with ThreadPoolExecutor(10) as pool:
        answers = [json.dumps(a.json()) for a in pool.map(lambda _: webapi(mox, "Send", request), range(10))]
    assert len(set(answers)) == 1
    assert len(queued(mox.folder)) == 2


def test_batch(mox: MoxProcess) -> None:
    requests = [
        {**REQUEST, "IdempotencyKey": "b1"},
        {"To": [{"Address": "nonsense"}], "Text": "x"},
        {"To": [{"Address": "c@later.example"}], "Text": "x", "FutureRelease": REQUEST["FutureRelease"]},
    ]
    first, bad, third = webapi(mox, "SendBatch", {"Requests": requests}).json()["Results"]
    assert len(first["Result"]["Submissions"]) == 2 and first["Error"] is None
    assert bad["Result"] is None and bad["Error"]["Code"] == "badAddress"
    assert third["Result"]["MessageID"]
    again = webapi(mox, "SendBatch", {"Requests": requests[:1]}).json()["Results"][0]
    assert again == first
    assert webapi(mox, "SendBatch", {"Requests": []}).json()["Code"] == "user"
    assert webapi(mox, "SendBatch", {"Requests": [REQUEST] * 101}).json()["Code"] == "user"


@pytest.mark.parametrize("seed", range(3))
def test_killed_while_sending(tmp_path: Path, seed: int) -> None:
    """Clients repeat a request until it is answered, while the server is killed again and again."""
    dice = random.Random(seed)
    server = MoxProcess(tmp_path / "mox").start()
    acknowledged: dict[str, Any] = {}
    stop = threading.Event()

    def client(name: int) -> None:
        number = 0
        while not stop.is_set():
            key = f"{name}-{number}"
            request = {**REQUEST, "To": [{"Address": f"k{key}@later.example"}], "IdempotencyKey": key, "SaveSent": True}
            try:
                answer = webapi(server, "Send", request)
            except httpx.HTTPError:
                time.sleep(0.02)
                continue
            assert answer.status_code == 200, answer.text
            acknowledged[key] = answer.json()
            number += 1

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(client, name) for name in range(4)]
        for _ in range(3):
            stop.wait(0.3 + dice.random() / 2)
            server.kill()
            server.start()
        stop.wait(0.2)
        stop.set()
    try:
        for task in running:
            task.result()
        rows = queued(server.folder)
        by_id = {number: message_id for number, _, message_id in rows}
        for answer in acknowledged.values():
            # Nothing that was answered is lost,
            assert by_id[answer["Submissions"][0]["QueueMsgID"]] == answer["MessageID"]
        # nothing was queued twice (a request that was not answered may be there once),
        assert len(acknowledged) <= len(rows) <= len(acknowledged) + 4
        assert len({message_id for _, _, message_id in rows}) == len(rows)
        # every message has its content,
        assert all(size > 100 for _, size, _ in rows)
        # and every answered one its copy, once.
        assert len(acknowledged) <= in_sent(server.folder) <= len(rows)
        assert len(acknowledged) > 3
    finally:
        server.stop()

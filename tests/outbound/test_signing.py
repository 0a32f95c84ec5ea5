"""Keys for signing are read once, by whoever comes first, and again when their file changes."""

import asyncio
from pathlib import Path

from mox.outbound.signing import Signer
from tests.local_config import new_config

MESSAGE = b"From: mox@localhost\r\n\r\nhello\r\n"


async def test_many_at_once(tmp_path: Path) -> None:
    config = new_config(tmp_path / "config")
    signer = Signer(config)
    domain = config.domain("localhost")
    assert domain is not None
    signed = await asyncio.gather(*(signer.sign(domain, MESSAGE) for _ in range(30)))
    assert all(fields.startswith(b"DKIM-Signature:") for fields in signed)
    assert await signer.sign(domain, MESSAGE)

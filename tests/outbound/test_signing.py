"""Keys for signing are read once, by whoever comes first, and again when their file changes."""

import asyncio
from pathlib import Path

from mox.config.localserve import ensure
from mox.outbound.signing import Signer

MESSAGE = b"From: mox@localhost\r\n\r\nhello\r\n"


async def test_many_at_once(tmp_path: Path) -> None:
    config = ensure(tmp_path / "config", "127.0.0.1")
    signer = Signer(config)
    domain = config.domain("localhost")
    assert domain is not None
    signed = await asyncio.gather(*(signer.sign(domain, MESSAGE) for _ in range(30)))
    assert all(fields.startswith(b"DKIM-Signature:") for fields in signed)
    assert await signer.sign(domain, MESSAGE)

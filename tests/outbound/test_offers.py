"""What domains offer of TLS is kept, and not written again and again."""

from pathlib import Path

from mox.net.bus import LocalBus
from mox.outbound.offers import AGAIN_S, Offers
from mox.store import settings
from mox.store.engine import Tx
from mox.store.store import Store


async def test_written_when_it_changes_or_is_old(tmp_path: Path) -> None:
    now = 0.0
    store = Store(tmp_path, LocalBus())
    await store.start()
    account = await store.open("mjl")
    offers = Offers(store, lambda: now)

    async def is_written(starttls: bool, require_tls: bool, domain: str = "a.example") -> bool:
        await account.write(forget)
        await offers.remember("mjl", domain, starttls, require_tls)
        return await account.read(lambda tx: settings.recipient_domain_tls(tx, domain)) is not None

    assert await is_written(True, False)
    assert not await is_written(True, False)
    assert await is_written(True, False, "b.example")
    assert await is_written(True, True)
    assert await is_written(False, False)
    now += AGAIN_S
    assert await is_written(False, False)
    await store.close()


def forget(tx: Tx) -> None:
    tx.run("DELETE FROM recipient_domain_tls")

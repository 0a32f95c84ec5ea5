"""Ticket keys over the bus."""

from mox.net.bus import LocalBus
from mox.server import tickets


async def test_rotation_keeps_old_keys_for_a_week_and_tells() -> None:
    bus, told = LocalBus(), []
    bus.subscribe(tickets.TOPIC, lambda payload: told.append(tickets.decode(payload)))
    rotation = tickets.TicketRotation(bus)
    (first,) = tickets.decode(await bus.call(tickets.SERVICE, b"", 1))
    assert len(first) == tickets.KEY_BYTES
    for _ in range(tickets.KEPT - 1):
        rotation.rotate()
    assert told[-1][-1] == first
    assert len(set(told[-1])) == tickets.KEPT
    rotation.rotate()
    assert first not in told[-1]
    assert tickets.decode(await bus.call(tickets.SERVICE, b"", 1)) == told[-1]

"""Log levels that are changed while the server runs, in every process."""

import msgspec

from mox import log
from mox.net.bus import Bus

TOPIC = "log-level"


def follow(bus: Bus) -> None:
    """Apply changes of `publish` in this process."""
    bus.subscribe(TOPIC, lambda payload: log.set_level(*msgspec.json.decode(payload, type=tuple[str, str])))


def publish(bus: Bus, package: str, level: str) -> None:
    """Set the level of a package; an empty package is for all that have none, an empty level removes that of a package.

    Raises ValueError for an unknown level.
    """
    log.check_level(package, level)
    bus.publish(TOPIC, msgspec.json.encode((package, level)))

"""How much an account takes from one address and the networks around it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from mox.config.model import LimitsSection
from mox.store.reputation import Volume


@dataclass(frozen=True, slots=True)
class VolumeLimits:
    """Each for an address and the two networks around it."""

    minute_messages: Sequence[int]
    day_messages: Sequence[int]
    minute_octets: Sequence[int]
    day_octets: Sequence[int]

    @classmethod
    def configured(cls, limits: LimitsSection) -> "VolumeLimits":
        """Those of mox.conf."""
        return cls(
            limits.DeliveriesPerMinute,
            limits.DeliveriesPerDay,
            limits.DeliveredBytesPerMinute,
            limits.DeliveredBytesPerDay,
        )


def exceeded(volumes: Sequence[Volume], size: int, limits: VolumeLimits) -> str:
    """Which limit a message of `size` bytes would exceed, given what came before; empty for none."""
    for number, volume in enumerate(volumes):
        if volume.minute_messages >= limits.minute_messages[number]:
            return "messages per minute"
        if volume.day_messages >= limits.day_messages[number]:
            return "messages per day"
        if volume.minute_octets + size > limits.minute_octets[number]:
            return "bytes per minute"
        if volume.day_octets + size > limits.day_octets[number]:
            return "bytes per day"
    return ""

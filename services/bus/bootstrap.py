"""Where Kafka is, and who we are to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.errors import KafkaUnreachable

if TYPE_CHECKING:
    from services.bus.security import Servers
    from services.settings import Settings


def bootstrap_of(settings: Settings, user: str) -> Servers:
    """Where Kafka is, for a user of `services.bus.access`: `kafka` if set, else the broker that runs on the data directory.

    Raises:
        KafkaUnreachable: if neither is there.
        SettingError: if the user's password can't be had.
    """
    from services.bus.security import servers

    if settings.kafka:
        return servers(settings, settings.kafka, user)
    from services.bus.embedded.directory import running_broker

    running = running_broker(settings.data)
    if running is None:
        raise KafkaUnreachable(
            f"no Kafka: PUMASI_KAFKA is unset, and no broker runs on the data directory {settings.data.absolute()}",
            hint="Start one with `pumasi up` or `pumasi kafka`, name its directory with --data DIR, or set PUMASI_KAFKA=host:9092.",
        )
    return servers(settings, running.bootstrap, user)

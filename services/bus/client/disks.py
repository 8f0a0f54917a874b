"""How much room brokers have left on their disks, as Kafka itself tells it (DescribeLogDirs, KIP-827): so it is known the same way
wherever Kafka runs.

Only the ender asks, once a minute: Kafka wants the right to describe the cluster, which no service that reads what others send has.
A broker whose disk is full ends, and writes nothing until there is room; what it had is kept.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

from schemas.services import Amiss
from services.bus.security import connection
from services.metrics import DISK, DISK_USABLE, Metrics

log = logging.getLogger("pumasi.bus")

ASKED_EVERY_SECONDS: Final = 60.0
SHORT_BYTES: Final = 10_000_000_000
SHORT_PART: Final = 0.1
"""A disk is short of room with less than both; the alert PumasiDiskFills says the same."""
_TEXT: Final = CompactString("utf-8")
_TAGS: Final = ("tags", TaggedFields)


class _DescribeLogDirsResponse(Response):
    API_KEY = 35
    API_VERSION = 4
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        (
            "results",
            CompactArray(
                ("error_code", Int16),
                ("log_dir", _TEXT),
                (
                    "topics",
                    CompactArray(
                        ("name", _TEXT),
                        (
                            "partitions",
                            CompactArray(
                                ("partition", Int32),
                                ("size", Int64),
                                ("offset_lag", Int64),
                                ("is_future", Boolean),
                                _TAGS,
                            ),
                        ),
                        _TAGS,
                    ),
                ),
                ("total_bytes", Int64),
                ("usable_bytes", Int64),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _DescribeLogDirsRequest(RequestStruct):
    API_KEY = 35
    API_VERSION = 4
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _DescribeLogDirsResponse
    SCHEMA = Schema(("topics", CompactArray(("topic", _TEXT), ("partitions", CompactArray(Int32)), _TAGS)), _TAGS)


class DescribeLogDirs(Request[_DescribeLogDirsRequest]):
    """Asks a broker for its log directories, and for no partition in them."""

    API_KEY = 35

    def build(self, request_struct_class: type[_DescribeLogDirsRequest]) -> _DescribeLogDirsRequest:
        return request_struct_class([], {})


class Disk(NamedTuple):
    """The fullest log directory of a broker: how much its file system holds, and how much may still be written, bytes."""

    total: int
    usable: int

    @property
    def is_short(self) -> bool:
        return self.usable < min(SHORT_BYTES, SHORT_PART * self.total)


async def disks(bootstrap: str) -> dict[int, Disk]:
    """The disk of each broker that tells, by its id.

    Raises:
        KafkaError, OSError, TimeoutError: if a broker can't be asked, or doesn't let us.
    """
    client = AIOKafkaClient(**connection(bootstrap), client_id="pumasi-disks")
    try:
        await client.bootstrap()
        brokers = [broker.nodeId for broker in client.cluster.brokers()]
        told = {broker: list(_told(await client.send(broker, DescribeLogDirs()))) for broker in brokers}
    finally:
        await client.close()
    return {broker: min(of_broker, key=lambda one: one.usable) for broker, of_broker in told.items() if of_broker}


def _told(answer: Any) -> Iterator[Disk]:
    if answer.error_code:
        raise for_code(answer.error_code)
    for code, _directory, _topics, total, usable, _tags in answer.results:
        if not code and total > 0:
            yield Disk(total, usable)


class Disks:
    """What is known of the brokers' disks; also has the metrics of it from here on.

    Args:
        bootstrap: says where Kafka is; may raise KafkaUnreachable.
    """

    def __init__(self, bootstrap: Callable[[], str], metrics: Metrics) -> None:
        self._bootstrap, self._known = bootstrap, dict[int, Disk]()
        metrics.reads(DISK, lambda: {(str(broker),): disk.total for broker, disk in self._known.items()})
        metrics.reads(DISK_USABLE, lambda: {(str(broker),): disk.usable for broker, disk in self._known.items()})

    def amiss(self) -> list[Amiss]:
        """Whether a disk is short of room."""
        return [Amiss(code="disk_fills")] if any(disk.is_short for disk in self._known.values()) else []

    async def watch(self) -> None:
        """Ask, for ever; what can't be asked is not known, and why is told once."""
        told = ""
        while True:
            cause = ""
            try:
                self._known = await disks(self._bootstrap())
            except Exception as error:  # noqa: BLE001  # aiokafka decodes with ValueError; the ender's own work goes on
                self._known, cause = {}, type(error).__name__
            if cause not in ("", told):
                log.warning(
                    "how full the brokers' disks are isn't known: %(cause)s", {"event": "disks_unknown", "cause": cause}
                )
            told = cause
            await asyncio.sleep(ASKED_EVERY_SECONDS)

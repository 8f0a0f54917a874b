"""Batches sent without being copied again and again.

aiokafka encodes a request from the inside out, each part joined to what is around it: a batch of a megabyte is copied eight times
before it reaches the socket. Here a produce request is kept in pieces until the last of what comes before it, its length, is put
there.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.protocol.api import RequestStruct
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.types import Array, Bytes, Int32, Schema

_BEFORE = 2  # what a connection puts before a request: its header, then its length


class Unjoined:
    """Bytes in pieces. Prepending gives more pieces; prepending the last part (the length) gives bytes."""

    def __init__(self, pieces: list[bytes], to_come: int = _BEFORE) -> None:
        self._pieces, self._to_come = pieces, to_come

    def __len__(self) -> int:
        return sum(map(len, self._pieces))

    def __radd__(self, before: bytes) -> Unjoined | bytes:
        pieces = [before, *self._pieces]
        return Unjoined(pieces, self._to_come - 1) if self._to_come > 1 else b"".join(pieces)


def send_unjoined(producer: AIOKafkaProducer) -> None:
    """Let a producer that has not been started send its batches in this way."""
    send = producer.client.send

    async def sent(node: int, request: Any, **options: Any) -> Any:
        if type(request) is ProduceRequest:
            request.__class__ = _Produce
        return await send(node, request, **options)

    producer.client.send = sent  # type: ignore[method-assign,assignment]  # nowhere else are requests seen


# Classes, and no functions bound to what they belong to: a ring would hold a megabyte until the collector looks, which may be never.


class _Produce(ProduceRequest):
    def prepare(self, versions: dict[int, tuple[int, int]]) -> Any:
        struct: RequestStruct = super().prepare(versions)
        struct.__class__ = _unjoined(type(struct))
        return struct


@cache
def _unjoined(kind: type[RequestStruct]) -> type[RequestStruct]:
    """aiokafka's struct of one version of the request, but for how it is encoded."""

    def encode(self: RequestStruct) -> Unjoined:
        return Unjoined(encoded(self.SCHEMA, [self.get_item(name) for name in self.SCHEMA.names]))

    return type(kind.__name__, (kind,), {"encode": encode})


def encoded(kind: Any, value: Any) -> list[bytes]:
    """A value of a schema as aiokafka encodes it, in pieces."""
    if isinstance(kind, Schema):
        return [piece for field, part in zip(kind.fields, value, strict=True) for piece in encoded(field, part)]
    if isinstance(kind, Array) and value is not None:
        return [Int32.encode(len(value)), *(piece for item in value for piece in encoded(kind.array_of, item))]
    if kind is Bytes and value is not None:
        return [Int32.encode(len(value)), value]
    return [kind.encode(value)]

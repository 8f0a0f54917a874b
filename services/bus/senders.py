"""The topic of senders: read whole, and written one sender at a time; by operators' commands, never by a service."""

from __future__ import annotations

import time
from contextlib import aclosing

from faststream.kafka import KafkaBroker, KafkaRouter
from pydantic import ValidationError

from schemas.senders import SENDER_TYPE, Sender
from schemas.times import text_of
from services.bus.app import broker_factory, writes
from services.bus.consume.scan import TopicReader
from services.bus.envelope import SOURCE, Record, command_headers
from services.bus.produce.publisher import Outgoing, publishing
from services.bus.replacing import is_covering
from services.bus.topics import SENDERS
from services.errors import UnreadableRecord


def read_sender(record: Record) -> Sender:
    """The sender that a record describes.

    Raises:
        UnreadableRecord: if it describes none, or its key names another.
    """
    try:
        sender = Sender.model_validate_json(record.value or b"")
    except ValidationError:
        raise UnreadableRecord("no sender of the contract") from None
    if record.key != sender.sender.encode():
        raise UnreadableRecord("key: not the sender")
    return sender


async def senders(bootstrap: str) -> dict[str, Sender]:
    """All senders, revoked ones too, by name.

    Raises:
        KafkaUnreachable, TopicsMismatch, TopicUnreadable: if they can't be read.
        UnreadableRecord: if one of them can't.
    """
    found: dict[str, Sender] = {}
    at: dict[bytes | None, int] = {}
    async with TopicReader(bootstrap) as reader, aclosing(reader.records(SENDERS)) as records:
        async for record in records:
            if is_covering(record, at.get(record.key)):
                continue
            at[record.key] = record.offset
            sender = read_sender(record)
            found[sender.sender] = sender
    return found


async def put_sender(bootstrap: str, sender: Sender) -> None:
    """Let this count for a sender from now on.

    Raises:
        KafkaUnreachable: if it is not known to be written; to do it again is safe.
    """
    headers = command_headers(SENDER_TYPE, sender.sender, f"{SOURCE}/keys", text_of(time.time_ns() // 1000))
    put = Outgoing(SENDERS, 0, sender.sender.encode(), sender.model_dump_json().encode(), headers)
    async with publishing(bootstrap, SENDERS, "pumasi-keys") as publisher:
        await publisher.publish([put])


def describe() -> KafkaBroker:
    """What is written here, for AsyncAPI."""
    router = KafkaRouter()
    writes(
        router,
        "Keys",
        (SENDERS, "Who may send what, only hashes and sealed boxes of their keys; key: the sender", Sender),
    )
    return broker_factory(lambda: "", "pumasi-keys", router)

"""A peer of the bench: Quix Streams with `exactly-once`, which parses each record's JSON and copies the record.

Runs in the environment of the bench's peers; knows nothing of Pumasi. Quix's own JSON is orjson. What was tried and is faster: raw
bytes in and out with one `apply` that parses, rather than its JSON deserializer and serializer; larger batches and a commit a
second rather than five.

Usage: python quix_echo.py BOOTSTRAP SOURCE TARGET GROUP STATE_DIRECTORY
"""

import sys

import orjson
from quixstreams import Application


def parsed(value: bytes) -> bytes:
    """The value as it came, once its JSON is read and has what a command must have."""
    if "fund" not in orjson.loads(value):
        raise ValueError("not a command")
    return value


def main(bootstrap: str, source: str, target: str, group: str, state: str) -> None:
    """Copy until told to stop."""
    app = Application(
        broker_address=bootstrap,
        consumer_group=group,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=1.0,
        auto_create_topics=False,
        state_dir=state,
        loglevel="ERROR",
        consumer_extra_config={"fetch.message.max.bytes": 4 << 20, "queued.min.messages": 200_000},
        producer_extra_config={"linger.ms": 20, "batch.size": 1 << 20, "queue.buffering.max.messages": 1_000_000},
    )
    commands = app.topic(source, value_deserializer="bytes", key_deserializer="bytes")
    copies = app.topic(target, value_serializer="bytes", key_serializer="bytes")
    app.dataframe(commands).apply(parsed).to_topic(copies)
    app.run()


if __name__ == "__main__":
    main(*sys.argv[1:6])

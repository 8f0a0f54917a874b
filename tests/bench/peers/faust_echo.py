"""A peer of the bench: Faust (faust-streaming), an agent that takes messages as they come and sends each on; at least once.

Runs in the environment of the bench's peers; knows nothing of Pumasi. What was tried: raw values and one orjson.loads rather than its
JSON codec; `send_soon` rather than `send`, which falls behind to 50 a second. Its `exactly_once` runs on these versions, as fast, but
writes outside any transaction (no end of one is in the target), so it isn't claimed here.

Usage: python faust_echo.py BOOTSTRAP SOURCE TARGET GROUP DIRECTORY
"""

import sys

import faust
import orjson
from faust import Worker


def main(bootstrap: str, source: str, target: str, group: str, directory: str) -> None:
    """Copy until told to stop."""
    app = faust.App(
        group,
        broker=f"kafka://{bootstrap}",
        datadir=directory,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        autodiscover=False,
        producer_linger=0.02,
        producer_max_batch_size=1 << 20,
        stream_buffer_maxsize=16_384,
        stream_wait_empty=False,
        broker_commit_every=10_000,
        broker_max_poll_records=2_000,
        consumer_auto_offset_reset="earliest",
    )
    commands = app.topic(source, key_type=bytes, value_type=bytes, value_serializer="raw", key_serializer="raw")
    copies = app.topic(target, key_type=bytes, value_type=bytes, value_serializer="raw", key_serializer="raw")

    @app.agent(commands)
    async def copy(stream: faust.Stream) -> None:
        async for event in stream.events():
            if "fund" not in orjson.loads(event.value):
                raise ValueError("not a command")
            await copies.send(key=event.key, value=event.value, headers=event.headers)

    Worker(app, loglevel="ERROR", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main(*sys.argv[1:6])

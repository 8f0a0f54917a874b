"""Kafka's classes, loaded and linked once: a broker then starts in half the time, for half the processor.

    a start without them ─► when all is ready: a process of its own, at the lowest priority, uses a broker as all do, and stops it
                            └─► ENVIRONMENT/kafka-<digest>.aot ─► every start after that

A JVM reads and links some six thousand classes before Kafka answers. Java (>= 25) keeps what one broker has made of them in a file of
75 MB, an AOT cache, and the next ones map it. It lies in the environment, as what is compiled does: who can write there can change the
code, too. Its name is a digest of all that it depends on: Java, the jars, the options; and Java itself passes over a file that doesn't
fit. It appears whole, by a rename, once it is on the disk. All of it can be done without: where the environment can't be written to, or
Java is older, brokers start as slowly as ever, and a file with which Java crashes is removed (`broker`).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from hashlib import blake2b
from pathlib import Path

from services.bus import topics
from services.bus.embedded.config import jvm_options
from services.bus.embedded.guard import die_with
from services.bus.embedded.jars import LOCK
from services.bus.embedded.java import find_java, major
from services.bus.security import connection
from services.errors import PumasiError
from services.secret_files import environment

WITHIN_S = 600.0
"""It takes a quarter of a minute; on half a core, behind all else, a few."""
_OLDEST_JAVA = 25
_DRAFTS = "kafka-made-"
_LAST = 19  # of all priorities: nobody waits for it
_FIRST_TO_GO = 1000  # where memory runs out


def home() -> Path:
    """Where the file lies, or would. Raises JavaMissing."""
    java = find_java()
    release = java.resolve().parent.parent / "release"
    depends_on = (
        LOCK.read_bytes(),
        str(java.resolve()),
        release.read_bytes() if release.exists() else b"",
        jvm_options(Path("/"), 0),
    )
    return Path(sys.prefix) / f"kafka-{blake2b(repr(depends_on).encode(), digest_size=8).hexdigest()}.aot"


def options() -> list[str]:
    """What Java is told, so that it takes the classes from the file; nothing where there is none. Raises JavaMissing."""
    return [f"-XX:AOTCache={home()}", "-Xlog:aot=off"] if home().exists() else []


def make_beside() -> bool:
    """Have another process make the file, unless it is there or can't be made; whether one does. It ends with this one."""
    if home().exists() or not os.access(sys.prefix, os.W_OK) or major(find_java()) < _OLDEST_JAVA:
        return False
    subprocess.Popen(
        [sys.executable, "-P", "-c", f"from {__name__} import apart; apart({os.getpid()})"],
        cwd="/", env=environment(), start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return True


def apart(starter: int) -> None:
    """What the process of its own does: the same as `make`, and everybody else goes first. It dies with its starter, a process id."""
    die_with(starter)
    os.nice(_LAST)
    with contextlib.suppress(OSError):  # Linux: the session counts there, beside others
        Path("/proc/self/autogroup").write_text(str(_LAST))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(_FIRST_TO_GO))
    make()


def make() -> bool:
    """Make the file, unless it is there; whether it is. Whoever makes it holds a file lock, and the next waits for that."""
    with (Path(sys.prefix) / "kafka-classes.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        place = home()
        if place.exists():
            return True
        for left in place.parent.glob(f"{_DRAFTS}*"):
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=_DRAFTS, dir=place.parent, ignore_cleanup_errors=True) as name:
            made = Path(name) / "made.aot"
            try:
                asyncio.run(_use_a_broker(Path(name) / "data", made))
                _put(made, place)
            except (OSError, PumasiError, TimeoutError) as error:
                print(f"Kafka's classes can't be made ready, each broker loads its own: {error}", file=sys.stderr)
                return False
    return True


def drop() -> bool:
    """Remove the file, with which Java crashed; whether there was one."""
    with contextlib.suppress(OSError):
        home().unlink()
        return True
    return False


def _put(made: Path, place: Path) -> None:
    """A power cut must not leave a file there that is named and not written."""
    handle = os.open(made, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    for former in place.parent.glob("kafka-*.aot"):
        former.unlink(missing_ok=True)
    made.replace(place)


async def _use_a_broker(data: Path, made: Path) -> None:
    """Do with a broker what most do, so that it loads what they need; it asks for passwords. As it ends it makes the file."""
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

    from services.bus.embedded.broker import EmbeddedKafka

    broker = EmbeddedKafka(data, 0, passwords=dict)
    broker.classes = [f"-XX:AOTCacheOutput={made}"]
    broker.grace_s = WITHIN_S
    async with asyncio.timeout(WITHIN_S), broker:
        where = connection(broker.itself)
        await topics.ensure(broker.itself)
        async with AIOKafkaProducer(**where, transactional_id="pumasi-made") as producer, producer.transaction():
            await producer.send_and_wait(topics.COMMANDS, b"1", partition=0)
        reads = {"group_id": "pumasi-made", "auto_offset_reset": "earliest", "isolation_level": "read_committed"}
        async with AIOKafkaConsumer(topics.COMMANDS, **where, **reads) as consumer:
            await consumer.getone()
            await consumer.commit()

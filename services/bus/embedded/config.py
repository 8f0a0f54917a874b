"""What the embedded broker is told: one node that is broker and controller (KRaft), loopback only, small.

The values that differ from Kafka's defaults are here, each with its reason; the limits on records come from `services.bus.topics`.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from services.bus.embedded.ports import HOST
from services.bus.topics import MAX_RECORD_BYTES

FETCH_HEADROOM_BYTES = 1 << 20


class Door(NamedTuple):
    """A further listener of the broker, on 127.0.0.1, whose clients are sent elsewhere: to a proxy that leads back to it.

    Attributes:
        name: capital letters and digits, Kafka's name for it.
        port: where the broker listens.
        advertised: the port that clients who came through this door are told to connect to.
    """

    name: str
    port: int
    advertised: int


def server_properties(
    log: Path, port: int, controller_port: int, doors: Sequence[Door] = (), more: Mapping[str, object] | None = None
) -> str:
    """The text of `server.properties`. The ports may differ from start to start; the directory may not. `more` goes before all else."""
    listeners = [f"PLAINTEXT://{HOST}:{port}", f"CONTROLLER://{HOST}:{controller_port}"]
    advertised = [f"PLAINTEXT://{HOST}:{port}", *(f"{door.name}://{HOST}:{door.advertised}" for door in doors)]
    values: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": 1,
        # A static quorum: its addresses stand in no log, so a restart may use other ports.
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": ",".join([*listeners, *(f"{door.name}://{HOST}:{door.port}" for door in doors)]),
        "advertised.listeners": ",".join(advertised),
        "listener.security.protocol.map": ",".join(
            f"{name}:PLAINTEXT" for name in ("PLAINTEXT", "CONTROLLER", *(door.name for door in doors))
        ),
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": log,
        # Topics are made by `pumasi topics`, never by a typing error.
        "auto.create.topics.enable": "false",
        "num.partitions": 4,
        # One node holds the only copy.
        "default.replication.factor": 1,
        "min.insync.replicas": 1,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        # 50 partitions each by default, made on first use and opened at every start.
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.num.partitions": 4,
        # A laptop switched off for a fortnight must not make the notifier tell everything again (default: 7 days).
        "offsets.retention.minutes": 525_600,
        # After a crash the new broker waits until the session of the dead one is over (default: 9 s, told every 2 s).
        "broker.session.timeout.ms": 5_000,
        "broker.heartbeat.interval.ms": 1_000,
        # Nobody else is about to join the group.
        "group.initial.rebalance.delay.ms": 0,
        # As large as the system lets them become (default: 100 KiB), or a batch is handed over piece by piece.
        "socket.receive.buffer.bytes": -1,
        "socket.send.buffer.bytes": -1,
        # Two cores, a dozen clients.
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 2,
        "num.recovery.threads.per.data.dir": 2,
        "num.replica.fetchers": 1,
        "log.cleaner.dedupe.buffer.size": 16 << 20,  # 128 MiB of heap by default
        "message.max.bytes": MAX_RECORD_BYTES,
        "replica.fetch.max.bytes": MAX_RECORD_BYTES + FETCH_HEADROOM_BYTES,
        **(more or {}),
    }
    return "".join(f"{key}={_escaped(value)}\n" for key, value in values.items())


def log4j2_properties(file: Path) -> str:
    """The text of `log4j2.properties`: warnings and milestones to one file of at most 4 × 5 MB."""
    values: dict[str, object] = {
        "status": "error",
        "shutdownHook": "disable",  # or it ends before Kafka's own, and the end of the log is lost
        "name": "pumasi-kafka",
        "appender.file.type": "RollingFile",
        "appender.file.name": "FILE",
        "appender.file.fileName": file,
        "appender.file.filePattern": f"{file}.%i",
        "appender.file.layout.type": "PatternLayout",
        "appender.file.layout.pattern": "%d{yyyy-MM-dd'T'HH:mm:ss.SSSX} %p %c{1}: %m%n",
        "appender.file.policies.type": "Policies",
        "appender.file.policies.size.type": "SizeBasedTriggeringPolicy",
        "appender.file.policies.size.size": "5MB",
        "appender.file.strategy.type": "DefaultRolloverStrategy",
        "appender.file.strategy.max": 3,
        "rootLogger.level": "warn",
        "rootLogger.appenderRef.file.ref": "FILE",
        # Start, recovery and shut-down are worth a line; the echo of 300 settings isn't.
        "logger.server.name": "kafka.server.KafkaRaftServer",
        "logger.server.level": "info",
        "logger.log.name": "kafka.log.LogManager",
        "logger.log.level": "info",
    }
    return "".join(f"{key}={_escaped(value)}\n" for key, value in values.items())


def jvm_options(home: Path, heap_mb: int) -> list[str]:
    """What Java is told: bounded memory, a quick start, no file outside `home`."""
    return [
        f"-Xmx{heap_mb}m",
        "-Xms64m",
        "-XX:+UseSerialGC",  # measured: starts as fast as G1, with fewer threads and less memory
        "-XX:MaxDirectMemorySize=128m",  # a dozen threads, each of which keeps a buffer of the largest size
        f"-Djdk.nio.maxCachedBufferSize={MAX_RECORD_BYTES + (1 << 20)}",
        "-XX:+ExitOnOutOfMemoryError",  # a broker that limps is worse than one that is started again
        "-XX:-UsePerfData",  # no file in the machine's /tmp
        f"-XX:ErrorFile={home / 'jvm-crash.log'}",
        f"-Djava.io.tmpdir={home / 'tmp'}",
        "-Djava.awt.headless=true",
        "-Dlog4j2.disable.jmx=true",
        f"-Dlog4j2.configurationFile={(home / 'log4j2.properties').as_uri()}",
        f"-Dkafka.logs.dir={home}",
    ]


def _escaped(value: object) -> str:
    r"""A value as `java.util.Properties` reads it: `\` doubled, everything outside ASCII as `\uXXXX`."""
    text = str(value).replace("\\", "\\\\").encode("utf-16-be", "surrogatepass")
    units = (int.from_bytes(text[i : i + 2], "big") for i in range(0, len(text), 2))
    return re.sub("^ ", r"\\ ", "".join(chr(u) if 32 <= u < 127 else f"\\u{u:04x}" for u in units))

"""What the embedded broker is told: one node that is broker and controller (KRaft), loopback only, small.

The values that differ from Kafka's defaults are here, each with its reason; the limits on records come from `services.bus.topics`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from services.bus.access import BROKER
from services.bus.embedded.ports import HOST
from services.bus.security import SCRAM, as_properties
from services.bus.topics import MAX_RECORD_BYTES

FETCH_HEADROOM_BYTES = 1 << 20


class Guarded(NamedTuple):
    """What makes a broker ask who connects. Without it everybody is let in.

    The broker speaks to itself and to its controller as a user of its own, whose password lives as long as the process: nothing of it
    is kept, and there is nothing to be renewed.

    Attributes:
        port: of a listener on 127.0.0.1 for that user alone.
        password: of that user.
    """

    port: int
    password: str


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
    log: Path,
    port: int,
    controller_port: int,
    doors: Sequence[Door] = (),
    more: Mapping[str, object] | None = None,
    guarded: Guarded | None = None,
) -> str:
    """The text of `server.properties`. The ports may differ from start to start; the directory may not. `more` goes before all else."""
    ports = {"CLIENTS": port, **{door.name: door.port for door in doors}}
    advertised = {"CLIENTS": port, **{door.name: door.advertised for door in doors}}
    if guarded:
        ports["BROKER"] = advertised["BROKER"] = guarded.port
    ports["CONTROLLER"] = controller_port
    values: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": 1,
        # A static quorum: its addresses stand in no log, so a restart may use other ports.
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": _addresses(ports),
        "advertised.listeners": _addresses(advertised),
        "listener.security.protocol.map": ",".join(
            f"{name}:{'SASL_PLAINTEXT' if guarded else 'PLAINTEXT'}" for name in ports
        ),
        "inter.broker.listener.name": "BROKER" if guarded else "CLIENTS",
        **(_asked_for(guarded, ports) if guarded else {}),
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
        "listener.name.controller.num.network.threads": 1,
        **({"listener.name.broker.num.network.threads": 1} if guarded else {}),
        "num.io.threads": 4,
        "background.threads": 2,
        "group.coordinator.threads": 1,
        "share.coordinator.threads": 1,
        "num.recovery.threads.per.data.dir": 2,
        "num.replica.fetchers": 1,
        "log.cleaner.dedupe.buffer.size": 4 << 20,  # 128 MiB of heap by default
        # Twice a second it would write that nothing happened, so that other controllers see it is there: there are none.
        "metadata.max.idle.interval.ms": 0,
        "message.max.bytes": MAX_RECORD_BYTES,
        "replica.fetch.max.bytes": MAX_RECORD_BYTES + FETCH_HEADROOM_BYTES,
        **(more or {}),
    }
    return as_properties(values)


def _addresses(ports: Mapping[str, int]) -> str:
    return ",".join(f"{name}://{HOST}:{port}" for name, port in ports.items())


def _asked_for(guarded: Guarded, ports: Mapping[str, int]) -> dict[str, object]:
    """A password on every listener, and a right for everything (`services.bus.access`).

    Users prove their password by SCRAM. KRaft's controller can't look users up yet while it starts, so it takes PLAIN, from the broker
    alone; and so does the listener at which the broker speaks to itself.
    """
    plain = (
        f'org.apache.kafka.common.security.plain.PlainLoginModule required username="{BROKER}" '
        f'password="{guarded.password}" user_{BROKER}="{guarded.password}";'
    )
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    told: dict[str, object] = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": f"User:{BROKER}",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "sasl.mechanism.controller.protocol": "PLAIN",
    }
    for name in ports:
        inside = name in ("BROKER", "CONTROLLER")
        mechanism, module = ("PLAIN", plain) if inside else (SCRAM, scram)
        prefix = f"listener.name.{name.lower()}"
        told[f"{prefix}.sasl.enabled.mechanisms"] = mechanism
        told[f"{prefix}.{mechanism.lower()}.sasl.jaas.config"] = module
    return told


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
        # Who was refused what.
        "logger.authorizer.name": "kafka.authorizer.logger",
        "logger.authorizer.level": "info",
    }
    return as_properties(values)


def jvm_options(home: Path, heap_mb: int) -> list[str]:
    """What Java is told: bounded memory, a quick start, no file outside `home`."""
    return [
        f"-Xmx{heap_mb}m",
        # What lives is 30 MiB; the rest is garbage that nobody collects at rest.
        "-Xms48m",
        "-Xmn12m",
        "-XX:MinHeapFreeRatio=10",
        "-XX:MaxHeapFreeRatio=30",
        # The light compiler alone: the other takes memory for itself and for its code, and works for minutes after each start.
        "-XX:TieredStopAtLevel=1",
        # At rest little is called often. By Java's own measure it would be interpreted for minutes, at several times the cost.
        "-XX:CompileThresholdScaling=0.1",
        "-XX:+IgnoreUnrecognizedVMOptions",  # an older Java knows nothing of the next two
        "-XX:TrimNativeHeapInterval=30000",  # milliseconds: what is free goes back to the system
        "-XX:+UseCompactObjectHeaders",
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

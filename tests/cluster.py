"""Three brokers, or as many as one likes: embedded ones that are one cluster, as an operator would run it and nobody has to.

    member 1 ◄─TLS, PLAIN─► member 2 ◄─TLS, PLAIN─► member 3      each broker and controller, in a directory of its own
       ▲                                                          every partition has three copies, two of which must have a write
       └── TLS, SCRAM ── services, each as its own user, by its own password, with the rights of the table

What makes an embedded broker a member is told to it by settings (`EmbeddedKafka.more`), so all else about its life is the same. Users,
rights and topics are made by the commands that an operator types. The certificate's authority lives as long as this object.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import ssl
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import trustme
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from cryptography.hazmat.primitives import serialization as form

from services import keys
from services.bus import access
from services.bus.embedded import Door, EmbeddedKafka, Watcher
from services.bus.embedded.config import Guarded
from services.bus.embedded.directory import MARK, claim, make_private, write_atomically
from services.bus.embedded.ports import HOST, free_port
from services.bus.security import SCRAM, Servers, connection, servers
from services.errors import PumasiError
from services.settings import Settings, load

HEAP_MB = 256
SESSION_S = 5.0
"""After so long without a sign of life the others go on without a broker (`broker.session.timeout.ms`)."""
_LOOK_EVERY_S = 0.1
_ANSWER_S = 10.0


class CommandFailed(PumasiError):
    """A command that sets the cluster up ended with an error."""

    code = "cluster_failed"


class Member(EmbeddedKafka):
    """One broker of a cluster. Its users come by `pumasi access --apply`, so it lets in nobody by itself."""

    def __init__(self, cluster: Cluster, number: int, doors: Sequence[Door], watcher: Watcher | None) -> None:
        more = cluster.properties(number, [door.name for door in doors])
        users: Mapping[str, str] = {}
        super().__init__(
            cluster.home / f"kafka-{number}", 0, heap_mb=HEAP_MB, watcher=watcher, doors=doors, more=more,
            passwords=lambda: users,
        )  # fmt: skip
        self.number, self._of = number, cluster
        password = keys.kafka_password(cluster.settings, access.BROKER)
        self.at_format = ("--add-scram", f"{SCRAM}=[name={access.BROKER},password={password}]")

    def _inside(self) -> tuple[int, Guarded | None]:
        return self._of.controllers[self.number], Guarded(free_port(), self._of.password)

    def _java(self, *arguments: str) -> list[str]:
        """Three of them on a machine for one would compile for minutes."""
        java, *options = super()._java(*arguments)
        return [java, "-XX:TieredStopAtLevel=1", *options]

    def _spawn(self, port: int) -> None:
        super()._spawn(port)
        self.itself = self._of.servers(access.BROKER, self.bootstrap)

    async def _let_in(self) -> None: ...


class Cluster:
    """Brokers on this machine, each with a directory in `home`; a second object on the same home goes on where the first ended.

    Args:
        home: for all that is kept; its own directory.
        settings: whose `keys` and `data` services are given; passwords are made where they lack.
        brokers: how many.
        watcher: sees the first one start.
    """

    def __init__(self, home: Path, settings: Settings, brokers: int = 3, *, watcher: Watcher | None = None) -> None:
        self.home = home.absolute()
        self._numbers = range(1, brokers + 1)
        make_private(self.home)
        self.ca_file, self._shown_file = self.home / "ca.pem", self.home / "broker.pem"
        self.authority = trustme.CA()
        self._write_certificate()
        # A copy of the settings that is made by validation: `kafka` may be anything by now, and each call names another.
        self.settings = load(
            data=settings.data, keys=keys.directory(settings), open=False, kafka_security="scram", kafka_ca_file=self.ca_file
        )  # fmt: skip
        keys.make_passwords(self.settings, (*access.USERS, access.BROKER))
        self.password = secrets.token_urlsafe(32)
        """By which brokers and controllers know one another, as long as this object lives."""
        self.controllers = {number: free_port() for number in self._numbers}
        self._watcher = watcher
        self.members: list[Member] = []

    # ---- its life

    async def start(self, partitions: int | None = 4, doors: Sequence[Sequence[Door]] = ()) -> None:
        """Bring all up, give users their passwords and rights; make so many partitions of each topic, if told, in `copies`.

        `doors` are further listeners, of each broker.

        Raises:
            BrokerError, CommandFailed: nothing runs then.
        """
        self.members = [
            Member(self, number, these, self._watcher if number == 1 else None)
            for number, these in zip(self._numbers, doors or [()] * len(self._numbers), strict=True)
        ]
        one = claim(self.members[0].data)
        for member in self.members[1:]:
            make_private(member.data)
            if not (member.data / MARK).exists():
                write_atomically(member.data / MARK, {"pumasi": 1, "cluster": one}, exclusive=True)
        try:
            async with asyncio.TaskGroup() as starting:  # none answers alone: two of three make a quorum
                for member in self.members:
                    starting.create_task(member.start())
            await self.pumasi("access", "--apply")
            if partitions is not None:
                await self.pumasi("topics", "--apply", "--partitions", str(partitions))
        except BaseException as error:
            await self.kill()
            raise error.exceptions[0] from None if isinstance(error, BaseExceptionGroup) else error

    async def stop(self) -> None:
        """End all, side by side. Safe to repeat."""
        await asyncio.gather(*(member.stop() for member in self.members))

    async def kill(self) -> None:
        """kill -9 of all."""
        await asyncio.gather(*(member.kill() for member in self.members), return_exceptions=True)

    # ---- what is asked of it

    @property
    def copies(self) -> int:
        """How many copies each partition has."""
        return min(3, len(self._numbers))

    @property
    def bootstrap(self) -> str:
        """Where all of them answer, as text."""
        return ",".join(member.bootstrap for member in self.members)

    @property
    def environment(self) -> dict[str, str]:
        """What a process is told, so that it comes as its own user."""
        return {
            "PUMASI_KAFKA": self.bootstrap, "PUMASI_KAFKA_SECURITY": "scram", "PUMASI_OPEN": "0",
            "PUMASI_KAFKA_CA_FILE": str(self.ca_file), "PUMASI_KEYS": str(keys.directory(self.settings)),
            "PUMASI_DATA": str(self.settings.data), "PUMASI_REPLICATION": str(self.copies),
        }  # fmt: skip

    def servers(self, user: str = access.BROKER, bootstrap: str = "") -> Servers:
        """Where and how a user connects; `pumasi-broker` may do everything."""
        return servers(self.settings, bootstrap or self.bootstrap, user)

    def contexts(self) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        """What whoever stands between a service and a broker shows to the one, and whom it trusts to be the other."""
        shown = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        shown.load_cert_chain(self._shown_file)
        return shown, ssl.create_default_context(cafile=self.ca_file)

    async def pumasi(self, *arguments: str) -> str:
        """What a `pumasi` command says. Raises CommandFailed if it ends with another status than 0."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "services.cli", *arguments, env={**os.environ, **self.environment},
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, complaint = await process.communicate()
        if process.returncode:
            raise CommandFailed(f"pumasi {' '.join(arguments)}: {(complaint or said).decode(errors='replace').strip()}")
        return said.decode()

    def leading(self) -> Member | None:
        """The broker whose controller leads, as the newest of their own notes says; None if none does."""
        notes = [
            json.loads(path.read_text())
            for member in self.members
            if (path := member.home / "log" / "__cluster_metadata-0" / "quorum-state").exists()
        ]
        newest: Mapping[str, Any] = max(notes, key=lambda note: note["leaderEpoch"], default={})
        return next((member for member in self.members if member.number == newest.get("leaderId")), None)

    async def behind(self) -> list[str]:
        """The partitions that lack a copy in step, each as `topic-number`; what can't be asked counts as one."""
        admin = AIOKafkaAdminClient(
            **connection(self.servers()) | {"request_timeout_ms": 5_000}, client_id="pumasi-tests"
        )
        try:
            async with asyncio.timeout(_ANSWER_S):
                await admin.start()
                return [
                    f"{topic['topic']}-{one['partition']}"
                    for topic in await admin.describe_topics()
                    for one in topic["partitions"]
                    if len(one["isr"]) < len(one["replicas"])
                ]
        except (KafkaError, OSError, TimeoutError) as error:
            return [f"nobody answers ({type(error).__name__})"]
        finally:
            await admin.close()

    async def until_in_step(self) -> None:
        """Wait until every partition has all its copies, and every broker answers."""
        while not all(member.running for member in self.members) or await self.behind():
            await asyncio.sleep(_LOOK_EVERY_S)

    # ---- what brokers are told

    def properties(self, number: int, doors: Iterable[str]) -> dict[str, object]:
        """What makes an embedded broker member `number` of this cluster."""
        in_copies = ("default", "offsets.topic", "transaction.state.log", "share.coordinator.state.topic")
        must_have = ("min.insync.replicas", "transaction.state.log.min.isr", "share.coordinator.state.topic.min.isr")
        return {
            "node.id": number,
            "controller.quorum.voters": ",".join(f"{one}@{HOST}:{port}" for one, port in self.controllers.items()),
            "listener.security.protocol.map": ",".join(
                f"{name}:SASL_SSL" for name in ("CLIENTS", *doors, "BROKER", "CONTROLLER")
            ),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self._shown_file,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.ca_file,
            "broker.session.timeout.ms": int(SESSION_S * 1000),
            **dict.fromkeys((f"{topic}.replication.factor" for topic in in_copies), self.copies),
            **dict.fromkeys(must_have, max(1, self.copies - 1)),
        }

    def _write_certificate(self) -> None:
        shown = self.authority.issue_cert(HOST)
        key = form.load_pem_private_key(shown.private_key_pem.bytes(), None)
        pkcs8 = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())  # as Kafka reads it
        chain = (blob.bytes() for blob in shown.cert_chain_pems)
        for path, parts in ((self.ca_file, [self.authority.cert_pem.bytes()]), (self._shown_file, [pkcs8, *chain])):
            path.touch(0o600)
            path.write_bytes(b"".join(parts))

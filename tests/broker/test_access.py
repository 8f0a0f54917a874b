"""Who may do what, asked of the real broker: each user tries each thing, and may what the table says and nothing else."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.admin import (
    AlterConfigsRequest,
    CreateTopicsRequest,
    DeleteRecordsRequest,
    DescribeAclsRequest,
    DescribeConfigsRequest,
    DescribeGroupsRequest,
)
from aiokafka.protocol.api import Request
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import HeartbeatRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import EndTxnRequest, InitProducerIdRequest
from aiokafka.protocol.types import Array, Schema
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from services import keys
from services.bus import access, fingerprints, topics
from services.bus.access import GRANTS, USERS, Kind, Right
from services.bus.client import disks
from services.bus.client.disks import DescribeLogDirs, Disks
from services.bus.client.ending import Asked, Left, end
from services.bus.client.record_batch import row
from services.bus.client.requests import AlterScram, DescribeProducers, DescribeTransactions, WriteTxnMarkers
from services.bus.consume.scan import TopicReader
from services.bus.embedded import EmbeddedKafka
from services.bus.embedded.directory import running_broker
from services.bus.produce.transaction import FencedWriter
from services.bus.security import Security, Servers, connection, servers
from services.errors import KafkaUnreachable, KeyMissing, KeyOther
from services.matcher.ledger.journal import Journal
from services.metrics import Metrics
from services.settings import Settings, load
from services.system.sender_users import passwords
from services.system.whole import ensure_keys, where_of
from tests.broker.test_hanging import PLACE, leave_open

pytestmark = pytest.mark.broker

TOPICS = tuple(topic.name for topic in topics.wanted_topics())
GROUPS = ("pumasi-intake", "pumasi-matcher", "pumasi-notifier", "console-consumer-7", "somebody-elses")
WRITERS = ("pumasi-intake-letters-0", "pumasi-matcher-0", "pumasi-replay-0", "pumasi-notifier-0", "somebody-elses")
REFUSED = {29, 30, 31, 53}
"""Kafka's codes: no right to the topic, the group, the cluster, the transactional id."""
NOBODY_ID = 1 << 40
"""A producer's id that Kafka has given to nobody."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[EmbeddedKafka, Settings]]:
    """A broker that asks for passwords, with its topics, and the settings of whoever runs it."""
    settings = load(data=tmp_path_factory.mktemp("guarded") / "data", open=False).model_copy(update={"keys": None})
    keys.make_passwords(settings, USERS)
    async with EmbeddedKafka(settings.data, 0, passwords=partial(passwords, settings)) as broker:
        await topics.ensure(servers(settings, broker.bootstrap, access.ADMIN))
        yield broker, settings


def batch() -> bytes:
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 16)
    builder.append(0, 1_700_000_000_000, b"k", b"v", [])
    return bytes(builder.build())


def tried() -> Iterator[tuple[Right, Kind, str, Request[Any]]]:
    """Everything that is tried: a right, over what, and a request for which Kafka asks for it."""
    for topic in TOPICS:
        place = TopicPartition(topic, 0)
        for right, request in (
            (Right.READ, FetchRequest(0, 0, 1 << 20, 0, [(topic, [(0, 0, 1 << 20)])])),
            (Right.READ, DescribeProducers([place])),
            (Right.WRITE, ProduceRequest(None, 1, 5000, [(topic, [(0, batch())])])),
            (Right.DESCRIBE, OffsetRequest(-1, 0, [(topic, [(0, -1)])])),
            (Right.DESCRIBE_CONFIGS, DescribeConfigsRequest([(2, topic, None)])),
            (Right.ALTER_CONFIGS, AlterConfigsRequest([(2, topic, [("retention.ms", "1")])], True)),
            (Right.DELETE, DeleteRecordsRequest([(topic, [(0, 0)])], 5000)),
        ):
            yield right, Kind.TOPIC, topic, request
    for topic in ("pumasi.next.v1", "somebody-elses"):
        yield Right.CREATE, Kind.TOPIC, topic, CreateTopicsRequest([(topic, 1, 1, [], [])], 5000, True)
    for group in GROUPS:
        yield Right.READ, Kind.GROUP, group, HeartbeatRequest(group, 1, "nobody")
        yield Right.DESCRIBE, Kind.GROUP, group, DescribeGroupsRequest([group])
    for name in WRITERS:
        yield Right.DESCRIBE, Kind.TRANSACTIONAL_ID, name, DescribeTransactions(name)
        yield Right.WRITE, Kind.TRANSACTIONAL_ID, name, EndTxnRequest(name, NOBODY_ID, 0, True)
        yield Right.WRITE, Kind.TRANSACTIONAL_ID, name, InitProducerIdRequest(name, 10_000)
    for right, request in (
        (Right.CLUSTER_ACTION, WriteTxnMarkers(NOBODY_ID, 0, False, [(TopicPartition(topics.LEDGER, 0), 0)])),
        (Right.ALTER, AlterScram({access.MATCHER: (b"salt", b"password" * 8)}, 4096)),
        (Right.DESCRIBE, DescribeAclsRequest(1, None, 1, None, None, 1, 1)),  # type: ignore[arg-type]
        (Right.DESCRIBE, DescribeLogDirs()),
    ):
        yield right, Kind.CLUSTER, "kafka-cluster", request


def may(user: str, right: Right, kind: Kind, name: str) -> bool:
    """What the table says; who may read or write may also ask."""
    enough = {Right.DESCRIBE: {Right.DESCRIBE, Right.READ, Right.WRITE}}.get(right, {right})
    return any(
        grant.user == user
        and grant.right in enough
        and grant.kind is kind
        and (name.startswith(grant.name) if grant.prefixed else name == grant.name)
        for grant in GRANTS
    )


def codes_in(kind: Any, value: Any) -> Iterator[int]:
    """Every error code in a part of an answer, by its schema."""
    if isinstance(kind, Schema):
        for name, inner, part in zip(kind.names, kind.fields, value, strict=True):
            if name.endswith("error_code"):
                yield part
            yield from codes_in(inner, part)
    elif isinstance(kind, Array):
        for part in value or ():
            yield from codes_in(kind.array_of, part)


def refused(answer: Any) -> bool:
    schema = answer.SCHEMA
    return bool(REFUSED.intersection(codes_in(schema, [answer.get_item(name) for name in schema.names])))


async def client_of(bootstrap: str) -> AIOKafkaClient:
    client = AIOKafkaClient(**connection(bootstrap))
    await client.bootstrap()
    return client


@pytest.mark.parametrize("user", USERS)
async def test_each_user_may_what_the_table_says_and_nothing_else(
    guarded: tuple[EmbeddedKafka, Settings], user: str
) -> None:
    broker, settings = guarded
    client = await client_of(servers(settings, broker.bootstrap, user))
    wrong, allowed = [], 0
    try:
        for right, kind, name, request in tried():
            answer = await client.send(client.get_random_node(), request)
            lets = not refused(answer)
            allowed += lets
            if lets != may(user, right, kind, name):
                wrong.append(
                    f"{right.name} {kind.name} {name}: {'may' if lets else 'may not'} ({type(request).__name__})"
                )
    finally:
        await client.close()
    assert not wrong
    assert allowed, "a user who may nothing is none"


def who(right: Right, kind: Kind, name: str) -> set[str]:
    return {user for user in USERS if may(user, right, kind, name)}


def test_the_table_says_what_was_promised() -> None:
    writes = lambda name: who(Right.WRITE, Kind.TOPIC, name)  # noqa: E731
    assert writes(topics.LEDGER) == writes(topics.CHECKPOINTS) == {access.MATCHER}
    assert writes(topics.COMMANDS) == {access.INTAKE, access.REPLAY}
    assert writes(topics.CONTACTS) == {access.INTAKE, access.KEYS, access.NOTIFIER}  # sealed anew; forgotten
    assert writes(topics.NOTICES) == {access.NOTIFIER}
    assert {grant.name for grant in GRANTS if grant.user == access.REPORTER} == {topics.COMMANDS, topics.LEDGER}
    assert not any(grant.right is Right.WRITE for grant in GRANTS if grant.user == access.REPORTER)
    assert who(Right.READ, Kind.TOPIC, topics.CONTACTS) == {access.INTAKE, access.KEYS, access.NOTIFIER}  # sealed
    assert who(Right.CLUSTER_ACTION, Kind.CLUSTER, "kafka-cluster") == {access.ENDER}
    assert not {grant for grant in GRANTS if grant.user == access.OPERATOR and grant.right not in
                (Right.READ, Right.DESCRIBE, Right.DESCRIBE_CONFIGS)}  # fmt: skip
    assert {user for user in USERS if may(user, Right.WRITE, Kind.TRANSACTIONAL_ID, "pumasi-matcher-0")} == {
        access.MATCHER
    }


@pytest.mark.parametrize(
    "security",
    [
        Security(),
        Security("SASL_PLAINTEXT", access.MATCHER, "wrong"),
        Security("SASL_PLAINTEXT", access.BROKER, "wrong"),
        Security("SASL_PLAINTEXT", access.BROKER, "wrong", "PLAIN"),
    ],
    ids=["nobody", "a wrong password", "as the broker", "as the broker, in the clear"],
)
async def test_who_has_no_password_gets_nothing_on_any_listener(
    guarded: tuple[EmbeddedKafka, Settings], security: Security
) -> None:
    broker, _ = guarded
    properties = (broker.home / "server.properties").read_text()
    listeners = next(line for line in properties.splitlines() if line.startswith("listeners="))
    ports = [one.rpartition(":")[2] for one in listeners.split(",")]
    assert len(ports) == 3  # clients, the broker itself, its controller
    for port in ports:
        client = AIOKafkaClient(**connection(Servers(f"127.0.0.1:{port}", security)) | {"request_timeout_ms": 5000})
        with pytest.raises(KafkaConnectionError):
            await client.bootstrap()
        await client.close()
    with pytest.raises(KafkaUnreachable):
        async with TopicReader(Servers(broker.bootstrap, security)) as reader:
            await reader.extents(topics.LEDGER)


async def test_another_user_of_the_machine_can_read_no_data_no_key_and_no_log(
    guarded: tuple[EmbeddedKafka, Settings],
) -> None:
    broker, settings = guarded
    for directory in (broker.data, broker.home, keys.directory(settings)):
        assert directory.stat().st_mode & 0o077 == 0, directory
    assert all(path.stat().st_mode & 0o077 == 0 for path in keys.directory(settings).iterdir())
    assert (broker.home / "server.properties").stat().st_mode & 0o077 == 0
    secrets = set(keys.passwords(settings, USERS).values())
    for process in (broker.pid, os.getppid()):
        told = Path(f"/proc/{process}/environ").read_bytes() + Path(f"/proc/{process}/cmdline").read_bytes()
        assert not [secret for secret in secrets if secret.encode() in told]
    assert b"PUMASI_" not in Path(f"/proc/{broker.pid}/environ").read_bytes()


async def test_a_start_brings_passwords_and_rights_to_what_they_should_be(
    new_kafka: Callable[..., EmbeddedKafka],
) -> None:
    """Also on a directory that was open before, and open again afterwards."""
    first = new_kafka()
    await first.start()
    await topics.ensure(first.bootstrap)
    await first.stop()
    for password in ("former", "new"):
        broker = new_kafka()
        broker.passwords = partial(dict.fromkeys, USERS, password)
        await broker.start()
        async with TopicReader(
            Servers(broker.bootstrap, Security("SASL_PLAINTEXT", access.MATCHER, password))
        ) as reader:
            assert await reader.extents(topics.LEDGER)
        await broker.stop()
    again = new_kafka()
    await again.start()
    async with TopicReader(again.bootstrap) as reader:
        assert await reader.extents(topics.LEDGER)


async def test_clients_ride_out_a_broker_that_dies(guarded: tuple[EmbeddedKafka, Settings]) -> None:
    broker, settings = guarded
    os.kill(broker.pid, 9)
    while broker.running:
        await asyncio.sleep(0.02)
    await broker.restart()
    async with TopicReader(servers(settings, broker.bootstrap, access.OPERATOR)) as reader:
        assert await reader.extents(topics.LEDGER)


async def test_keys_are_held_against_those_in_use(guarded: tuple[EmbeddedKafka, Settings]) -> None:
    """None is made in place of one that is in use, and whoever has another doesn't start."""
    broker, settings = guarded
    bootstrap = servers(settings, broker.bootstrap, access.KEYS)
    said: list[str] = []
    await ensure_keys(broker.bootstrap, settings, said.append)
    assert await fingerprints.known(bootstrap) == keys.fingerprints(settings)
    assert [line.count("notifier.key") for line in said] == [1]
    await ensure_keys(broker.bootstrap, settings, said.append)
    assert len(said) == 1
    lost = (keys.directory(settings) / "notifier.key").rename(settings.data / "kept-elsewhere")
    with pytest.raises(KeyMissing, match=r"in use .* aren't here: notifier\.key") as missing:
        await ensure_keys(broker.bootstrap, settings, said.append)
    assert "pumasi keys make --lost" in missing.value.hint
    pseudonym = keys.directory(settings) / "pseudonym.key"
    pseudonym.unlink()
    with pytest.raises(KeyMissing, match=r"pseudonym\.key"):
        await ensure_keys(broker.bootstrap, settings, said.append)
    keys.make(settings)
    lost.rename(keys.directory(settings) / "notifier.key")
    with pytest.raises(KeyOther, match="pseudonym is"):
        await fingerprints.hold(bootstrap, "intake", keys.fingerprints(settings))
    # Told by word of hand that the former is lost for good, all go on with the new one.
    await fingerprints.tell(bootstrap, "keys", keys.fingerprints(settings))
    await fingerprints.hold(servers(settings, broker.bootstrap, access.INTAKE), "intake", keys.fingerprints(settings))


async def test_keys_make_asks_kafka_first(
    guarded: tuple[EmbeddedKafka, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    broker, settings = guarded
    for name, value in where_of(settings, broker.bootstrap).items():
        monkeypatch.setenv(name, value)
    await ensure_keys(broker.bootstrap, settings, lambda _line: None)
    former = keys.fingerprints(settings)
    (keys.directory(settings) / "intake.key").unlink()

    async def make(*options: str) -> tuple[int, dict[str, Any]]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "services.cli", "keys", "make", "--json", *options,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, complaint = await process.communicate()
        return process.returncode or 0, json.loads(said or complaint)

    status, told = await make()
    assert (status, told["code"]) == (2, "key_missing")
    status, told = await make("--lost", "--yes")
    assert (status, told["made"]) == (0, ["intake.key", "intake.pub"])
    now = await fingerprints.known(servers(settings, broker.bootstrap, access.KEYS))
    assert now == keys.fingerprints(settings) != former
    assert await make() == (0, {"keys": str(keys.directory(settings)), "made": []})


async def test_a_lost_key_is_made_anew_by_one_command_where_no_broker_runs(tmp_path: Path, guarded_kafka: None) -> None:
    settings = load(data=tmp_path / "data")
    keys.make_passwords(settings, USERS)
    async with EmbeddedKafka(settings.data, 0, passwords=partial(passwords, settings)) as broker:
        await topics.ensure(servers(settings, broker.bootstrap, access.ADMIN))
        await ensure_keys(broker.bootstrap, settings, lambda _line: None)
    (keys.directory(settings) / "intake.key").unlink()

    async def make(*options: str) -> dict[str, Any]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "services.cli", "keys", "make", "--json", "--data", str(settings.data), *options,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, complaint = await process.communicate()
        return json.loads(said or complaint.splitlines()[-1])

    assert (await make())["code"] == "key_missing"
    assert (await make("--lost", "--yes"))["made"] == ["intake.key", "intake.pub"]
    assert running_broker(settings.data) is None
    async with EmbeddedKafka(settings.data, 0, passwords=partial(passwords, settings)) as broker:
        await ensure_keys(broker.bootstrap, settings, lambda _line: None)


@pytest.mark.parametrize("commits", [True, False])
async def test_what_kafka_left_open_is_ended_by_the_ender_for_who_may_not(
    guarded: tuple[EmbeddedKafka, Settings], commits: bool
) -> None:
    broker, settings = guarded
    admin = AIOKafkaAdminClient(**connection(broker.itself))
    await admin.start()
    unasked = {"transaction.partition.verification.enable": "false"}
    await admin.alter_configs([ConfigResource(ConfigResourceType.BROKER, "1", unasked)])
    await admin.close()
    matcher = servers(settings, broker.bootstrap, access.MATCHER)
    dead, heir = Journal(matcher, PLACE), Journal(matcher, PLACE)
    await dead.fence()
    for value in (b"1", b"2"):
        async with dead.transaction() as transaction:
            await transaction.append(topics.LEDGER, [[row(None, value)]])
    while not await dead.settle():
        await asyncio.sleep(0.01)
    before = [value async for values in dead.read_back() for value in values]
    await leave_open(dead._writer._producer, topics.LEDGER, b"3")
    manager = dead._writer._producer._txn_manager
    if not commits:  # as if Kafka had shut the dead one out in the middle
        heir._writer._leftovers._decided[manager.producer_id, manager.producer_epoch + 1] = False
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "services.cli", "ender", "--json",
        env={**os.environ, **where_of(settings, broker.bootstrap)}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert json.loads(await process.stdout.readline()) == {"ready": "ender"}
        await heir.fence()
        async with TopicReader(matcher) as reader:
            assert (await reader.extents(topics.LEDGER))[PLACE].end == await reader.high_watermark(topics.LEDGER, PLACE)
        assert [value async for values in heir.read_back() for value in values] == [*before, *[b"3"] * commits]
    finally:
        process.terminate()
        _, said = await process.communicate()
        await heir.close()
        await dead.close()
    assert ("committed" if commits else "aborted") in said.decode()
    assert process.returncode == 0


async def test_the_ender_knows_how_full_the_brokers_disks_are(
    guarded: tuple[EmbeddedKafka, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    broker, settings = guarded
    metrics = Metrics("ender")
    told = Disks(lambda: servers(settings, broker.bootstrap, access.ENDER), metrics)
    monkeypatch.setattr(disks, "ASKED_EVERY_SECONDS", 0.01)
    watching = asyncio.create_task(told.watch())

    def measured() -> list[float]:
        lines = metrics.text().decode().splitlines()
        return [float(line.split()[1]) for line in lines if line.startswith("pumasi_kafka_disk_")]

    try:
        async with asyncio.timeout(30):
            while not measured():
                await asyncio.sleep(0.01)
        room = shutil.disk_usage(settings.data)
        total, usable = measured()
        assert total == room.total
        assert abs(usable - room.free) < room.total / 20
        monkeypatch.setattr(disks, "SHORT_BYTES", 0)
        assert told.amiss() == []
        monkeypatch.setattr(disks, "SHORT_BYTES", room.total)
        monkeypatch.setattr(disks, "SHORT_PART", 1.0)
        assert [one.code for one in told.amiss()] == ["disk_fills"]
    finally:
        watching.cancel()


async def test_the_ender_believes_nobody(guarded: tuple[EmbeddedKafka, Settings]) -> None:
    """What is under way, or was written by somebody else, is not ended whoever asks."""
    broker, settings = guarded
    ender = servers(settings, broker.bootstrap, access.ENDER)
    writer = FencedWriter(servers(settings, broker.bootstrap, access.REPLAY), "pumasi-replay-0")
    await writer.fence()
    async with writer.transaction() as transaction:
        [begin] = await transaction.append(topics.COMMANDS, 0, [(b"k", b"v", [])])
        manager = writer._producer._txn_manager
        left = (Left(topics.COMMANDS, 0, 0, begin),)
        for epoch in (manager.producer_epoch, manager.producer_epoch + 1):
            for name in ("pumasi-replay-0", "pumasi-matcher-0"):
                assert await end(ender, Asked(name, manager.producer_id, epoch, False, left)) == []
    async with TopicReader(servers(settings, broker.bootstrap, access.OPERATOR)) as reader:
        values = [record.value async for record in reader.records(topics.COMMANDS, {0})]
    assert values[-1] == b"v"
    await writer.close()

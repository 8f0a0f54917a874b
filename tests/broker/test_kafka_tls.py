"""Kafka's clients over TLS on a real broker: each kind of them, by `tls`, `scram` and `mtls`; and what is amiss is told."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
import trustme
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from cryptography.hazmat.primitives import serialization as form
from faststream.kafka import KafkaRouter

from services import keys
from services.bus import access, topics
from services.bus.access import USERS
from services.bus.app import broker_factory
from services.bus.bootstrap import bootstrap_of
from services.bus.client.requests import DescribeProducers
from services.bus.consume.scan import Extent, TopicReader
from services.bus.embedded import EmbeddedKafka
from services.bus.embedded.config import Door
from services.bus.embedded.ports import free_port
from services.bus.produce.publisher import Outgoing, Publisher
from services.bus.produce.transaction import FencedWriter
from services.bus.security import connection, servers
from services.errors import PumasiError
from services.settings import Settings, load
from services.system.sender_users import passwords
from tests.broker.test_access import refused

pytestmark = pytest.mark.broker
HERE = "127.0.0.1"


class World(NamedTuple):
    """A broker with a listener for each way, and what its clients need."""

    broker: EmbeddedKafka
    settings: Settings
    files: Path
    ports: dict[str, int]


def write(path: Path, *pems: bytes) -> Path:
    path.touch(0o600)
    path.write_bytes(b"".join(pems))
    return path


def pkcs8(blob: trustme.Blob) -> bytes:
    """As Kafka reads a key."""
    key = form.load_pem_private_key(blob.bytes(), None)
    return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    home = tmp_path_factory.mktemp("tls")
    authority, others = trustme.CA(), trustme.CA()
    shown = authority.issue_cert(HERE)
    ca = write(home / "ca.pem", authority.cert_pem.bytes())
    write(home / "other-ca.pem", others.cert_pem.bytes())
    pair = write(home / "broker.pem", pkcs8(shown.private_key_pem), *(blob.bytes() for blob in shown.cert_chain_pems))
    for name, signer in (("mine", authority), ("foreign", others)):
        mine = signer.issue_cert(access.MATCHER, common_name=access.MATCHER)
        write(home / f"{name}.pem", *(blob.bytes() for blob in mine.cert_chain_pems))
        write(home / f"{name}-key.pem", mine.private_key_pem.bytes())
    settings = load(data=home / "data", open=False).model_copy(update={"keys": None})
    keys.make_passwords(settings, USERS)
    ports = {"TLS": free_port(), "SCRAM": free_port(), "MTLS": free_port()}
    protocols = {"TLS": "SSL", "SCRAM": "SASL_SSL", "MTLS": "SSL"}
    known = {**dict.fromkeys(("CLIENTS", "BROKER", "CONTROLLER"), "SASL_PLAINTEXT"), **protocols}
    more = {
        "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in known.items()),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": pair,
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": ca,
        "listener.name.mtls.ssl.client.auth": "required",
        "listener.name.mtls.ssl.principal.mapping.rules": r"RULE:^.*CN=([^,]+).*$/$1/",
        "super.users": f"User:{access.BROKER};User:ANONYMOUS",
    }
    doors = [Door(name, port, port) for name, port in ports.items()]
    users = partial(passwords, settings)
    async with EmbeddedKafka(settings.data, 0, doors=doors, more=more, passwords=users) as broker:
        await topics.ensure(servers(settings, broker.bootstrap, access.ADMIN))
        yield World(broker, settings, home, ports)


def settings_of(world: World, way: str, **options: Any) -> Settings:
    """What a service on the listener of `way` is told; `options` beside or instead of what is right."""
    named = {
        "mtls": {"kafka_certificate_file": world.files / "mine.pem", "kafka_key_file": world.files / "mine-key.pem"}
    }
    told = {
        "kafka": f"{HERE}:{world.ports[way.upper()]}",
        "kafka_ca_file": world.files / "ca.pem",
        **named.get(way, {}),
    }
    told |= {"kafka_security": way, "keys": keys.directory(world.settings), "data": world.settings.data, "open": False}
    return load(**told | options)


@pytest.mark.parametrize("way", ["tls", "scram", "mtls"])
async def test_every_kind_of_client_goes_the_same_way(world: World, way: str) -> None:
    """The matcher's clients; by `mtls` it is its certificate that says that it is the matcher."""
    bootstrap = bootstrap_of(settings_of(world, way), access.MATCHER)
    place, value = TopicPartition(topics.LEDGER, 0), way.encode()
    topics.require(await topics.check(bootstrap), (topics.LEDGER,), bootstrap)  # the admin
    writer = FencedWriter(bootstrap, "pumasi-matcher-0")
    await writer.fence()
    async with writer.transaction() as transaction:
        [offset] = await transaction.append(topics.LEDGER, 0, [(b"k", value, [])])
    await writer.close()
    async with TopicReader(bootstrap) as reader:
        read = [record.value async for record in reader.records(topics.LEDGER, {0: Extent(offset, offset + 1)})]
    assert read == [value]
    publisher = Publisher(lambda: bootstrap, [topics.DEADLETTERS], "test", told=lambda _line: None)
    publisher.start()
    await publisher.in_reach.wait()
    assert await publisher.publish([Outgoing(topics.DEADLETTERS, 0, b"k", value, [])])
    await publisher.stop()
    came = asyncio.Queue[bytes]()
    router = KafkaRouter()
    router.subscriber(topics.LEDGER, group_id="pumasi-matcher", auto_offset_reset="earliest")(came.put)
    faststream = broker_factory(lambda: bootstrap, "test", router)
    await faststream.start()
    async with asyncio.timeout(30):
        while await came.get() != value:
            pass
    await faststream.stop()
    client = AIOKafkaClient(**connection(bootstrap))  # our own requests
    await client.bootstrap()
    assert not refused(await client.send(client.get_random_node(), DescribeProducers([place])))
    await client.close()


def wrong(world: World) -> dict[str, tuple[str, str, str, dict[str, Any]]]:
    """What is amiss: a code, part of its message, a way, and what is wrong with it."""
    files, ports = world.files, world.ports
    foreign = {"kafka_certificate_file": files / "foreign.pem", "kafka_key_file": files / "foreign-key.pem"}
    password = write(files / "wrong.password", b"wrong\n")
    by_name = {"kafka": f"localhost:{ports['TLS']}"}
    return {
        "another CA": (
            "kafka_untrusted",
            "isn't trusted: unable to get",
            "tls",
            {"kafka_ca_file": files / "other-ca.pem"},
        ),
        "no CA": ("kafka_untrusted", "isn't trusted: unable to get", "tls", {"kafka_ca_file": None}),
        "another name": ("kafka_untrusted", "Hostname mismatch", "tls", by_name),
        "no certificate": ("kafka_refused", "CERTIFICATE_REQUIRED", "tls", {"kafka": f"{HERE}:{ports['MTLS']}"}),
        "a foreign certificate": ("kafka_refused", "take us by TLS", "mtls", foreign),
        "a wrong password": ("kafka_refused", "user and password", "scram", {"kafka_password_file": password}),
        "a password where none is asked": (
            "kafka_refused",
            "asks for no",
            "scram",
            {"kafka": f"{HERE}:{ports['TLS']}"},
        ),
        "another port": ("kafka_unreachable", "no Kafka broker answers", "tls", {"kafka": f"{HERE}:{free_port()}"}),
        "no CA file": ("invalid_setting", "nowhere.pem (No such file", "tls", {"kafka_ca_file": files / "nowhere.pem"}),
        "no key file": (
            "invalid_setting",
            "nowhere.pem (No such file",
            "mtls",
            {"kafka_key_file": files / "nowhere.pem"},
        ),
        "another's key": (
            "invalid_setting",
            "KEY_VALUES_MISMATCH",
            "mtls",
            {"kafka_key_file": files / "foreign-key.pem"},
        ),
        "no PEM": ("invalid_setting", "wrong.password (NO_CERT", "tls", {"kafka_ca_file": password}),
    }


WRONG = (
    "another CA", "no CA", "another name", "no certificate", "a foreign certificate", "a wrong password",
    "a password where none is asked", "another port", "no CA file", "no key file", "another's key", "no PEM",
)  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
async def test_what_is_amiss_is_told_by_a_code_of_its_own(world: World, what: str) -> None:
    code, words, way, options = wrong(world)[what]

    async def by_admin() -> None:
        await topics.check(bootstrap_of(settings_of(world, way, **options), access.MATCHER))

    async def by_reader() -> None:
        async with TopicReader(bootstrap_of(settings_of(world, way, **options), access.MATCHER)):
            pass

    for connect in (by_admin, by_reader):
        with pytest.raises(PumasiError) as told:
            await connect()
        assert told.value.code == code
        assert words in told.value.message
        assert told.value.hint


async def test_a_command_ends_with_what_is_amiss(world: World) -> None:
    where = {"PUMASI_KAFKA": f"{HERE}:{world.ports['TLS']}", "PUMASI_KAFKA_SECURITY": "tls", "PUMASI_OPEN": "0"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "services.cli", "status", "--json", env={**os.environ, **where},
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await process.communicate()
    assert (process.returncode, json.loads(said)["code"]) == (1, "kafka_untrusted")

"""A sender's own Kafka user on the embedded broker: made, renewed and shut out by `pumasi keys`; it may write submissions, no more."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError
from typer.testing import CliRunner

from services import keys
from services.bus import access, topics
from services.bus.access import Kind, Right
from services.bus.client.users import rights_of
from services.bus.embedded import EmbeddedKafka, keep_up
from services.bus.security import Security, Servers, connection, servers
from services.cli import build
from services.settings import Settings, load
from services.system.sender_users import for_the_admin
from services.system.whole import broker_of
from tests.broker.test_access import client_of, refused, tried
from tests.waiting import until

pytestmark = pytest.mark.broker

USER = "pumasi-sender-clinic"
MAY = {(right, Kind.TOPIC, topics.SUBMISSIONS) for right in (Right.WRITE, Right.DESCRIBE)}


class Nobody:
    """Watches no start."""

    def stage(self, name: str) -> None: ...

    def download(self, fetched: int, total: int, received: int) -> None: ...


@asynccontextmanager
async def kept_up(settings: Settings) -> AsyncIterator[EmbeddedKafka]:
    """The embedded broker as `up` runs it."""
    async with broker_of(settings, Nobody()) as broker:
        await topics.ensure(servers(settings, broker.bootstrap, access.ADMIN))
        keeping = asyncio.create_task(keep_up(broker, lambda _line: None))
        try:
            yield broker
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)


@pytest.fixture
def settings(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("PUMASI_OPEN", "PUMASI_KEYS"):
        monkeypatch.delenv(name)
    made = load(data=data_dir, kafka_port=0)
    keys.make(made)
    return made


async def pumasi_keys(settings: Settings, *arguments: str) -> dict[str, Any]:
    """What `pumasi keys` prints."""
    command = ["keys", *arguments, "--data", str(settings.data), "--json"]
    result = await asyncio.to_thread(CliRunner().invoke, build(), command)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def as_sender(settings: Settings, broker: EmbeddedKafka) -> Servers:
    """Connected as its `client.properties` says."""
    file = keys.directory(settings) / f"{USER}.properties"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    told = dict(line.split("=", 1) for line in file.read_text().splitlines())
    assert (told["bootstrap.servers"], told["security.protocol"]) == (broker.bootstrap, "SASL_PLAINTEXT")
    assert f'username="{USER}"' in told["sasl.jaas.config"]
    password = told["sasl.jaas.config"].partition('password="')[2].rstrip('";')
    return Servers(broker.bootstrap, Security("SASL_PLAINTEXT", USER, password))


async def is_let_in(bootstrap: Servers) -> bool:
    try:
        await (await client_of(bootstrap)).close()
    except KafkaConnectionError:
        return False
    return True


async def test_a_sender_may_write_submissions_by_its_own_user_until_it_is_revoked(settings: Settings) -> None:
    async with kept_up(settings) as broker:
        made = await pumasi_keys(settings, "add", "clinic", "--scope", "pledges", "--all-funds")
        assert made["kafka_config"] == str(keys.directory(settings) / f"{USER}.properties")
        first = as_sender(settings, broker)
        client = await client_of(first)
        may = set()
        for right, kind, name, request in tried():
            if not refused(await client.send(client.get_random_node(), request)):
                may.add((right, kind, name))
        await client.close()
        assert may == MAY
        async with AIOKafkaProducer(**connection(first), enable_idempotence=True) as producer:
            await producer.send_and_wait(topics.SUBMISSIONS, b"an event")
            with pytest.raises(TopicAuthorizationFailedError):
                await producer.send_and_wait(topics.COMMANDS, b"a command")

            await pumasi_keys(settings, "rotate", "clinic")
            second = as_sender(settings, broker)
            assert (await is_let_in(first), await is_let_in(second)) == (False, True)

            await pumasi_keys(settings, "revoke", "clinic", "--old")
            assert await is_let_in(second)
            await pumasi_keys(settings, "revoke", "clinic")

            async def is_shut_out() -> bool:
                return not await is_let_in(second)

            await until(is_shut_out)
            assert not list(keys.directory(settings).glob(f"{USER}*"))

            async def is_refused() -> bool:
                try:
                    await producer.send_and_wait(topics.SUBMISSIONS, b"an event")
                except TopicAuthorizationFailedError:
                    return True
                return False

            await until(is_refused)  # who was connected before, too
        await pumasi_keys(settings, "rotate", "clinic")
        third = as_sender(settings, broker)
        assert await is_let_in(third)
    (keys.directory(settings) / f"{USER}.password").unlink()
    async with kept_up(settings) as broker:
        assert not await is_let_in(Servers(broker.bootstrap, third.security)), (
            "shut out at the next start at the latest"
        )
        client = await client_of(broker.itself)
        assert not [grant for grant in await rights_of(client, client.get_random_node()) if grant.user == USER]
        await client.close()


def test_on_a_cluster_its_admin_is_told_what_to_do() -> None:
    make, let = for_the_admin("k1:9092", "clinic")
    assert f"--entity-name {USER} --add-config 'SCRAM-SHA-512=[password=…]'" in make
    assert (
        f"--add --allow-principal User:{USER} --operation Write --operation Describe --topic {topics.SUBMISSIONS}"
        in let
    )
    gone = for_the_admin("k1:9092", "clinic", gone=True)
    assert "--delete-config SCRAM-SHA-512" in gone[0]
    assert "--remove --force --allow-principal" in gone[1]

"""Three brokers that are one cluster: who is let in, what is kept in how many copies, and that a command's end is every broker's."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiokafka.client import AIOKafkaClient

from services import keys
from services.bus import access, topics
from services.bus.access import Grant
from services.bus.client import users
from services.bus.security import Security, Servers
from services.errors import KafkaRefused, KafkaUnreachable
from services.settings import load
from tests.cluster import Cluster

pytestmark = pytest.mark.broker
PARTITIONS, SLOW = 3, 4


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    home = tmp_path_factory.mktemp("cluster")
    made = Cluster(home / "brokers", load(data=home / "data").model_copy(update={"keys": None}))
    await made.start(PARTITIONS)
    try:
        yield made
    finally:
        await made.stop()


async def test_every_partition_has_three_copies_of_which_a_write_reaches_two(cluster: Cluster) -> None:
    await cluster.until_in_step()
    for report in await topics.check(cluster.servers(access.ADMIN), PARTITIONS, 3):
        assert report.state is topics.State.OK, report
        assert report.found and (report.found.replicas, report.found.config["min.insync.replicas"]) == (3, "2")


async def test_everybody_comes_by_tls_and_a_password_and_has_the_rights_of_the_table(cluster: Cluster) -> None:
    for member in cluster.members:
        assert await users.rights(cluster.servers(access.BROKER, member.bootstrap)) >= access.GRANTS
        with pytest.raises(KafkaUnreachable):
            await topics.brokers(member.bootstrap)
    mine = cluster.servers(access.MATCHER)
    await topics.brokers(mine)
    wrong = Servers(mine, Security("SASL_SSL", access.MATCHER, "wrong", ca_file=cluster.ca_file))
    with pytest.raises(KafkaRefused):
        await topics.brokers(wrong)


async def test_rights_are_given_once_every_broker_knows_them(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that starts then may ask any of them."""
    asked: Counter[int] = Counter()
    told = users.rights_of

    async def slowly(client: AIOKafkaClient, node: int) -> frozenset[Grant]:
        asked[node] += 1
        return frozenset(one for one in await told(client, node) if one.user != access.BROKER or asked[node] > SLOW)

    monkeypatch.setattr(users, "rights_of", slowly)
    await users.let_in(cluster.servers(), keys.passwords(cluster.settings, access.USERS))
    assert {member.number for member in cluster.members} == {node for node, times in asked.items() if times > SLOW}


async def test_another_controller_leads_once_the_leaders_broker_is_killed(cluster: Cluster) -> None:
    await cluster.until_in_step()
    leader = cluster.leading()
    assert leader is not None
    os.kill(leader.pid, signal.SIGKILL)
    while cluster.leading() is leader:
        await asyncio.sleep(0.05)
    await leader.restart()
    await cluster.until_in_step()

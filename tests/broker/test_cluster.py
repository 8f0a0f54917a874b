"""Three brokers that are one cluster: who is let in, what is kept in how many copies, and that a command's end is every broker's."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from services import keys
from services.bus import access, topics
from services.bus.access import Grant, Kind, Right
from services.bus.client.users import let_in, rights
from services.bus.security import Servers
from services.errors import KafkaRefused, KafkaUnreachable
from services.settings import load
from tests.cluster import Cluster

pytestmark = pytest.mark.broker
PARTITIONS = 3


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
        assert await rights(cluster.servers(access.BROKER, member.bootstrap)) >= access.GRANTS
        with pytest.raises(KafkaUnreachable):
            await topics.brokers(member.bootstrap)
    mine = cluster.servers(access.MATCHER)
    await topics.brokers(mine)
    wrong = Servers(mine, mine.security.__class__("SASL_SSL", access.MATCHER, "wrong", ca_file=cluster.ca_file))
    with pytest.raises(KafkaRefused):
        await topics.brokers(wrong)


async def test_rights_are_given_once_every_broker_knows_them(cluster: Cluster) -> None:
    """A service that starts then may ask any of them."""
    await cluster.until_in_step()
    sender = access.of_sender("late")
    own = Grant(sender, Right.WRITE, Kind.TOPIC, topics.SUBMISSIONS)
    slow = next(member for member in cluster.members if member is not cluster.leading())
    os.kill(slow.pid, signal.SIGSTOP)
    try:
        giving = asyncio.create_task(let_in(cluster.servers(), {**_passwords(cluster), sender: "a password"}))
        others = [cluster.servers(access.BROKER, one.bootstrap) for one in cluster.members if one is not slow]
        while not all([own in await rights(other) for other in others]):
            await asyncio.sleep(0.05)
        assert not giving.done()
    finally:
        os.kill(slow.pid, signal.SIGCONT)
    await giving
    assert own in await rights(cluster.servers(access.BROKER, slow.bootstrap))


async def test_another_controller_leads_once_the_leaders_broker_is_killed(cluster: Cluster, tmp_path: Path) -> None:
    await cluster.until_in_step()
    leader = cluster.leading()
    assert leader is not None
    os.kill(leader.pid, signal.SIGKILL)
    while cluster.leading() is leader:
        await asyncio.sleep(0.05)
    await leader.restart()
    await cluster.until_in_step()


def _passwords(cluster: Cluster) -> dict[str, str]:
    return keys.passwords(cluster.settings, access.USERS)

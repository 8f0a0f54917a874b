"""Heartbeats on a real broker: what a service tells, when, what it takes back, and who does so for the dead."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.services import Amiss
from services import keys
from services.bus import fingerprints, heartbeat
from services.bus.embedded import EmbeddedKafka
from services.bus.heartbeat import Condition, Heard, Heartbeat
from services.settings import load
from tests.broker import test_intake, test_notifier

DEADLINE_S = 60
WELL = Condition({0: 7, 3: 0})


async def until(bootstrap: str, holds: Callable[[dict[str, Heard]], object]) -> dict[str, Heard]:
    """What is heard, by process, once it is as it should be."""
    async with asyncio.timeout(DEADLINE_S):
        while not holds(found := {one.told.process: one for one in await heartbeat.heard(bootstrap)}):
            await asyncio.sleep(0.05)
    return found


async def test_a_service_tells_how_it_is_at_once_when_that_changes_and_takes_it_back_at_the_end(
    topics_reset: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 3600.0)
    monkeypatch.setattr(heartbeat, "_LOOK_SECONDS", 0.01)
    bootstrap, now = topics_reset.bootstrap, WELL
    used = {"id": "0" * 16}
    async with Heartbeat(lambda: bootstrap, "matcher", "0", lambda: now, lambda: used):
        told = (await until(bootstrap, lambda found: "matcher-0" in found))["matcher-0"].told
        assert (told.service, told.positions, told.amiss, told.went_wrong) == ("matcher", {"0": 7, "3": 0}, (), None)
        assert (told.since is not None, told.pid) == (True, os.getpid())
        assert await fingerprints.known(bootstrap) == {}, "what one process uses is not what is in use"
        now = Condition({}, [Amiss(code="ledger_tampered", partition=3)])
        told = (await until(bootstrap, lambda found: found["matcher-0"].told.amiss))["matcher-0"].told
        assert (told.amiss[0].code, told.went_wrong.code, told.went_wrong.partition) == ("ledger_tampered",) * 2 + (3,)
        now = WELL
        told = (await until(bootstrap, lambda found: not found["matcher-0"].told.amiss))["matcher-0"].told
        assert told.went_wrong.code == "ledger_tampered", "what is over is still remembered"
        used = {"id": "1" * 16}
        await until(bootstrap, lambda found: found["matcher-0"].told.keys == used)
    assert await heartbeat.heard(bootstrap) == []


async def test_the_words_of_a_dead_process_are_taken_back_by_another_of_its_service(
    topics_reset: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "_TIDIED_AT", 1)
    bootstrap = topics_reset.bootstrap
    for service in ("matcher", "notifier"):
        dead = Heartbeat(lambda: bootstrap, service, "dead", lambda: WELL)
        await dead._send(dead.process, dead.told().wire())
        await dead._let_go()
    async with Heartbeat(lambda: bootstrap, "matcher", "early", lambda: WELL):
        found = await until(bootstrap, lambda found: "matcher-early" in found)
        assert "matcher-dead" in found, "it may be alive"
    monkeypatch.setattr(heartbeat, "SILENT_SECONDS", -1.0)
    async with Heartbeat(lambda: bootstrap, "matcher", "late", lambda: WELL):
        found = await until(bootstrap, lambda found: "matcher-dead" not in found)
        assert "notifier-dead" in found, "nobody else has its place"


async def test_no_heartbeat_fails_a_service_where_kafka_is_away() -> None:
    async with Heartbeat(lambda: "127.0.0.1:1", "intake", None, lambda: WELL) as beat:
        assert beat.told().went_wrong is None
        beat.went_wrong("kafka_unreachable")
        assert beat.told().went_wrong.code == "kafka_unreachable"
        await asyncio.sleep(0)


def test_a_start_is_nothing_that_went_wrong() -> None:
    now = Condition({}, [Amiss(code="recovering", partition=0), Amiss(code="warming_up")])
    told = Heartbeat(lambda: "", "matcher", None, lambda: now).told()
    assert (len(told.amiss), told.went_wrong) == (2, None)


async def test_intake_and_notifier_tell_and_take_it_back(topics_reset: EmbeddedKafka, tmp_path: Path) -> None:
    bootstrap = topics_reset.bootstrap
    async with (
        test_intake.running(topics_reset, tmp_path),
        test_notifier.notifier(bootstrap, data=str(tmp_path)),
    ):
        services = lambda found: {one.told.service for one in found.values()}  # noqa: E731
        found = await until(bootstrap, lambda found: {"intake", "notifier"} <= services(found))
        used = {one.told.service: set(one.told.keys) for one in found.values()}
        assert used["intake"] == {*keys.fingerprints(load(data=tmp_path))} >= {"pseudonym", "id", "intake", "notifier"}
        assert used["notifier"] == {"notifier"}
        in_use = await fingerprints.known(bootstrap)
        assert all(in_use[name] == one for heard in found.values() for name, one in heard.told.keys.items())
    assert not [one for one in await heartbeat.heard(bootstrap) if one.told.service]


async def test_the_ender_tells_and_takes_it_back(topics_reset: EmbeddedKafka) -> None:
    bootstrap = topics_reset.bootstrap
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "services.cli", "ender", "--kafka", bootstrap, "--json",
        env={**os.environ, "PUMASI_INSTANCE": "ender-1"}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        found = await until(bootstrap, lambda found: "ender-1" in found)
        assert (found["ender-1"].told.service, found["ender-1"].told.amiss) == ("ender", ())
    finally:
        process.terminate()
        assert await process.wait() == 0
    assert await heartbeat.heard(bootstrap) == []


@pytest.mark.parametrize(
    ("instance", "named"),
    [("matcher-1-ab12", "matcher-1-ab12"), ("pod-7", "matcher-pod-7"), ("x" * 64, None), ("+8613812345678", None)],
)
def test_a_process_has_the_name_of_its_instance_unless_that_is_none_for_the_bus(
    instance: str, named: str | None
) -> None:
    assert named is None or heartbeat.process_name("matcher", instance) == named
    assert heartbeat.process_name("matcher", instance).startswith("matcher-")
    Heartbeat(lambda: "", "matcher", instance, lambda: WELL).told()
    assert heartbeat.process_name("intake", None) != heartbeat.process_name("intake", None)

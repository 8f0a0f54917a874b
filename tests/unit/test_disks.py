"""Measuring the brokers' disks: it outlives whatever an answer brings up, and says why it knows nothing."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import suppress

import pytest

from services.bus.client import disks as module
from services.bus.client.disks import Disk, Disks
from services.cli.shared.stopping import first
from services.metrics import Metrics

SHORT = {1: Disk(total=100, usable=1)}


def test_measuring_goes_on_after_any_error_and_tells_each_cause_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answers: Iterator[Exception | dict[int, Disk]] = iter(
        [ValueError("no such thing"), ValueError("again"), OSError(), SHORT, OSError(), SHORT]
    )
    seen = []
    over = asyncio.Event()

    async def answered(_bootstrap: str) -> dict[int, Disk]:
        seen.append(measured.amiss())
        if (answer := next(answers, None)) is None:
            over.set()
            await asyncio.get_running_loop().create_future()  # until all is over
        if isinstance(answer, Exception):
            raise answer
        return answer or {}

    async def watched() -> None:
        watching = asyncio.create_task(measured.watch())
        stopped = asyncio.create_task(over.wait())
        await asyncio.wait({watching, stopped}, return_when=asyncio.FIRST_COMPLETED)
        for task in (watching, stopped):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await watching

    measured = Disks(lambda: "nowhere", Metrics("ender"))
    monkeypatch.setattr(module, "disks", answered)
    monkeypatch.setattr(module, "ASKED_EVERY_SECONDS", 0.0)
    with caplog.at_level(logging.WARNING, "pumasi.bus"):
        asyncio.run(watched())
    assert [bool(amiss) for amiss in seen] == [False, False, False, False, True, False, True]
    told = [record.args for record in caplog.records]
    assert told == [{"event": "disks_unknown", "cause": cause} for cause in ("ValueError", "OSError", "OSError")]
    assert "no such thing" not in caplog.text


def test_what_ends_a_work_of_the_ender_ends_the_ender() -> None:
    async def ends() -> None:
        raise ValueError("a defect")

    async def both() -> None:
        for_ever = asyncio.get_running_loop().create_future()
        await first({for_ever, asyncio.create_task(ends())})

    with pytest.raises(ValueError, match="a defect"):
        asyncio.run(both())

"""What runs until it is over, fails, or somebody says stop."""

import asyncio

import pytest

from services.cli.shared.stopping import first, unless_stopped


async def test_work_that_ends_gives_its_result_and_work_that_fails_raises() -> None:
    async def fails() -> None:
        raise LookupError

    never = asyncio.get_running_loop().create_future()
    assert await unless_stopped(asyncio.sleep(0, "done"), never) == "done"
    with pytest.raises(LookupError):
        await unless_stopped(fails(), never)


async def test_work_that_is_told_to_stop_is_over_when_that_returns() -> None:
    ended = asyncio.Event()
    stopping = asyncio.get_running_loop().create_future()

    async def works() -> None:
        stopping.set_result(None)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # ending takes a moment
            ended.set()

    assert await unless_stopped(works(), stopping) is None
    assert ended.is_set()


async def test_what_is_over_first_is_enough_and_raises_what_ended_it() -> None:
    loop = asyncio.get_running_loop()
    never, fails = loop.create_future(), loop.create_future()
    await first({never, asyncio.ensure_future(asyncio.sleep(0))})
    fails.set_exception(LookupError())
    with pytest.raises(LookupError):
        await first({never, fails})

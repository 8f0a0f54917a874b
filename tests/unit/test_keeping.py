"""A broker that comes back is never given up, one that can't be started is; with a stand-in (`tests/broker` kills a real one)."""

import asyncio

import pytest

from services.bus.embedded import keeping
from services.errors import BrokerFailed


class Broker:
    """Ends as soon as it runs; from its `last` start on it can't be started."""

    bootstrap = "here:1"
    running = True

    def __init__(self, last: int) -> None:
        self.starts, self.last = 0, last

    async def wait(self) -> None:
        self.running = False
        raise BrokerFailed("it ended")

    async def restart(self) -> None:
        self.starts += 1
        self.running = self.starts < self.last
        if not self.running:
            raise BrokerFailed("it does not start")


@pytest.mark.parametrize("returns", [0, 3, 30])
async def test_only_starts_that_fail_in_a_row_are_too_many(returns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "PAUSE_S", (0.0, 0.0))
    broker, told = Broker(returns + 1), []
    with pytest.raises(BrokerFailed, match="5 times in a row; given up"):
        await asyncio.wait_for(keeping.keep_up(broker, told.append), 10)
    assert sum("is back" in line for line in told) == returns
    assert broker.starts == returns + 4, "the end of a broker that ran counts, too"

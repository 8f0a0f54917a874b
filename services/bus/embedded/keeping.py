"""Keeps an embedded broker up: one that ends without being asked to is started again on its port and directory.

Clients ride that out by themselves, since nothing that was acknowledged is lost and the address stays. The pause before a start doubles
from 0.1 s to 10 s, until it has run well for a minute. A broker that comes back is never given up, however often it dies; several
starts in a row that fail won't be mended by another.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from services.backoff import Backoff
from services.bus.embedded.broker import EmbeddedKafka
from services.errors import BrokerFailed, PortTaken

PAUSE_S: Final = (0.1, 10.0)
FORGIVEN_AFTER_S: Final = 60.0
FAILURES_IN_A_ROW: Final = 5


async def keep_up(
    broker: EmbeddedKafka, told: Callable[[str], None], failures_in_a_row: int = FAILURES_IN_A_ROW
) -> None:
    """Return never. `told` hears each end and each return, as a line.

    Raises:
        BrokerFailed, PortTaken: after several failures without a return.
    """
    failures, backoff, began = 0, Backoff(*PAUSE_S), time.monotonic()
    while True:
        try:
            if broker.running:
                await broker.wait()
            await broker.restart()
            told(f"Kafka is back at {broker.bootstrap}, with all it had acknowledged.")
            failures, began = 0, time.monotonic()
            continue
        except (BrokerFailed, PortTaken) as error:
            if time.monotonic() - began > FORGIVEN_AFTER_S:
                backoff.succeeded()
            failures += 1
            if failures >= failures_in_a_row:
                message = f"{error.message} ({failures} times in a row; given up)"
                raise type(error)(message, hint=error.hint) from error
            pause = backoff.failed()
            told(f"{error.message}; it is started again in {pause:g} s.")
        await asyncio.sleep(pause)

"""`pumasi ender`: ends transactions that Kafka has forgotten, for writers that ask; and sees whether the brokers' disks fill."""

import asyncio
import json

from services import logs
from services.bus import access
from services.bus.topics import SERVICES
from services.cli.shared import options
from services.cli.shared.results import ready_line
from services.cli.shared.stopping import first, stop_on_signals
from services.visible import visible

EXAMPLES = """**Examples**

- `PUMASI_KAFKA=k1:9092 pumasi ender`: one for the whole cluster; a second one does no harm
"""


def ender(kafka: options.Kafka = None, data: options.Data = None, as_json: options.Json = False) -> None:
    """End transactions that Kafka has left open after a broker died, when their writers ask, until Ctrl-C or SIGTERM.

    Kafka asks for the right ClusterAction, which goes over everything: so this is a process and a user of its own, and no service that
    takes what others send has that right. Where none runs, such a partition stands still until one does. It also measures how full the
    brokers' disks are.
    """
    settings = options.load(kafka=kafka, data=data)
    logs.begin(settings)
    asyncio.run(_run(settings, as_json))


async def _run(settings: "options.Settings", as_json: bool) -> None:
    from schemas.services import Amiss
    from services.bus.client.disks import Disks
    from services.bus.client.ending import Asked, read, serve
    from services.bus.consume.tail import Tail
    from services.bus.heartbeat import Condition, Heartbeat
    from services.health import Health
    from services.metrics import Metrics

    def bootstrap() -> str:
        return options.bootstrap_of(settings, access.ENDER)

    bootstrap()  # a password that isn't there is told at once
    stopping = stop_on_signals(settings, access.ENDER)
    asked: asyncio.Queue[Asked] = asyncio.Queue()
    tail = Tail(
        bootstrap, SERVICES, access.ENDER, lambda record: asked.put_nowait(one) if (one := read(record)) else None
    )
    ready = asyncio.ensure_future(tail.reach_end())

    def amiss() -> list[Amiss]:
        return [Amiss(code="topic_unreadable", partition=stuck.partition) for stuck in tail.stuck]

    def not_ready() -> list[Amiss]:
        return amiss() or ([] if ready.done() and tail.in_reach else [Amiss(code="kafka_unreachable")])

    metrics = Metrics("ender")
    disks = Disks(bootstrap, metrics)
    health = Health(metrics, not_ready, settings)
    beat = Heartbeat(
        bootstrap, "ender", settings.instance, lambda: Condition({}, amiss() + disks.amiss()), metrics=metrics
    )
    ending = serve(bootstrap, asked, lambda line: logs.say(visible(line), "left_open_ended"))
    works = [asyncio.create_task(one) for one in (tail.run(), ending)]
    measuring = asyncio.create_task(disks.watch())
    try:
        async with health.serving(), beat:
            await first({ready, stopping, *works})
            if ready.done():
                print(json.dumps(ready_line("ender", health.url)) if as_json else "The ender is ready.", flush=True)
                await first({stopping, *works})
    finally:
        for work in (ready, measuring, *works):
            work.cancel()
        await asyncio.gather(ready, measuring, *works, return_exceptions=True)

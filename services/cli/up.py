"""`pumasi up`: everything on this machine, until it is told to stop."""

import asyncio
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from services.bus import access
from services.called import name
from services.cli.shared import options
from services.cli.shared.results import moved, show_ready
from services.cli.shared.stopping import stop_on_signals, unless_stopped
from services.visible import visible

if TYPE_CHECKING:
    from services.cli.shared.log import JsonLog, Log
    from services.system.whole import System


EXAMPLES = """**Examples**

- `pumasi up`: on `.pumasi`, ports 9092 and 8080 or free ones
- `pumasi up --data /tmp/p --matchers 2`: on that directory, with two matchers that share the partitions
- `PUMASI_KAFKA=k1:9092 pumasi up`: only the services, on your own cluster
- `PUMASI_HEALTH_PORT=9100 pumasi up`: each service tells its health and its metrics, on port 9100, 9101, …; see deploy/METRICS.md
- `pumasi up --json`: prints `{"kafka": "127.0.0.1:9092", "http": "http://127.0.0.1:8080", "key": …, "kafka_config": …}` when ready
"""


def up(
    data: options.Data = None,
    kafka_port: options.KafkaPort = None,
    http_port: options.HttpPort = None,
    partitions: options.Partitions = None,
    matchers: Annotated[
        int,
        typer.Option("--matchers", min=1, max=64, metavar="N", help="Matcher processes; they share the partitions."),
    ] = 1,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", "-v", help="Print all that services do, and each notice, not only how many a minute."
        ),
    ] = False,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Print lines of JSON, on standard error; never what notices say.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Run everything: Kafka, topics, intake, matcher, notifier, until Ctrl-C or SIGTERM.

    A service or broker that dies is started again and continues where it stopped. With PUMASI_KAFKA set, no broker is started.
    Nothing is left running at the end, even after a kill -9. The first start makes a bearer key for this machine, in a file that only
    you can read; every event needs one. What somebody should know of is printed as it happens, with its time, and once a minute how
    many notices there were.
    """
    settings = options.load(
        data=data, kafka_port=kafka_port, http_port=http_port, partitions=partitions, log_json=log_json or None
    )
    asyncio.run(_run(settings, matchers, _Shown(verbose, settings.log_json, as_json)))


class _Shown(NamedTuple):
    """What is shown: everything, or what matters; as lines of JSON; or, where results are JSON, only errors."""

    verbose: bool
    log_json: bool
    as_json: bool

    @property
    def quiet(self) -> bool:
        return self.log_json or self.as_json


async def _run(settings: "options.Settings", matchers: int, shown: _Shown) -> None:
    from services.system.progress import BrokerProgress

    stopping = stop_on_signals(settings, access.INTAKE, access.MATCHER, access.NOTIFIER, hangup=True)
    progress = BrokerProgress(quiet=shown.quiet)
    if not shown.quiet:
        stops = "Stopping: first the doors, then the matcher and the notifier, Kafka last …"
        stopping.add_done_callback(lambda _: print(stops, file=sys.stderr, flush=True))
    await unless_stopped(_keep_up(settings, matchers, progress, shown), stopping)
    if not shown.quiet:
        print("All stopped; the data stay.", file=sys.stderr)


async def _keep_up(settings: "options.Settings", matchers: int, progress: Any, shown: _Shown) -> None:
    from services.cli.shared.log import JsonLog, Log
    from services.system.own_senders import machine_key
    from services.system.whole import whole_system

    with ExitStack() as bars:
        bars.enter_context(progress)
        pretty = Log(None if shown.as_json else progress.console, notices=not shown.as_json, verbose=shown.verbose)
        log = JsonLog(verbose=shown.verbose) if shown.log_json else pretty
        key: Path | None = None

        async def make_key(kafka: str) -> None:
            nonlocal key
            key = await machine_key(kafka, settings)

        prepare = None if settings.open else make_key
        async with whole_system(settings, progress, log, matchers=matchers, before_services=prepare) as system:
            bars.close()
            _say_ready(system, settings, key, shown.as_json)
            summing = asyncio.create_task(_sum_up_each_minute(log))
            try:
                await system.wait()
            finally:
                summing.cancel()
                log.sum_up()


async def _sum_up_each_minute(log: "Log | JsonLog") -> None:
    while True:
        await asyncio.sleep(60)
        log.sum_up()


def _say_ready(system: "System", settings: "options.Settings", key: Path | None, as_json: bool) -> None:
    if as_json:
        told = {
            "kafka": system.kafka, "http": system.http, "key": None if key is None else str(key),
            "kafka_config": str(system.client_config), **({"health": system.health} if system.health else {}),
        }  # fmt: skip
        print(json.dumps(told), flush=True)
        return
    from services.settings import OPEN
    from services.terminal import Terminal, marked

    asked = [(settings.http_port, "the HTTP door", system.http)]
    asked += [] if settings.kafka else [(settings.kafka_port, "Kafka", system.kafka)]
    for port, what, address in asked:
        if moved(address, port):
            Terminal().print(marked("Port {} is taken, so {} is at {}.", port, what, address), soft_wrap=True)
    where = "" if settings.data == Path(".pumasi") else f" --data {quote(str(settings.data))}"
    show_ready(
        "Pumasi is up",
        ("Kafka      [bold green]{}[/]", system.kafka),
        ("HTTP door  [bold green]{}[/]", f"{system.http}/v1/events"),
        ("Data       {}", settings.data.absolute()),
        *(("Health     {} ({})", url, service) for service, url in system.health.items()),
        *([("Key        {}", key)] if key else []),
        ("Keys       {}", system.client_config.parent),
        ("           [dim]keep a copy where no copy of the data is[/]",),
        *([("[bold yellow]{}[/]", OPEN)] if settings.open else []),
    )
    header = f' \\\n    -H "Authorization: Bearer $(cat {visible(quote(str(key)))})"' if key else ""
    try_it = _TRY.format(http=visible(system.http), run=name(), where=visible(where), key=header)
    Terminal().print(try_it, soft_wrap=True)


_TRY = """From another shell: open a fund (cases and pledges go the same way),
see it, prove it.

  curl {http}/v1/events{key} \\
    -H content-type:application/cloudevents+json -d '{{
      "specversion": "1.0", "id": "1", "source": "/me",
      "type": "pumasi.fund.configured",
      "data": {{"fund": "room", "currency": "CNY"}}}}'
  {run} status{where}
  {run} audit{where}

Ctrl-C stops everything."""

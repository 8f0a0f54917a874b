"""`pumasi kafka`: the embedded broker alone, with the topics made, until it is told to stop."""

import asyncio
import json
import sys
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from services.bus import access, topics
from services.bus.security import servers
from services.cli.shared import options
from services.cli.shared.results import moved, show_ready
from services.cli.shared.stopping import stop_on_signals, unless_stopped
from services.visible import visible

if TYPE_CHECKING:
    from pathlib import Path

    from services.bus.embedded import EmbeddedKafka


EXAMPLES = """**Examples**

- `pumasi kafka`: on `.pumasi`, port 9092 or a free one
- `pumasi kafka --data /tmp/p --kafka-port 19092`: on that directory and exactly that port
- `pumasi kafka --json`: prints `{"kafka": "127.0.0.1:9092", "kafka_config": "…/client.properties"}` once it is ready
- `pumasi kafka --client-config > client.properties`: how Kafka's own tools read from the Kafka that runs
"""


def kafka(
    data: options.Data = None,
    kafka_port: options.KafkaPort = None,
    partitions: options.Partitions = None,
    client_config: Annotated[
        bool,
        typer.Option("--client-config", help="Print a client.properties for the Kafka that runs, and start nothing."),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Run a real Apache Kafka 4.3.1 broker on this machine, with Pumasi's topics, until Ctrl-C or SIGTERM.

    The first start downloads Kafka (44 MB) and formats the data directory. Later starts find everything as it was, on any port. A
    broker that dies is started again on its port. Other commands find it by the same --data. It asks everybody for a password:
    `--client-config` prints what Kafka's own tools need to read from it, and to do nothing else.
    """
    settings = options.load(data=data, kafka_port=kafka_port, partitions=partitions)
    if client_config:
        from services.bus.security import client_properties

        print(client_properties(options.bootstrap_of(settings, access.OPERATOR)), end="")
        return
    asyncio.run(_run(settings, as_json))


async def _run(settings: "options.Settings", as_json: bool) -> None:
    from services.bus.embedded import classes, keep_up
    from services.settings import OPEN
    from services.system.progress import BrokerProgress
    from services.system.whole import broker_of, write_client_config

    if settings.open:
        print(OPEN, file=sys.stderr, flush=True)
    stopping = stop_on_signals(settings)
    with BrokerProgress(quiet=as_json) as progress:
        broker = broker_of(settings, progress)
        if not await unless_stopped(_start(broker, settings), stopping):
            return
    try:
        _say_ready(broker.bootstrap, write_client_config(settings, broker.bootstrap), settings, as_json)
        classes.make_beside()
        await unless_stopped(keep_up(broker, lambda line: print(visible(line), file=sys.stderr, flush=True)), stopping)
    finally:
        await broker.stop()
    if not as_json:
        progress.console.print("Kafka has stopped; its data stay.")


async def _start(broker: "EmbeddedKafka", settings: "options.Settings") -> str:
    bootstrap = await broker.start()
    try:
        await topics.ensure(servers(settings, bootstrap, access.ADMIN), settings.partitions)
    except BaseException:
        await broker.stop()
        raise
    return bootstrap


def _say_ready(bootstrap: str, config: "Path", settings: "options.Settings", as_json: bool) -> None:
    if as_json:
        print(json.dumps({"kafka": bootstrap, "kafka_config": str(config)}), flush=True)
        return
    data = settings.data.absolute()
    show_ready(
        "Apache Kafka 4.3.1",
        ("Kafka answers at [bold green]{}[/]{}", bootstrap, moved(bootstrap, settings.kafka_port)),
        ("Data are kept in {}", data),
        ("Kafka's own tools read with {}", config),
        ("",),
        ("From another shell: [bold]pumasi topics --data {}[/]", quote(str(data))),
        ("Ctrl-C stops it.",),
    )

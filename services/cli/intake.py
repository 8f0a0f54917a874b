"""`pumasi intake`: the doors, until told to stop."""

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING, Any

from services import keys, logs, traces
from services.bus import access
from services.cli.shared import options
from services.cli.shared.results import ready_line
from services.cli.shared.stopping import stop_on_signals
from services.news import Flood, document
from services.visible import visible

if TYPE_CHECKING:
    from services.settings import Settings


EXAMPLES = """**Examples**

- `pumasi intake`: for the broker running on `.pumasi`, with HTTP on port 8080 or a free one
- `PUMASI_KAFKA=k1:9092 pumasi intake --http-port 8081`: one of several, for that cluster
- `PUMASI_TRUST_TIME=1 pumasi intake --json`: for a simulation; prints `{"ready": "intake", "http": "…"}`
- `uvicorn services.intake.app:get_application --factory`: the same, by an ASGI server of your own; settings are PUMASI_* variables
"""


def intake(
    kafka: options.Kafka = None,
    data: options.Data = None,
    http_port: options.HttpPort = None,
    as_json: options.Json = False,
) -> None:
    """Take submissions over HTTP (`POST /v1/events`) and from `pumasi.submissions.v1`, and publish commands, until Ctrl-C or SIGTERM.

    While Kafka is out of reach, HTTP answers 503 and intake keeps trying. Run as many processes as you like. On several machines, all
    of them need the same pseudonym.key, intake.key, intake.pub and notifier.pub in PUMASI_KEYS.
    """
    settings = options.load(kafka=kafka, data=data, http_port=http_port)
    logs.begin(settings)
    traces.begin(settings, "pumasi-intake")
    asyncio.run(_run(settings, as_json))


async def _run(settings: "Settings", as_json: bool) -> None:
    from services.intake.app import Intake

    stopping = stop_on_signals(settings, access.INTAKE)
    app = Intake(lambda: options.bootstrap_of(settings, access.INTAKE), settings, _tell, partial(_warn, as_json))
    try:
        await app.start()
        ready = asyncio.create_task(app.ready.wait())
        ended = asyncio.create_task(app.wait())
        any_of: set[asyncio.Future[Any]] = {ready, ended, stopping}
        await asyncio.wait(any_of, return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            _say_ready(app.http, app.health.url, settings, as_json)
            await asyncio.wait(any_of - {ready}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            await ended
    finally:
        await app.stop()


def _tell(line: str) -> None:
    logs.say(visible(line), "kafka")


def _warn(as_json: bool, flood: Flood) -> None:
    if as_json:
        print(json.dumps(document(flood)), flush=True)
    else:
        logs.say(sentence(flood), **document(flood))


def sentence(flood: Flood) -> str:
    """A flood in words, fit for a terminal."""
    told = f"{visible(flood.sender)} SENT {flood.conflicts} EVENTS WITHIN {flood.seconds} s UNDER IDS THAT WERE USED BEFORE"
    return f"{told}: its form is at fault, or somebody guesses with its key."


def _say_ready(http: str, health: str | None, settings: "Settings", as_json: bool) -> None:
    if as_json:
        print(json.dumps(ready_line("intake", health, http=http)), flush=True)
        return
    from rich.panel import Panel
    from rich.text import Text

    from services.terminal import Terminal, marked

    moved = not http.endswith(f":{settings.http_port}") and settings.http_port != 0
    lines = [
        marked(
            "Submissions are taken at [bold green]{}[/]" + (f"  (port {settings.http_port} is taken)" if moved else ""),
            f"{http}/v1/events",
        ),
        Text("and from the topic pumasi.submissions.v1."),
        marked("Keys are kept in {}.", keys.directory(settings)),
        Text("Ctrl-C stops it; what is in flight finishes."),
    ]
    if settings.trust_time:
        lines.insert(
            2, marked("[bold yellow]The events' own time is trusted[/] (PUMASI_TRUST_TIME=1): for simulations only.")
        )
    Terminal().print(Panel(Text("\n").join(lines), title="Pumasi intake", expand=False))

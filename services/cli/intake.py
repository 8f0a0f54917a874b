"""`pumasi intake`: the doors, until told to stop."""

import asyncio
import json
from functools import partial

from services import keys, logs, traces
from services.bus import access
from services.cli.shared import options
from services.cli.shared.results import moved, ready_line, show_ready
from services.cli.shared.stopping import first, stop_on_signals
from services.news import Flood, document
from services.visible import visible

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


async def _run(settings: "options.Settings", as_json: bool) -> None:
    from services.intake.app import Intake

    stopping = stop_on_signals(settings, access.INTAKE)
    app = Intake(
        lambda: options.bootstrap_of(settings, access.INTAKE),
        settings,
        lambda line: logs.say(visible(line), "kafka"),
        partial(_warn, as_json),
    )
    try:
        await app.start()
        ready = asyncio.create_task(app.ready.wait())
        ended = asyncio.create_task(app.wait())
        await first({ready, ended, stopping})
        if ready.done():
            _say_ready(app.http, app.health.url, settings, as_json)
            await first({ended, stopping})
    finally:
        await app.stop()


def _warn(as_json: bool, flood: Flood) -> None:
    if as_json:
        print(json.dumps(document(flood)), flush=True)
    else:
        logs.say(sentence(flood), **document(flood))


def sentence(flood: Flood) -> str:
    """A flood in words, fit for a terminal."""
    told = f"{visible(flood.sender)} SENT {flood.conflicts} EVENTS WITHIN {flood.seconds} s UNDER IDS THAT WERE USED BEFORE"
    return f"{told}: its form is at fault, or somebody guesses with its key."


def _say_ready(http: str, health: str | None, settings: "options.Settings", as_json: bool) -> None:
    if as_json:
        print(json.dumps(ready_line("intake", health, http=http)), flush=True)
        return
    trusts = "[bold yellow]The events' own time is trusted[/] (PUMASI_TRUST_TIME=1): for simulations only."
    show_ready(
        "Pumasi intake",
        ("Submissions are taken at [bold green]{}[/]{}", f"{http}/v1/events", moved(http, settings.http_port)),
        ("and from the topic pumasi.submissions.v1.",),
        *([(trusts,)] if settings.trust_time else []),
        ("Keys are kept in {}.", keys.directory(settings)),
        ("Ctrl-C stops it; what is in flight finishes.",),
    )

"""`pumasi notifier`: tells people what the ledger says, until it is told to stop."""

import asyncio
import json
import logging
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services import logs
from services.cli.shared import options
from services.cli.shared.stopping import stop_on_signals
from services.visible import visible

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from services.notifier.channels.webhook import Webhook
    from services.notifier.teller import View
    from services.settings import Settings


def register(app: typer.Typer) -> None:
    app.command("notifier", epilog=_EXAMPLES)(notifier)


_EXAMPLES = """**Examples**

- `pumasi notifier`: on the broker running on `.pumasi`; prints one line for each notice
- `pumasi notifier --json`: prints `{"ready": "notifier"}`, then each notice as a line of JSON, once it is told
- `PUMASI_WEBHOOK_SECRET=whsec_… pumasi notifier --quiet --webhook-url https://hooks.example.org/pumasi`: only a signed webhook
"""


def notifier(
    kafka: options.Kafka = None,
    data: options.Data = None,
    webhook_url: Annotated[
        str | None,
        typer.Option(
            "--webhook-url",
            envvar="PUMASI_WEBHOOK_URL",
            metavar="URL",
            help="Where each notice is posted, signed with PUMASI_WEBHOOK_SECRET.  [default: nowhere]",
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print no notices. Without a webhook nobody is told then.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Tell donors and go-betweens what becomes of pledges and cases, until Ctrl-C or SIGTERM.

    Reads the ledger as the group pumasi-notifier and records each notice on pumasi.notices.v1. The first start tells everything
    from the ledger's beginning; later ones continue where the last one stopped. After a crash some notices come again, under the same
    ids. Waits for Kafka if it isn't there. If a partition's ledger turns out to be wrong, that partition stops and the exit
    status is 1.
    """
    from services.settings import load

    settings = load(kafka=kafka, data=data, webhook_url=webhook_url)
    logs.set_up(settings.log_level)
    if asyncio.run(_run(settings, quiet, as_json)):
        raise typer.Exit(1)


async def _run(settings: "Settings", quiet: bool, as_json: bool) -> bool:
    """True if a partition had to be stopped."""
    from services.bus.produce.publisher import Publisher
    from services.bus.topics import NOTICES
    from services.notifier.app import Notifier
    from services.notifier.languages import Languages, private_key
    from services.notifier.teller import Teller

    stopping = stop_on_signals()
    screen = _Screen(as_json)
    async with AsyncExitStack() as stack:
        webhook = await _webhook(settings, stack)
        bootstrap = await _wait_for_kafka(settings, stopping, screen)
        if bootstrap is None:
            return False
        publisher = Publisher(
            lambda: bootstrap, [NOTICES], "pumasi-notifier", told=logging.getLogger("pumasi.notifier").debug
        )
        publisher.start()
        stack.push_async_callback(publisher.stop)
        languages = Languages(settings.language, private_key(settings), screen.tell)
        await stack.enter_async_context(languages.following(bootstrap))
        if not await _unless(stopping, languages.read_all()):
            screen.tell("ended")
            return False
        service = Notifier(
            bootstrap, settings, Teller(publisher, webhook, _view(quiet, as_json), languages), screen.tell
        )
        await service.start()
        try:
            await asyncio.wait({stopping, service.failed}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await service.stop()
        if service.failed.done():
            await service.failed
    screen.tell("ended")
    return bool(service.stopped)


async def _unless(stopping: "asyncio.Future[None]", work: "Coroutine[Any, Any, None]") -> bool:
    """Do the work; False if told to stop before it was done."""
    task = asyncio.create_task(work)
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        task.cancel()
        return False
    await task
    return True


async def _webhook(settings: "Settings", stack: AsyncExitStack) -> "Webhook | None":
    if settings.webhook_url is None:
        return None
    from services.notifier.channels.webhook import Webhook

    secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else None
    webhook = Webhook(settings.webhook_url, secret, allow_private=settings.webhook_allow_private)
    await stack.enter_async_context(webhook)
    await webhook.check()
    return webhook


def _view(quiet: bool, as_json: bool) -> "View":
    from services.notifier import screen
    from services.terminal import Terminal

    if quiet:
        return screen.quiet()
    return screen.json_lines() if as_json else screen.pretty(Terminal())


async def _wait_for_kafka(settings: "Settings", stopping: "asyncio.Future[None]", screen: "_Screen") -> str | None:
    """Where Kafka answers and has the topics; None if told to stop before."""
    from services.bus import topics
    from services.errors import KafkaUnreachable, TopicsMismatch

    while not stopping.done():
        try:
            bootstrap = options.bootstrap_of(settings)
            topics.require(await topics.check(bootstrap), (topics.LEDGER, topics.CONTACTS, topics.NOTICES), bootstrap)
            return bootstrap
        except (KafkaUnreachable, TopicsMismatch) as error:
            screen.tell("waiting", why=f"{error.message}. {error.hint or ''}".strip())
            await asyncio.wait({stopping}, timeout=1.0)
    return None


class _Screen:
    """What is said beside the notices: on standard error, but for the ready line of --json. Failures are in the log."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._said: str | None = None
        self._ready = False

    def tell(self, event: str, **fields: Any) -> None:
        """Say an event; what was said last is not said again."""
        if event == "assigned" and not self._ready:
            self._ready = True
            if self._as_json:
                print(json.dumps({"ready": "notifier"}), flush=True)
        line = _LINES[event](**fields) if event == "waiting" or (event in _LINES and not self._as_json) else None
        if line and line != self._said:
            self._said = line
            print(visible(line), file=sys.stderr, flush=True)


_LINES = {
    "waiting": lambda why: f"Waiting for Kafka: {why}",
    "assigned": lambda partitions: f"Ready. Telling what happens in partitions {partitions}; Ctrl-C stops.",
    "taken": lambda partition, seq: f"Partition {partition}: entries up to {seq} were told before." if seq else None,
    "unopened": lambda partition, offset: (
        f"A box on the contacts topic can't be opened: partition {partition}, offset {offset}."
    ),
    "ended": lambda: "Stopped cleanly.",
}

"""`pumasi keys`: the keys of this installation."""

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.shared import options

if TYPE_CHECKING:
    from services.settings import Settings


def register(app: typer.Typer) -> None:
    keys = typer.Typer(no_args_is_help=True, help="Keys and passwords: one file each in PUMASI_KEYS, or `<data>-keys`.")
    keys.command("make", epilog=_EXAMPLES)(make)
    app.add_typer(keys, name="keys")


_EXAMPLES = """**Examples**

- `pumasi keys make`: in `.pumasi-keys`, what isn't there yet
- `PUMASI_KAFKA=k1:9092 PUMASI_KEYS=/etc/pumasi/keys pumasi keys make`: for a cluster, if it knows of none
"""


def make(
    lost: Annotated[
        bool,
        typer.Option(
            "--lost",
            help="Make new ones in place of keys that are in use and can't be found any more. Contacts that were sealed for them can't "
            "be read again, and everybody gets a new pseudonym.",
        ),
    ] = False,
    kafka: options.Kafka = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Make the keys and passwords that are missing. One that is there is never touched.

    A new key beside a Kafka that knows another is refused (exit status 2): put the former one back, or say that it is --lost. Where no
    broker runs on the data directory, but has run before, start it first with `pumasi kafka`: only it knows.
    """
    from services.settings import load

    settings = load(kafka=kafka, data=data)
    made = asyncio.run(_make(settings, lost))
    if as_json:
        from services import keys

        print(json.dumps({"keys": str(keys.directory(settings)), "made": made}))
        return
    _show(settings, made)


async def _make(settings: "Settings", lost: bool) -> list[str]:
    from services import keys
    from services.bus import access, fingerprints
    from services.bus.bootstrap import bootstrap_of
    from services.errors import KafkaUnreachable

    passwords: list[str] = [] if settings.open else keys.make_passwords(settings, access.USERS)
    if not keys.missing(settings) and not lost:
        return passwords
    fresh = settings.kafka is None and not (settings.data / "kafka" / "log").exists()
    try:
        bootstrap = None if fresh else bootstrap_of(settings, access.KEYS)
        told = await fingerprints.known(bootstrap) if bootstrap else {}
    except KafkaUnreachable as error:
        error.hint = (
            "Only Kafka knows whether other keys are in use. Start it with `pumasi kafka`, or set PUMASI_KAFKA."
        )
        raise
    if not lost:
        fingerprints.refuse_if_lost(str(bootstrap), told, keys.missing(settings))
    made = keys.make(settings, lost=lost)
    if bootstrap:
        await fingerprints.tell(bootstrap, "keys", keys.fingerprints(settings))
    return [*made, *passwords]


def _show(settings: "Settings", made: list[str]) -> None:
    from services import keys
    from services.terminal import Terminal, marked

    where = keys.directory(settings)
    if not made:
        Terminal().print(marked("Nothing is missing in {}.", where), soft_wrap=True)
        return
    Terminal().print(marked("Made in {}: {}.", where, ", ".join(made)), soft_wrap=True)
    Terminal().print("Keep a copy where no copy of the data is: without them nobody can be told anything any more.")

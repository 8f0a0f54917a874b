"""`pumasi access`: may everybody do in a cluster's Kafka what the table says; and give users their passwords and rights."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Annotated

import typer

from services.bus import access as bus
from services.bus.access import Grant
from services.cli.shared import options
from services.errors import KafkaRefused, UsageError
from services.terminal import Terminal, marked

EXAMPLES = """**Examples**

- `PUMASI_KAFKA=k1:9092 PUMASI_KAFKA_USER=admin pumasi access`: what of the table is missing there, or too much
- `PUMASI_KAFKA=k1:9092 pumasi access --apply`: as `pumasi-broker`, whose password lies in `PUMASI_KEYS`, give everybody theirs
"""


def access(
    apply: Annotated[
        bool,
        typer.Option(
            "--apply", help="Give our users the passwords that lie in PUMASI_KEYS, and the rights of the table."
        ),
    ] = False,
    kafka: options.Kafka = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Check who may do what in a cluster's Kafka, or make it so: each service is a user of its own, with what it does and nothing else.

    Needs an admin of the cluster: PUMASI_KAFKA_USER, or else `pumasi-broker`. Exit status 1 if rights are missing, or if users of ours
    have more. `--apply` makes both right, and may be repeated; of users that aren't Pumasi's it touches nothing. The embedded broker
    does the same by itself at every start. Where an operator gives the rights (Strimzi), leave it to that.
    """
    from services.system.sender_users import passwords

    settings = options.load(kafka=kafka, data=data)
    if not settings.kafka:
        raise UsageError(
            "no cluster is named, and the embedded broker gives users their rights by itself",
            hint="Name it with --kafka or PUMASI_KAFKA.",
        )
    bootstrap = options.bootstrap_of(settings, bus.BROKER)
    given = passwords(settings) if apply else {}
    found = asyncio.run(_found(bootstrap, given))
    wanted = bus.grants_of({grant.user for grant in found})
    missing, too_much = wanted - found, found - wanted
    if as_json:
        told = {"missing": _lines(missing), "too_much": _lines(too_much), "passwords_given": sorted(given)}
        print(json.dumps(told | {"ok": not missing and not too_much}))
    else:
        _show(missing, too_much, given)
    if missing or too_much:
        raise typer.Exit(1)


async def _found(bootstrap: str, given: "Mapping[str, str]") -> "frozenset[Grant]":
    """The rights that our users have, once those given have their passwords."""
    from aiokafka.errors import ClusterAuthorizationFailedError, KafkaError

    from services.bus.client.unreachable import why_unreachable
    from services.bus.client.users import let_in, rights

    try:
        if given:
            await let_in(bootstrap, given, all_senders=False)
        return await rights(bootstrap)
    except ClusterAuthorizationFailedError:
        raise KafkaRefused(
            f"our user may not ask Kafka at {bootstrap} who may do what, nor change it",
            hint="PUMASI_KAFKA_USER names an admin of the cluster: one of its `super.users`.",
        ) from None
    except KafkaError as error:
        raise await why_unreachable(bootstrap, error) from error


def _show(missing: "Iterable[Grant]", too_much: "Iterable[Grant]", given: "Mapping[str, str]") -> None:
    terminal = Terminal()
    for line in _lines(missing):
        terminal.print(marked("[red]missing[/]   {}", line), soft_wrap=True)
    for line in _lines(too_much):
        terminal.print(marked("[red]too much[/]  {}", line), soft_wrap=True)
    if given:
        terminal.print(marked("{} users have their passwords.", len(given)))
    if not missing and not too_much:
        terminal.print("Everybody may do what the table says, and nothing else.")
    elif not given:
        terminal.print(marked("\nMake it so with [bold]pumasi access --apply[/]."))


def _lines(grants: "Iterable[Grant]") -> list[str]:
    return sorted(
        f"{grant.user}: {grant.right.name} {grant.kind.name} {grant.name}{'*' if grant.prefixed else ''}"
        for grant in grants
    )

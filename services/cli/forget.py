"""`pumasi forget`: how somebody is reached is forgotten, in all copies."""

import asyncio
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from services.bus import access
from services.called import as_called
from services.cli.shared import options, renewal
from services.cli.shared.results import show
from services.counted import counted

if TYPE_CHECKING:
    from services.rotation import Rotated

EXAMPLES = """**Examples**

- `pumasi forget ~k3j9…`: one word for somebody, as it stands on notices, and the thanks of their cases
- `pumasi forget 'tel:+86 138 0013 8000'`: however it is written, in all funds and roles
- `pumasi forget mailto:kim@example.org --fund jilin --yes --json`: there alone, without asking
- `pumasi forget - < address.txt`: so that no shell remembers it
"""


def forget(
    who: Annotated[
        str,
        typer.Argument(metavar="SUBJECT|ADDRESS", help="A word for somebody, or an address; -: from standard input."),
    ],
    fund: Annotated[str | None, typer.Option("--fund", metavar="FUND", help="There alone.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Return only once the sealed records have left the topic: up to an hour.")
    ] = False,
    kafka: options.Kafka = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Forget how somebody is reached, and the words of thanks of their cases.

    Contact and texts are taken off the contacts topic, all others are sealed for a new key, and the notifier's former key is destroyed:
    from then on nothing opens what was kept of them, not in a backup either. What is sealed leaves the disk within an hour.

    The ledger and its totals stay: they hold words and sums, and nothing leads from there to anybody. Whoever takes part again is
    known again. Of money of theirs that is still to be paid or handed over they hear no more until then.

    Exit status 1, and with --json the code `unknown_id`: nothing is kept of them, or all is forgotten already. Exit status 1, and
    `undecided`: words of thanks wait for a matcher that may be for a case of theirs, which nobody can tell yet. Then run it again. If
    it is cut short, run it again too: nothing is lost.

    Run it where notifier.key is, and for an address pseudonym.key too.
    """
    settings = options.load(kafka=kafka, data=data)
    found, undecided, told = _forgotten(who, settings, fund, yes, as_json)
    if wait:
        from services.bus.contacts import until_gone

        asyncio.run(until_gone(options.bootstrap_of(settings, access.KEYS), found))
    show(
        as_json,
        {
            "code": "undecided" if undecided else "forgotten",
            "forgotten": told.forgotten,
            "undecided": undecided,
            "gone": wait,
            "rotated": asdict(told),
        },
        f"Forgotten: {counted(told.forgotten, 'contact or text', 'contacts and texts')}. Nothing opens what was kept any more: "
        f"the notifier's key is a new one, {told.key}.",
        "What is still to come of their pledges and cases no address is told, unless they take part again.",
        "It has left the topic." if wait else "It leaves the disk within an hour, while a notifier runs.",
        "The ledger, its totals and what was told (by words, without addresses) stay as they are.",
        renewal.COPIES,
        as_called(_not_known_yet(undecided)) if undecided else None,
    )
    if undecided:
        raise typer.Exit(1)


def _forgotten(
    who: str, settings: "options.Settings", fund: str | None, yes: bool, as_json: bool
) -> "tuple[list[bytes], int, Rotated]":
    """Forget one person; the subjects under which something may have been kept of them, how many texts of now may be for theirs, and
    what was done.

    Raises:
        UnknownId: if nothing is kept of them.
        Undecided: if nothing is that is known by now.
    """
    from services.errors import Undecided, UnknownId
    from services.forgetting import find, sought

    looked_for = sought(sys.stdin.readline().strip() if who == "-" else who, settings, fund)
    if not yes:
        renewal.ask(
            "How this person is reached will be forgotten, for good. Of money of theirs that is still to be paid or handed over they "
            "will hear no more.",
            "forget",
        )
    ledger, contacts = (options.bootstrap_of(settings, user) for user in (access.OPERATOR, access.KEYS))
    found, undecided = asyncio.run(find(ledger, contacts, looked_for))
    try:
        return found, undecided, renewal.rotated(settings, as_json, found)
    except UnknownId as nothing:
        if not undecided:
            raise
        raise Undecided(f"{nothing.message} that is known yet", hint=_not_known_yet(undecided)) from None


def _not_known_yet(undecided: int) -> str:
    are = "1 text of thanks is" if undecided == 1 else f"{undecided:,} texts of thanks are"
    return (
        f"{are} for a case that the ledger doesn't speak of yet, which may be theirs: run this again once a matcher has caught up, and "
        "dead letters of commands are put back, see `pumasi status`."
    )

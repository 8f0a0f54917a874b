"""How renewing this installation's own keys is asked for and shown: for `pumasi keys rotate` and `pumasi forget`."""

from __future__ import annotations

import asyncio
import base64
import secrets
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Final

from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn

from services import keys
from services.bus import access
from services.called import as_called
from services.cli.shared.bars import bars
from services.cli.shared.options import bootstrap_of
from services.cli.shared.results import show
from services.errors import UsageError

if TYPE_CHECKING:
    from services.rotation import Progress, Rotated
    from services.settings import Settings

_STAGES: Final = {
    "read": "Reading contacts",
    "seal": "Sealing contacts anew",
    "follow": "Waiting until each intake uses the new key",
}
_NEWS: Final = {
    "intake": "intake.pub is what senders seal for from now on: give it to those who seal contacts for the topic. Once all of them "
    "have it: pumasi keys revoke intake --old",
    "reporter": "Keep reporter-….key with it, in your copy of the keys too: only those open what came before. None of them belongs "
    "where services run.",
}
_LOST: Final = {
    "intake": "What senders go on sealing for the former key becomes a dead letter.",
    "reporter": "Nobody will ever again be told of access in cases that came before the key was renewed.",
}
COPIES: Final = "Renew notifier.key in your copy of the keys now, and destroy the former one there: it opens older copies of the data."


def ask(what: str, word: str) -> None:
    """Have somebody type a word before what can't be undone.

    Raises:
        UsageError: if nobody can be asked.
        typer.Exit: with status 1, if it is another word.
        KeyboardInterrupt: on Ctrl-C, which is no word: a command ends by it as by any other.
    """
    import typer

    if not sys.stdin.isatty():
        raise UsageError("nobody can be asked here, and this can't be undone", hint="Say that you mean it: --yes")
    try:
        typed = typer.prompt(f"{what} Type {word} to go on", err=True)
    except typer.Abort:
        print(file=sys.stderr)
        raise KeyboardInterrupt from None
    if typed.strip() != word:
        print("Nothing was done.", file=sys.stderr)
        raise typer.Exit(1)


def rotated(settings: Settings, as_json: bool, forget: Collection[bytes] | None = None) -> Rotated:
    """Renew the notifier's key, as `rotate_notifier` does."""
    from services.rotation import rotate_notifier

    with _bar(quiet=as_json) as progress:
        return asyncio.run(rotate_notifier(bootstrap_of(settings, access.KEYS), settings, progress, forget))


def _notifier(settings: Settings, as_json: bool) -> None:
    told = rotated(settings, as_json)
    show(
        as_json,
        {"rotated": "notifier", **asdict(told)},
        f"The notifier has a new key, {told.key}. Sealed anew: {told.resealed} of {told.living}, in {told.seconds:.1f} s.",
        f"{told.unopened} can't be opened by any key here, and couldn't before." if told.unopened else None,
        f"The former key is destroyed. {COPIES}",
    )


def _ring(whose: str, settings: Settings, as_json: bool) -> None:
    from services.succession import renew

    with _bar(quiet=as_json) as progress:
        told = asyncio.run(renew(bootstrap_of(settings, access.KEYS), settings, whose, progress))
    lost = f"Senders whose secrets no key here opens, nor did before: {told.unopened}. Renew theirs: pumasi keys rotate NAME"
    show(
        as_json,
        {"rotated": whose, **asdict(told)},
        f"{whose} has a new key, {told.key}, in {told.seconds:.1f} s. The former one opens as well: {', '.join(told.kept)}",
        f"Senders whose signing secrets are sealed for it now: {told.resealed}." if told.resealed else None,
        as_called(lost) if told.unopened else None,
        as_called(_NEWS[whose]),
    )


def revoke(what: str, settings: Settings, old: bool, yes: bool, as_json: bool) -> None:
    """Let the keys before the newest of what is named `what` in OURS count no more.

    Raises:
        UsageError: if there are none that could count.
    """
    if what == "webhook":
        _revoke_webhook(settings, old, as_json)
    elif what in keys.RINGS:
        _revoke_former(what, settings, old, yes, as_json)
    else:
        raise UsageError(f"only one of {what} counts at a time", hint=f"Renew it: pumasi keys rotate {what}")


def _revoke_former(whose: str, settings: Settings, old: bool, yes: bool, as_json: bool) -> None:
    """Destroy the former keys of intake or the reporter, after asking.

    Raises:
        UsageError: if the key in use should go too, if nobody can be asked, or as `succession.revoke`.
    """
    from services.succession import revoke

    if not old:
        raise UsageError(
            f"{whose} always has a key", hint=f"Only those before it can be revoked: pumasi keys revoke {whose} --old"
        )
    former = keys.former_names(settings, whose)
    if former and not yes:
        ask(f"This destroys {', '.join(former)}. {_LOST[whose]}", whose)
    gone = asyncio.run(revoke(bootstrap_of(settings, access.KEYS), settings, whose))
    copies = f"Destroy {', '.join(gone)} in every copy of the keys too, and on every machine that has them."
    told = {"revoked": len(gone), "destroyed": gone}
    show(as_json, told, f"{whose}: {len(gone)} revoked.", copies if gone else None)


def _passwords(settings: Settings, as_json: bool) -> None:
    from services.bus.embedded.directory import running_broker

    if settings.kafka is not None:
        raise UsageError(
            "a cluster's users get their passwords while it runs, and services that use them start again",
            hint="Write a new one over `<user>.password` in PUMASI_KEYS (`openssl rand -base64 32`; not over the admin's, whom you "
            "connect as), call `pumasi access --apply`, which gives each user what lies there, and start its service again.",
        )
    if running_broker(settings.data) is not None:
        raise UsageError(
            f"a broker runs on {settings.data.absolute()}, and is told passwords when it starts",
            hint="Stop it (Ctrl-C in `pumasi up`), do this again, and start it.",
        )
    made = keys.renew_passwords(settings, access.USERS)
    told = f"{len(made)} passwords are new; the broker is told them at its next start."
    show(as_json, {"rotated": "passwords", "made": made}, told)


def _webhook(settings: Settings, as_json: bool) -> None:
    if settings.webhook_secret is not None:
        raise UsageError(
            "PUMASI_WEBHOOK_SECRET says what notices are signed with",
            hint="Put a new secret before the former one there, with a blank between: both sign. Or unset it, and do this again.",
        )
    fresh = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    keys.put_webhook_secrets(settings, [fresh, *keys.webhook_secrets(settings)[:1]])
    show(
        as_json,
        {"rotated": "webhook", "secret": fresh},
        f"Notices are signed with this from now on, and with the one before it. Give it to the receiver:\n  {fresh}",
        as_called("Once it is known there: pumasi keys revoke webhook --old"),
        "A notifier that was started with PUMASI_WEBHOOK_SECRET signs by that alone: start it again without.",
    )


def _revoke_webhook(settings: Settings, old: bool, as_json: bool) -> None:
    """Let only the newest secret of the webhook sign.

    Raises:
        UsageError: if that one should go too: no notice goes out unsigned.
    """
    if not old or settings.webhook_secret is not None:
        raise UsageError(
            "notices are always signed", hint="Only the secret before the newest in PUMASI_KEYS can be revoked: --old"
        )
    known = keys.webhook_secrets(settings)
    keys.put_webhook_secrets(settings, known[:1])
    revoked = len(known[1:])
    show(as_json, {"revoked": revoked}, f"webhook: {revoked} revoked.")


OURS: Final[dict[str, Callable[[Settings, bool], None]]] = {
    "intake": partial(_ring, "intake"),
    "notifier": _notifier,
    "passwords": _passwords,
    "reporter": partial(_ring, "reporter"),
    "webhook": _webhook,
}
"""What is this installation's own, and no sender's name → what renews it."""


@contextmanager
def _bar(quiet: bool) -> Iterator[Progress]:
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with bars(quiet, *columns) as bar:
        task = bar.add_task("Looking", total=None)
        yield lambda stage, done, total: bar.update(task, description=_STAGES[stage], completed=done, total=total)

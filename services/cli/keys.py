"""`pumasi keys`: the keys of this installation, and who may send what."""

import asyncio
import json
import re
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from nacl.encoding import Base64Encoder
from rich.table import Table

from services import keys, secret_files
from services.bus import access
from services.bus.bootstrap import bootstrap_of
from services.bus.security import Servers, servers
from services.called import as_called
from services.cli.shared import options, renewal, results
from services.cli.shared.helps import Commands
from services.errors import KafkaUnreachable, SettingError, UnknownId, UsageError
from services.keys import public_key
from services.system.progress import BrokerProgress
from services.terminal import Terminal, marked

if TYPE_CHECKING:
    from schemas.senders import Sender
    from services.senders import Issued

Name = Annotated[str, typer.Argument(metavar="NAME", help="The sender: 1 to 32 of a-z, 0-9 and -.")]
Scopes = Annotated[
    list[str] | None,
    typer.Option(
        "--scope",
        metavar="SCOPE",
        help="What it may send: funds, cases, vouch, pledges, payments, deliveries, or read (nothing). May be given again.",
    ),
]
Funds = Annotated[list[str] | None, typer.Option("--fund", metavar="FUND", help="Where. May be given again.")]
AllFunds = Annotated[bool, typer.Option("--all-funds", help="In every fund, future ones too.")]

_EXAMPLES = """**Examples**

- `pumasi keys make`: in `.pumasi-keys`, what isn't there yet
- `PUMASI_KAFKA=k1:9092 PUMASI_KEYS=/etc/pumasi/keys pumasi keys make`: for a cluster, if it knows of none
- `pumasi keys add clinic-yanji --scope cases --scope deliveries --fund jilin`: cases and deliveries of that fund
- `pumasi keys add bank --scope payments --all-funds`: payments, wherever they belong
- `pumasi keys grant bank --scope payments --scope pledges --fund jilin`: that alone from now on, with the keys that it has
- `pumasi keys rotate bank`: a new key; the one before goes on counting until `pumasi keys revoke bank --old`
- `pumasi keys next`: a new key for the pseudonyms of funds that begin from now on
- `pumasi keys rotate notifier`: contacts are sealed for a new key, and the former is destroyed
- `pumasi keys rotate intake`: senders seal for a new key; the former opens too, until `pumasi keys revoke intake --old`
- `pumasi keys rotate reporter`: where care is sought is sealed for a new key; reports need the former ones too
- `pumasi keys revoke clinic-yanji`: within a second it may send nothing more
"""


_FORMS = {
    "sender": (
        "NAME",
        "a sender's name is 1 to 32 of a-z, 0-9 and -, with a letter or digit at both ends, and not `anyone`",
    ),
    "funds": ("--fund", "a fund's name is 1 to 64 of A-Z, a-z, 0-9 and ._~-"),
}
"""By the sender's field: where it comes from, and how it has to look."""
_LOSS = {
    "pseudonym": "who took part before is somebody new to funds when they take part again.",
    "id": "earlier events that are sent again count once more, and their receipts are not recognised.",
    "intake": "what senders sealed for it becomes a dead letter, and senders that sign need new secrets (`pumasi keys rotate NAME`).",
    "notifier": "no contact and no words of thanks that are kept can be opened again: all are told in PUMASI_LANGUAGE and without an "
    "address until a new case, pledge or vouch of theirs is applied that comes with a contact.",
    "reporter": "nobody will ever be told of access in cases that came before.",
}
"""By the key's name: what it means that it is lost."""


GROUP = Commands(
    "The keys of this installation, one file each in PUMASI_KEYS or `<data>-keys`; and senders: who may send what, over HTTP and on "
    "the topic.",
    _EXAMPLES,
)


@GROUP.command()
def make(
    lost: Annotated[
        bool,
        typer.Option(
            "--lost",
            help="Make new ones in place of keys that are in use and can't be found any more. What that means is said of each first.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask, where that can't be undone.")] = False,
    kafka: options.Kafka = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Make the keys and passwords that are missing. One that is there is never touched.

    A new key beside a Kafka that knows another is refused (exit status 2): put the former one back, or say that it is --lost. Where no
    broker runs on the data directory, but has run before, it is started for that moment: only it knows.
    """
    settings = options.load(kafka=kafka, data=data)
    _show_made(settings, asyncio.run(_make(settings, lost, yes)), as_json)


@GROUP.command()
def add(
    name: Name,
    scope: Scopes = None,
    fund: Funds = None,
    all_funds: AllFunds = False,
    kafka: options.Kafka = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Make a sender, and print its bearer key and signing secret, this once: nobody can read them later.

    The topic pumasi.senders.v1 keeps only a hash of the key, and the secret sealed for intake. Every intake knows the sender within a
    second. A name is given once, since what came from it is known by it. A fund that isn't there yet is warned of: its key counts once
    it is. On the embedded broker the sender also gets a Kafka user of its own, which may write submissions and nothing else; its
    client.properties is kept among the keys. On a cluster of your own its admin makes that user: what to call is printed.
    """
    from services.senders import issue

    scopes, funds = _rights(scope, fund, all_funds)
    settings, bootstrap = _where(kafka, data)
    if name in renewal.OURS:
        raise UsageError(f"{name} is no sender's name: `pumasi keys rotate {name}` is about this installation")
    if name in _known(bootstrap):
        raise UsageError(
            f"there is a sender {name}",
            hint="See `pumasi keys list`; `pumasi keys rotate` gives it a new key, `pumasi keys grant` says anew what it may send.",
        )
    with _checked():
        issued = issue(name, scopes, funds, public_key(settings, "intake"))
    # before anything is made: looking may take long, and a key is shown but once
    _issue(settings, bootstrap, issued, as_json, _warn_of_unknown(settings, funds))


@GROUP.command()
def grant(
    name: Name,
    scope: Scopes = None,
    fund: Funds = None,
    all_funds: AllFunds = False,
    kafka: options.Kafka = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Say anew what a sender may send, and where; its keys stay as they are.

    Name all that it may from now on: what isn't named, it may not any more. Every intake goes by it within a second. What came before
    stays; what waits on the topic is taken or refused by what counts when intake comes to it.
    """
    from schemas.senders import Sender
    from services.bus.senders import put_sender

    scopes, funds = _rights(scope, fund, all_funds)
    settings, bootstrap = _where(kafka, data)
    before = _there(_known(bootstrap).get(name), name)
    with _checked():
        granted = Sender.model_validate({**before.model_dump(), "scopes": scopes, "funds": funds})
    unknown = _warn_of_unknown(settings, funds)
    asyncio.run(put_sender(bootstrap, granted))
    where = ", ".join(funds) if funds else "all funds"
    results.show(
        as_json,
        {**_row(granted), **({"unknown_funds": unknown} if unknown else {})},
        f"{name} may send {', '.join(scopes)} in {where}.",
        None if granted.keys else as_called(f"It is revoked: `pumasi keys rotate {name}` lets it send again."),
    )


def _rights(scope: list[str] | None, fund: list[str] | None, all_funds: bool) -> tuple[Any, list[str] | None]:
    """What was said of scopes and of funds (None: all), each once. Raises BadParameter."""
    from schemas.senders import Scope

    known = get_args(Scope)
    if unknown := [one for one in scope or () if one not in known]:
        raise typer.BadParameter(f"no scope {unknown[0]!r}; there are {', '.join(known)}", param_hint="--scope")
    if not scope:
        raise typer.BadParameter("say what it may send", param_hint="--scope")
    if bool(fund) == all_funds:
        raise typer.BadParameter("name funds, or say --all-funds", param_hint="--fund")
    return list(dict.fromkeys(scope)), None if all_funds else list(dict.fromkeys(fund or ()))


@contextmanager
def _checked() -> "Iterator[None]":
    """Say of a sender that the contract doesn't allow which parameter is at fault."""
    from pydantic import ValidationError

    from schemas.senders import Sender
    from services.bus.envelope import explain

    try:
        yield
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        hint, said = _FORMS.get(str(first["loc"][0]), ("", explain(error, Sender)))
        said = first["msg"] if first["type"] == "looks_like_contact" else said
        raise typer.BadParameter(said, param_hint=hint) from None


@GROUP.command("list")
def show(kafka: options.Kafka = None, data: options.Data = None, as_json: options.Json = False) -> None:
    """List senders: what each may send, where, and since when its keys count; and this installation's own keys, by fingerprint.

    A sender without keys is revoked. Of our own it is told which is in use, whether it lies here, and how many former ones open too.
    """
    settings, bootstrap = _where(kafka, data)
    rows = [_row(sender) for _, sender in sorted(_known(bootstrap).items())]
    ours = _ours(settings, bootstrap)
    if as_json:
        print(json.dumps({"senders": rows, "keys": ours}))
        return

    table = Table("sender", "may send", "in", "keys since", box=None, pad_edge=False, header_style="bold")
    for row in rows:
        funds, keys = row["funds"] or ["all funds"], row["keys"] or ["revoked"]
        table.add_row(row["sender"], ", ".join(row["scopes"]), ", ".join(funds), ", ".join(keys))
    Terminal().print(table if rows else "No senders yet: `pumasi keys add` makes one.")
    if ours:
        table = Table("our own", "in use", "is here", "open as well", box=None, pad_edge=False, header_style="bold")
        for row in ours:
            former, here = len(row["former"]), "yes" if row["here"] else "no"
            table.add_row(row["key"], row["in_use"], here, f"{former} former" if former else "–")
        Terminal().print("", table, sep="\n")
        Terminal().print(
            "`pumasi keys rotate NAME` renews them, `pumasi keys next` the pseudonym key; the id key stays."
        )


@GROUP.command()
def rotate(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A sender; or our own: intake, notifier, reporter, webhook, passwords."),
    ],
    kafka: options.Kafka = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Give a sender a new key and secret, or renew a key of this installation.

    A sender's key before goes on counting, until it is revoked (--old) or renewed again: two overlap. A sender that was revoked may
    send again, by the new key alone. Its Kafka user has a new password at once: no two of these overlap.

    `notifier`: everybody's contacts are sealed anew, read back, and only then the former key is destroyed; nothing stops meanwhile, and
    what is cut short goes on when called again. Run it where notifier.key is. Renew it in your copy of the keys too: the former one
    opens old copies of the data.

    `intake`: senders seal for a new key, and their signing secrets are sealed anew for it. The former opens as well, so that nothing on
    its way is lost, until it is revoked (--old). Nothing stops meanwhile. Run it where intake.key is.

    `reporter`: where care is sought, and under which papers, is sealed for a new key. That stands on a topic that is kept for ever, so
    the former keys stay beside the new one, and `pumasi report access` opens all. Run it where reporter.key is.

    `webhook`: a new secret, shown this once; notices are signed with it and the one before, until that is revoked (--old).

    `passwords`: those of Kafka's users, while the embedded broker is stopped; it is told them at its next start.

    `id.key` is never renewed: what came before would be unknown.
    """
    if name in renewal.OURS:
        renewal.OURS[name](options.load(kafka=kafka, data=data), as_json)
        return
    from services.senders import renewed

    settings, bootstrap = _where(kafka, data)
    sender = _there(_known(bootstrap).get(name), name)
    _issue(settings, bootstrap, renewed(sender, public_key(settings, "intake")), as_json)


@GROUP.command()
def revoke(
    name: Name,
    old: Annotated[bool, typer.Option("--old", help="Only the keys before the newest.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask, where that can't be undone.")] = False,
    kafka: options.Kafka = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Let a sender's keys count no more: within a second every intake refuses them, and Kafka its user. What came before stays.

    `webhook --old`: notices are signed with the newest secret alone.

    `intake --old`: the keys before the newest are destroyed; what a sender still seals for them becomes a dead letter. Refused while
    submissions wait.

    `reporter --old`: likewise; nothing will ever open again what cases said of access before. `pumasi report access` says of how many.
    """
    from services.bus.senders import put_sender

    if name in renewal.OURS:
        renewal.revoke(name, options.load(kafka=kafka, data=data), old, yes, as_json)
        return
    settings, bootstrap = _where(kafka, data)
    sender = _there(_known(bootstrap).get(name), name)
    left = sender.model_copy(update={"keys": sender.keys[-1:] if old else []})
    asyncio.run(put_sender(bootstrap, left))
    user = {} if old else _kafka_user(settings, bootstrap, name, gone=True)
    told = f"{name}: {len(sender.keys) - len(left.keys)} revoked, {len(left.keys)} left."
    results.show(as_json, {**_row(left), **user}, told, *_for_the_admin(user))


@GROUP.command("next")
def follow(kafka: options.Kafka = None, data: options.Data = None, as_json: options.Json = False) -> None:
    """Make a new pseudonym key. It serves funds that begin a quarter of an hour from now and later; each fund keeps its own key.

    All keys are needed for as long as their funds are there. On several machines put the new file into every intake's PUMASI_KEYS at
    once: an intake that lacks it stops within a minute. For two and a half minutes before the key serves, and after, no fund begins.
    """
    settings, bootstrap = _where(kafka, data)
    name, made = asyncio.run(_next(settings, bootstrap))
    _show_made(settings, made, as_json)
    if not as_json:
        begins = marked("It serves funds that begin from {} UTC on.", name.removeprefix(keys.NEXT))
        Terminal().print(begins, soft_wrap=True)


async def _next(settings: "options.Settings", bootstrap: str) -> tuple[str, list[str]]:
    """The name of the key that serves next, and the files that were made: none, if it was there."""
    from services.bus import fingerprints

    now = time.time_ns() // 1000
    with keys.renewing(settings):
        there = keys.pseudonym_names(settings)
        await fingerprints.hold(bootstrap, "keys", keys.fingerprints(settings, *there), keys.directory(settings))
        await fingerprints.refuse_if_behind(bootstrap, now)
        name = keys.make_next(settings, now)
        await fingerprints.move(bootstrap, keys.fingerprints(settings, name))
    return name, [] if name in there else [f"{name}.key"]


def _ours(settings: "options.Settings", bootstrap: str) -> list[dict[str, Any]]:
    """Our own keys, as they are listed: which are in use, and what of them lies here."""
    from services.bus import fingerprints

    told = asyncio.run(fingerprints.known(bootstrap))
    rows = []
    for name in sorted(one for one in told if not one.endswith(fingerprints.FORMER)):
        here = False
        with suppress(SettingError):
            here = keys.fingerprints(settings, name).get(name) == told[name]
        rows.append({"key": name, "in_use": told[name], "here": here, "former": keys.former_names(settings, name)})
    with suppress(SettingError):  # of the webhook's, which Kafka knows nothing of, those here are in use
        if signing := [keys.fingerprint(one.encode()) for one in keys.webhook_secrets(settings)]:
            rows.append({"key": "webhook", "in_use": signing[0], "here": True, "former": signing[1:]})
    return rows


def _where(kafka: str | None, data: Any) -> "tuple[options.Settings, str]":
    settings = options.load(kafka=kafka, data=data)
    return settings, options.bootstrap_of(settings, access.KEYS)


def _known(bootstrap: str) -> "dict[str, Sender]":
    from services.bus.senders import senders

    return asyncio.run(senders(bootstrap))


def _there(sender: "Sender | None", name: str) -> "Sender":
    if sender is None:
        raise UnknownId("there is no sender of this name", hint="See `pumasi keys list`.")
    return sender


def _row(sender: "Sender") -> dict[str, Any]:
    """A sender as it is listed: of its keys only since when they count."""
    told = sender.model_dump(mode="json")
    return {**told, "keys": [key["made"] for key in told["keys"]]}


def _issue(
    settings: "options.Settings", bootstrap: str, issued: "Issued", as_json: bool, unknown: Iterable[str] = ()
) -> None:
    """Show a sender's key and secret, and write it; `unknown`: its funds that aren't there yet.

    In this order: a key that is shown and doesn't count yet is worth nothing, and one that counts and was never shown is lost.
    """
    from services.bus.senders import put_sender

    name = issued.sender.sender
    user = _kafka_user(settings, bootstrap, name)
    user |= {"unknown_funds": unknown} if unknown else {}
    before = as_called(f"The key before goes on counting; `pumasi keys revoke {name} --old` ends it.")
    config = (
        f"Kafka lets it in by the password in this file, and lets it write submissions:\n  {user.get('kafka_config')}"
    )
    seal_for = public_key(settings, "intake").encode(Base64Encoder).decode()
    results.show(
        as_json,
        {**_row(issued.sender), "key": issued.key, "secret": issued.secret, "intake_public_key": seal_for, **user},
        f"Shown this once. Over HTTP, `Authorization: Bearer …`:\n  {issued.key}",
        f"On the topic, with `pumasi-sender: {name}` and Standard Webhooks' headers, signed with:\n  {issued.secret}",
        f"What it seals (`sealed_contact`, a text of `thanks`) it seals for intake.pub, which is no secret:\n  {seal_for}",
        before if len(issued.sender.keys) > 1 else None,
        config if "kafka_config" in user else None,
        *_for_the_admin(user),
    )
    sys.stdout.flush()
    asyncio.run(put_sender(bootstrap, issued.sender))


def _warn_of_unknown(settings: "options.Settings", funds: list[str] | None) -> list[str]:
    """Say of each fund that the ledger doesn't know, if it can be asked; returns these."""
    from services.errors import PumasiError

    known: set[str] = set()
    try:
        if funds:
            known = asyncio.run(_funds(options.bootstrap_of(settings, access.OPERATOR)))
    except (PumasiError, ValueError):  # no operator's password here, no ledger, or not one that can be read
        return []
    unknown = [fund for fund in funds or () if fund not in known]
    for fund in unknown:
        near = "".join(f" (did you mean {one}?)" for one in get_close_matches(fund, known, 1))
        print(f"There is no fund {fund} yet{near}: the key counts there once there is.", file=sys.stderr)
    return unknown


async def _funds(bootstrap: str) -> set[str]:
    """The funds that are configured, by the ledger."""
    from services.bus.consume.scan import TopicReader
    from services.bus.topics import LEDGER

    async with TopicReader(bootstrap) as reader:
        values = [
            record.value async for record in reader.records(LEDGER) if b'"fund_configured"' in (record.value or b"")
        ]
    return {json.loads(value)["fund"] for value in values if value}


def _kafka_user(settings: "options.Settings", bootstrap: str, name: str, *, gone: bool = False) -> dict[str, Any]:
    """Let a sender in as a Kafka user of its own, or shut it out; returns what to print about it."""
    from services.system import sender_users

    if settings.way_in == "plain":
        return {}
    if settings.kafka is not None:
        return {"kafka_admin": sender_users.for_the_admin(settings.kafka, name, gone=gone)}
    if gone:
        sender_users.shut_out(settings, name)
        return {}
    return {"kafka_config": str(asyncio.run(sender_users.let_in(settings, bootstrap, name)))}


def _for_the_admin(user: dict[str, Any]) -> list[str]:
    told = user.get("kafka_admin", [])
    return ["Its Kafka user is for the cluster's admin:", *(f"  {line}" for line in told)] if told else []


async def _make(settings: "options.Settings", lost: bool, yes: bool) -> list[str]:
    passwords: list[str] = [] if settings.open else keys.make_passwords(settings, access.USERS)
    if not keys.missing(settings) and not lost:
        return [*keys.make(settings), *passwords]  # none; but what a kill left goes
    try:
        async with _kafka_that_knows(settings) as bootstrap:
            return [*await _make_beside(settings, bootstrap, lost, yes), *passwords]
    except BaseException:  # Kafka was to be asked with them; refused, there is nothing that they belong to
        for name in passwords:
            secret_files.destroy(keys.directory(settings) / name)
        raise


@asynccontextmanager
async def _kafka_that_knows(settings: "options.Settings") -> "AsyncIterator[Servers | None]":
    """Where Kafka is; the embedded broker is started if it doesn't run, and None is given if it never has."""
    from services.bus.embedded.directory import running_broker
    from services.system.whole import broker_of

    if settings.kafka or running_broker(settings.data):
        yield bootstrap_of(settings, access.KEYS)
    elif not (settings.data / "kafka" / "log").exists():
        yield None
    else:
        with BrokerProgress(quiet=True) as progress:
            async with broker_of(settings, progress) as broker:
                yield servers(settings, broker.bootstrap, access.KEYS)


async def _make_beside(settings: "options.Settings", bootstrap: "Servers | None", lost: bool, yes: bool) -> list[str]:
    from services.bus import fingerprints

    try:
        told = await fingerprints.known(bootstrap) if bootstrap else {}
    except KafkaUnreachable as error:
        error.hint = "Only Kafka knows whether other keys are in use. See that it runs where PUMASI_KAFKA says."
        raise
    gone = [f"{name}.key" for name in told if name.startswith(keys.NEXT) and name not in keys.pseudonym_names(settings)]
    if not lost:
        fingerprints.refuse_if_lost(str(bootstrap), told, keys.missing(settings), keys.directory(settings))
    elif not yes and (means := _losses(fingerprints.in_use_of(told, [*keys.missing(settings), *gone]))):
        renewal.ask(as_called("\n  ".join(["What it means that these are lost, for good:", *means])), "lost")
    made = keys.make(settings, lost=lost, also=gone if lost else ())
    if bootstrap:
        await fingerprints.tell(bootstrap, "keys", keys.fingerprints(settings))
    return made


def _show_made(settings: "options.Settings", made: list[str], as_json: bool) -> None:
    where = keys.directory(settings)
    if as_json:
        print(json.dumps({"keys": str(where), "made": made}))
        return
    if not made:
        Terminal().print(marked("Nothing is missing in {}.", where), soft_wrap=True)
        return
    Terminal().print(marked("Made in {}: {}.", where, ", ".join(made)), soft_wrap=True)
    if means := _losses(made):
        Terminal().print("Keep a copy where no copy of the data is. What it would mean that one is lost:")
        Terminal().print(*(f"  {line}" for line in means), sep="\n", soft_wrap=True)


def _losses(files: Iterable[str]) -> list[str]:
    """What it means to lose each key of which there are files, a line each; passwords are made anew."""
    by_name = {re.split(r"[-.]", file)[0]: file for file in files if file.endswith(".key")}
    return [f"{file}: {_LOSS[name]}" for name, file in sorted(by_name.items())]

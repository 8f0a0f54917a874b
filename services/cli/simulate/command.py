"""`pumasi simulate`: what a policy would do, before anyone chooses it; and whether the engine does what the rule says."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import typer
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from schemas.times import DAY, parse
from services.bus import access
from services.cli.shared.bars import bars, reading
from services.cli.shared.helps import Command
from services.cli.shared.options import bootstrap_of, load
from services.cli.simulate import options as o
from services.errors import FileUnwritable, UnknownId, UsageError
from services.terminal import Terminal
from services.visible import json_line, visible

if TYPE_CHECKING:
    from services.policies.commandlog import CommandLog
    from services.policies.comparison import Comparison, Source
    from services.policies.policy import Policy
    from services.policies.runs import Progress
    from services.policies.season.parameters import Season
    from services.policies.spread import Spread


def register(app: typer.Typer) -> None:
    app.command("simulate", cls=_Taught)(simulate)


class _Taught(Command):
    """Reads rules and fields off the contract only when help is asked for: its models take a moment to load."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from services.policies.meaning import FIELDS, TOLD, field_line

        rules = "\n".join(f"- `{rule}`: {told.sentence}" for rule, told in TOLD.items())
        fields = "\n".join(f"- {field_line(field)}" for field in FIELDS if field != "rule")
        self.epilog = _EPILOG.replace("{rules}", rules).replace("{fields}", fields)
        super().format_help(ctx, formatter)


_EPILOG = """**Examples**

- `pumasi simulate`: a season of 90 days, under each rule
- `pumasi simulate --generosity 0.4 --policy urgency-waterfill/1 --policy first-come/1 --html r.html`: a lean season, with plots
- `pumasi simulate --fund jilin`: fund jilin's own commands, under each rule
- `pumasi simulate --fund jilin --change weights=claim --last 30`: what if its policy had been changed thirty days ago?

**The rules**

{rules}

All three keep this: splitting a pledge changes nothing, more money takes from nobody, a promise is never taken away for someone else.

**A policy's fields**

{fields}

**A log's file** holds one CloudEvent a line, as JSON, in the order in which the commands came:

`{"type": "pumasi.payment.received", "time": "2026-11-22T10:00:00Z", "id": "e-7", "partition": 0,
"data": {"fund": "jilin", "pledge": "p-1", "payment": "m-1", "amount": 10000}}`

`type`, `time` and `data` are required. `partition` (default 0) says which partition's clock a tick moves. `--save` writes such a file.
Keep it as confidential as the commands topic.
"""


def simulate(
    context: typer.Context,
    seed: o.Seed = 1,
    seeds: o.Seeds = None,
    days: o.Days = 90,
    funds: o.Funds = 1,
    cases: o.Cases = 4.0,
    generosity: o.Generosity = 0.7,
    defaults: o.Defaults = 0.05,
    neglect: o.Neglect = 1.0,
    log: o.Log = None,
    fund: o.Fund = None,
    kafka: o.Kafka = None,
    data: o.Data = None,
    policy: o.Policies = None,
    change: o.Change = None,
    since: o.Since = None,
    last: o.Last = None,
    html: o.Html = None,
    save: o.Save = None,
    as_json: o.Json = False,
    definitions: o.Definitions = False,
) -> None:
    """Compare policies on the same needs and the same money: who is funded, when, how evenly, and what lies idle.

    Plays a generated season (seeded; fitted to the demo's five stories), or a recorded log of commands from Kafka or a file. Each
    policy is a whole run of the real engine. In a season people react: donors pay when they are matched, go-betweens hand over what is
    paid. In a recorded log they do what they did. Nothing is ever written to Kafka.

    --change shows, case by case, what a change of policy would have altered in a recorded log.
    """
    from services.policies.season.parameters import Season

    mode = o.mode_of(_given(context))
    for path in filter(None, (html, save)):
        _writable(path)
    if mode == "--definitions":
        _define(as_json)
        return
    season = Season(seed, days, funds, cases, generosity, defaults, neglect)
    if mode == "--seeds":
        _seeds(season, seeds or 2, policy or [], html, as_json)
        return
    if mode == "a generated season":
        _season(season, policy or [], html, save, as_json)
        return
    recorded = _log(log, tuple(fund or ()), kafka, data, as_json)
    if save:
        _save(save, recorded.said, as_json)
    origin = _origin(log, fund or [], kafka, data), _shared_origin(log, fund or [])
    if mode == "--change":
        _change(recorded, change or "", since, last, as_json)
    else:
        _recorded(recorded, origin, policy or [], html, as_json)


def _given(context: typer.Context) -> set[str]:
    """The options that stand on the command line."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}


# ---- what is played


def _season(season: "Season", asked: list[str], html: Path | None, save: Path | None, quiet: bool) -> None:
    from services.policies.comparison import log_of_season
    from services.policies.runs import SeasonSource

    policies = _policies(asked)
    _bounded(season, len(policies), quiet)
    source = SeasonSource(season)
    if save:
        _save(save, log_of_season(source, policies[0]), quiet)
    told = _told(season)
    _compare(source, policies, (told, told), html, quiet)


def _seeds(season: "Season", seeds: int, asked: list[str], html: Path | None, quiet: bool) -> None:
    from services.policies.spread import over_seeds

    policies = _policies(asked)
    runs = seeds * len(policies)
    _bounded(season, runs, quiet)
    command = " ".join(
        ["./run simulate", f"--seeds {seeds}", _told(season), *(f"--policy {one.name}" for one in policies)]
    )
    with _bars([f"{runs} runs"], quiet) as progress:
        done = [0] * runs

        def together(number: int, played: int, total: int) -> None:
            done[number] = played
            progress(0, sum(done), total * runs)

        spread = over_seeds(season, seeds, policies, command, together)
    if quiet:
        print(json_line(spread.as_json()))
    else:
        from services.policies.report.spread import show
        from services.terminal import Terminal

        show(spread, Terminal())
    if html:
        _page(spread, html, quiet)


def _policies(asked: list[str]) -> "list[Policy]":
    from services.policies.meaning import RULES
    from services.policies.policy import parse_policy, usual

    policies = [parse_policy(text) for text in asked] or usual(recorded=False)
    if not all(policy.changes for policy in policies):
        raise UsageError(
            "--policy recorded: a generated season has no recorded policy", hint=f"Say --policy {RULES[0]}."
        )
    return policies


def _told(season: "Season") -> str:
    """The options that say which season it is."""
    options = {
        "seed": season.seed,
        "days": season.days,
        "funds": season.funds,
        "cases": f"{season.cases_a_day:g}",
        "generosity": f"{season.generosity:g}",
        "defaults": f"{season.fails:g}",
        "neglect": f"{season.neglect:g}",
    }
    return " ".join(f"--{name} {value}" for name, value in options.items())


_MOST_CASES = 200_000
"""Cases of one season: all of it is held in memory, measured at 17 kB a case, so this is 3.4 GB for each core that plays it."""
_LONG_FROM = 50_000
_CASES_A_SECOND = 500
"""What a core plays, about; measured: 6,000 cases in 11.5 s."""


def _bounded(season: "Season", runs: int, quiet: bool) -> None:
    """Warn of a run that takes minutes; raises UsageError if it would not fit into memory."""
    cases = season.days * season.funds * season.cases_a_day
    if cases > _MOST_CASES:
        raise UsageError(
            f"about {cases:,.0f} cases: a season of more than {_MOST_CASES:,} is not kept in memory",
            hint="Give fewer --days, --funds or --cases a day.",
        )
    if cases * runs > _LONG_FROM and not quiet:
        minutes = cases * runs / _CASES_A_SECOND / min(runs, os.cpu_count() or 1) / 60
        print(
            f"About {cases:,.0f} cases, {'once' if runs == 1 else f'{runs} times'}: some {minutes:,.0f} minutes. Ctrl-C stops it.",
            file=sys.stderr,
        )


def _recorded(log: "CommandLog", origin: tuple[str, str], asked: list[str], html: Path | None, quiet: bool) -> None:
    from services.policies.policy import parse_policy, usual
    from services.policies.replay import LogSource

    policies = [parse_policy(text) for text in asked] or usual(recorded=True)
    _compare(LogSource(log), policies, origin, html, quiet)


def _log(file: Path | None, funds: tuple[str, ...], kafka: str | None, data: Path | None, quiet: bool) -> "CommandLog":
    from services.policies.commandlog import read_log

    if file is None:
        return _from_kafka(funds, kafka, data, quiet)
    log = read_log(file)
    known = log.funds()
    if not known:
        raise UnknownId(f"{file}: no fund is configured in it", hint="A log begins with a pumasi.fund.configured.")
    if missing := sorted(set(funds) - set(known)):
        raise UnknownId(f"{file}: no fund {', '.join(missing)} is configured in it", hint=f"It has {', '.join(known)}.")
    return log.only(funds) if funds else log


def _from_kafka(funds: tuple[str, ...], kafka: str | None, data: Path | None, quiet: bool) -> "CommandLog":
    from services.policies.recorded import recorded

    bootstrap = bootstrap_of(load(kafka=kafka, data=data), access.OPERATOR)
    with reading(quiet, "the commands") as progress:
        return asyncio.run(recorded(bootstrap, funds, progress))


def _origin(file: Path | None, funds: list[str], kafka: str | None, data: Path | None) -> str:
    parts = [f"--log {quote(str(file))}"] if file else []
    parts += [f"--kafka {quote(kafka)}"] if kafka and not file else []
    parts += [f"--data {quote(str(data))}"] if data and not kafka and not file else []
    return " ".join([*parts, *(f"--fund {quote(fund)}" for fund in funds)])


def _shared_origin(file: Path | None, funds: list[str]) -> str:
    """The same for a page that is passed on: without folders and servers of this machine."""
    return _origin(Path(file.name) if file else None, funds, None, None)


def _save(path: Path, said: Any, quiet: bool) -> None:
    from services.policies.commandlog import write_log

    count = write_log(path, said)
    if not quiet:
        print(visible(f"{count:,} commands written to {path}."), file=sys.stderr)


# ---- what is done with it


def _compare(
    source: "Source", policies: "list[Policy]", origin: tuple[str, str], html: Path | None, quiet: bool
) -> None:
    """Run, tell, and write the page. `origin`: the options that name the source, here and on a page that is handed on."""
    from services.policies.comparison import compare

    asked = [f"--policy {policy.name}" for policy in policies]
    command, shared = (" ".join(["./run simulate", *([told] if told else []), *asked]) for told in origin)
    with _bars([policy.name for policy in policies], quiet) as progress:
        comparison = compare(source, policies, command, progress, shared)
    if html:  # before anything is shown: whoever looks on may leave half-way
        _page(comparison, html, quiet)
    if quiet:
        print(json_line(comparison.as_json()))
    else:
        from services.policies.report.terminal import show
        from services.terminal import Terminal

        show(comparison, Terminal())


def _page(told: "Comparison | Spread", path: Path, quiet: bool) -> None:
    from services.policies.report.page import write_page

    console = Terminal(stderr=True, quiet=quiet)
    with console.status("Drawing the report"):
        write_page(told, path)
    console.print(visible(f"Report written to {path}."), soft_wrap=True)


def _writable(path: Path) -> None:
    """Raises FileUnwritable if a file can't be put there: a run may take minutes, and is not to be lost for that."""
    folder = path.parent
    if not folder.is_dir():
        raise FileUnwritable(f"{path}: there is no directory {folder}", hint="Make it first, or name another file.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise FileUnwritable(f"{path}: can't be written ({folder} lets you write nothing)", hint="Name another file.")


def _change(log: "CommandLog", text: str, since: str | None, last: float | None, quiet: bool) -> None:
    from services.policies.change import dry_run
    from services.policies.policy import parse_policy

    policy = parse_policy(text, "--change")
    if not policy.changes:
        raise UsageError(
            f"--change {text}: changes nothing", hint="Say what is to be changed: --change weights=claim,share=5000."
        )
    with _bars(["as recorded", f"with {policy.name}"], quiet) as progress:
        told = dry_run(log, policy, _from_when(log, since, last), progress)
    if quiet:
        print(json_line(told.as_json()))
        return
    from services.policies.report.change import show

    show(told, Terminal())


def _from_when(log: "CommandLog", since: str | None, last: float | None) -> int | None:
    """Microseconds since 1970; None from the start. Raises UsageError."""
    if last is not None:
        start, end = log.span
        return start if last * DAY >= end - start else end - int(last * DAY)  # further back there is nothing to change
    if since is None:
        return None
    try:
        return parse(since if "T" in since.upper() else f"{since}T00:00:00Z")
    except ValueError:
        raise UsageError(
            f"--since {since}: no time", hint="Write it as 2026-11-22, or as 2026-11-22T10:00:00Z."
        ) from None


def _define(as_json: bool) -> None:
    if as_json:
        from services.policies.comparison import definitions_as_json

        print(json_line(definitions_as_json()))
        return
    from services.policies.report.terminal import definitions

    definitions(Terminal())


@contextmanager
def _bars(names: list[str], quiet: bool) -> "Iterator[Progress]":
    """A bar for each run."""
    columns = TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    with bars(quiet, *columns) as shown:
        tasks = [shown.add_task(name, total=None) for name in names]
        yield lambda number, done, total: shown.update(tasks[number], completed=done, total=max(1, total))

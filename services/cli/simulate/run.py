"""What `pumasi simulate` does, once it is known what is asked: play, compare, show, and write. The command loads it only then."""

import asyncio
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from schemas.times import DAY, parse
from services.bus import access
from services.cli.shared.bars import bars, reading
from services.cli.shared.options import bootstrap_of, load
from services.errors import FileUnwritable, UnknownId, UsageError
from services.policies.change import dry_run
from services.policies.commandlog import CommandLog, Said, read_log, write_log
from services.policies.comparison import Comparison, Source, compare, definitions_as_json, log_of_season
from services.policies.meaning import RULES
from services.policies.policy import Policy, parse_policy, usual
from services.policies.replay import LogSource
from services.policies.report import change, spread, terminal
from services.policies.runs import Progress, SeasonSource
from services.policies.season.parameters import Season
from services.policies.spread import Spread, over_seeds
from services.terminal import Terminal
from services.visible import json_line, visible


class Asked(NamedTuple):
    """Which policies, and what comes of them: a page, a file of the commands; results as JSON, and then nothing beside them."""

    policies: list[str]
    html: Path | None
    save: Path | None
    as_json: bool

    def check_files(self) -> None:
        """Raises FileUnwritable if a file can't be put there: a run may take minutes, and is not to be lost for that."""
        for path in filter(None, (self.html, self.save)):
            folder = path.parent
            if not folder.is_dir():
                raise FileUnwritable(
                    f"{path}: there is no directory {folder}", hint="Make it first, or name another file."
                )
            if not os.access(folder, os.W_OK | os.X_OK):
                raise FileUnwritable(
                    f"{path}: can't be written ({folder} lets you write nothing)", hint="Name another file."
                )


# ---- what is played


def one_season(season: Season, asked: Asked) -> None:
    """A generated season, under each policy."""
    policies = _policies(asked)
    _bounded(season, len(policies), asked.as_json)
    source = SeasonSource(season)
    _save(asked, log_of_season(source, policies[0]))
    told = _told(season)
    _compare(source, policies, (told, told), asked)


def many_seasons(season: Season, seeds: int, asked: Asked) -> None:
    """As many seasons, under each policy."""
    policies = _policies(asked)
    runs = seeds * len(policies)
    _bounded(season, runs, asked.as_json)
    command = _command(f"--seeds {seeds} {_told(season)}", policies)
    with _bars([f"{runs} runs"], asked.as_json) as progress:
        done = [0] * runs

        def together(number: int, played: int, total: int) -> None:
            done[number] = played
            progress(0, sum(done), total * runs)

        told = over_seeds(season, seeds, policies, command, together)
    _finish(told, spread.show, asked)


def _policies(asked: Asked) -> list[Policy]:
    policies = [parse_policy(text) for text in asked.policies] or usual(recorded=False)
    if not all(policy.changes for policy in policies):
        raise UsageError(
            "--policy recorded: a generated season has no recorded policy", hint=f"Say --policy {RULES[0]}."
        )
    return policies


def _told(season: Season) -> str:
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


def _bounded(season: Season, runs: int, quiet: bool) -> None:
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


class Origin(NamedTuple):
    """Where a recorded log is, in a file or else in Kafka, and of which funds it is wanted; none: of all."""

    file: Path | None
    funds: list[str]
    kafka: str | None
    data: Path | None

    def options(self) -> tuple[str, str]:
        """What names it on the command line: here, and on a page that is handed on, without folders and servers of this machine."""
        named = [f"--fund {quote(fund)}" for fund in self.funds]
        here = (
            [f"--kafka {quote(self.kafka)}"] if self.kafka else [f"--data {quote(str(self.data))}"] if self.data else []
        )
        there = list[str]()
        if self.file:
            here, there = ([f"--log {quote(name)}"] for name in (str(self.file), self.file.name))
        return " ".join([*here, *named]), " ".join([*there, *named])


def _read(origin: Origin, quiet: bool) -> CommandLog:
    """The recorded log. Raises UnknownId, and what reading it raises."""
    if origin.file is not None:
        return _of_file(origin.file, origin.funds)
    from services.policies.recorded import recorded

    bootstrap = bootstrap_of(load(kafka=origin.kafka, data=origin.data), access.OPERATOR)
    with reading(quiet, "the commands") as progress:
        return asyncio.run(recorded(bootstrap, origin.funds, progress))


def _of_file(file: Path, funds: list[str]) -> CommandLog:
    log = read_log(file)
    known = log.funds()
    if not known:
        raise UnknownId(f"{file}: no fund is configured in it", hint="A log begins with a pumasi.fund.configured.")
    if missing := sorted(set(funds) - set(known)):
        raise UnknownId(f"{file}: no fund {', '.join(missing)} is configured in it", hint=f"It has {', '.join(known)}.")
    return log.only(funds) if funds else log


def recorded(origin: Origin, asked: Asked) -> None:
    """A recorded log, under each policy."""
    log = _read(origin, asked.as_json)
    _save(asked, log.said)
    policies = [parse_policy(text) for text in asked.policies] or usual(recorded=True)
    _compare(LogSource(log), policies, origin.options(), asked)


def _save(asked: Asked, said: Iterable[Said]) -> None:
    """Write the commands, if that is asked; those of a season are made only then."""
    if asked.save:
        count = write_log(asked.save, said)
        if not asked.as_json:
            print(visible(f"{count:,} commands written to {asked.save}."), file=sys.stderr)


# ---- what is done with it


def _command(origin: str, policies: list[Policy]) -> str:
    return " ".join(["./run simulate", *filter(None, [origin]), *(f"--policy {one.name}" for one in policies)])


def _compare(source: Source, policies: list[Policy], origin: tuple[str, str], asked: Asked) -> None:
    """Run, tell, and write the page. `origin`: the options that name the source, here and on a page that is handed on."""
    command, shared = (_command(told, policies) for told in origin)
    with _bars([policy.name for policy in policies], asked.as_json) as progress:
        comparison = compare(source, policies, command, progress, shared)
    _finish(comparison, terminal.show, asked)


def _finish(told: Comparison | Spread, show: Callable[[Any, Console], None], asked: Asked) -> None:
    """Write the page, and only then show anything: whoever looks on may leave half-way."""
    if asked.html is not None:
        from services.policies.report.page import write_page

        console = Terminal(stderr=True, quiet=asked.as_json)
        with console.status("Drawing the report"):
            write_page(told, asked.html)
        console.print(visible(f"Report written to {asked.html}."), soft_wrap=True)
    _print(told, show, asked)


def _print(told: Any, show: Callable[[Any, Console], None], asked: Asked) -> None:
    if asked.as_json:
        print(json_line(told.as_json()))
    else:
        show(told, Terminal())


def one_change(origin: Origin, text: str, since: str | None, last: float | None, asked: Asked) -> None:
    """What a change of policy would have altered in a recorded log."""
    log = _read(origin, asked.as_json)
    _save(asked, log.said)
    policy = parse_policy(text, "--change")
    if not policy.changes:
        raise UsageError(
            f"--change {text}: changes nothing", hint="Say what is to be changed: --change weights=claim,share=5000."
        )
    with _bars(["as recorded", f"with {policy.name}"], asked.as_json) as progress:
        told = dry_run(log, policy, _from_when(log, since, last), progress)
    _print(told, change.show, asked)


def _from_when(log: CommandLog, since: str | None, last: float | None) -> int | None:
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


def define(as_json: bool) -> None:
    """What each figure means."""
    if as_json:
        print(json_line(definitions_as_json()))
    else:
        terminal.definitions(Terminal())


@contextmanager
def _bars(names: list[str], quiet: bool) -> Iterator[Progress]:
    """A bar for each run."""
    columns = TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    with bars(quiet, *columns) as shown:
        tasks = [shown.add_task(name, total=None) for name in names]
        yield lambda number, done, total: shown.update(tasks[number], completed=done, total=max(1, total))

"""`./run soak`: a whole Pumasi under load and under fire, then an independent check of everything."""

import asyncio
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.shared import options

if TYPE_CHECKING:
    from tests.soak.figures import Result, Wanted


def register(app: typer.Typer) -> None:
    app.command("soak", epilog=_EXAMPLES)(soak)


_EXAMPLES = """**Examples**

- `./run soak`: five minutes, about a fault every six seconds
- `./run soak --minutes 30 --seed 7`: half an hour; more than 100,000 pledges, more than 100 kills
- `./run soak --minutes 30 --seed 7 --plan`: what would be done to whom and when; nothing is started
- `./run soak --minutes 1 --without disk-full --without clock --keep /tmp/soak --json`: for a program, and everything is kept
- `./run soak --check /tmp/soak`: check kept evidence once more

**Findings** are what must never be: a submission acknowledged and lost or applied twice, a command without an answer, an entry
missing, doubled or altered, money lost or over-allocated, a poison record without its one dead letter, a notice untold or told
of nothing, a service that gave up. Each has a code, a place and a sentence. At a finding everything is kept, and the line that
does it again is printed.

**Kinds of fault**, for --without: of services, `kill` (-9), `restart` (SIGTERM), `pause` (SIGSTOP beyond the session's
timeout: a zombie wakes up); of the broker, `kill-broker`, `restart-broker`, `pause-broker`, `disk-full`; of a matcher's line,
`cut`, `delay`, `silence`, and what happens to one request: `lost-endtxn-reply`, `late-endtxn`, `lost-endtxn`,
`lost-produce-reply`, `lost-init-reply`; of matchers and intakes, `clock` (it steps by up to a day).

They overlap as they fall. A seed fixes load and plan to the last detail; what a real machine makes of it differs by moments,
so a failing seed may have to be tried some times. As root the broker's data lie on a small filesystem in memory, which is
filled in a phase of its own at the end; clocks step where there is a C compiler. What can't be done on a machine is said.
"""


def soak(
    minutes: Annotated[float, typer.Option(min=0.3, max=10_000, help="How long load and faults last.")] = 5.0,
    seed: Annotated[int, typer.Option(help="Seed of the load and of the adversary's plan.")] = 1,
    rate: Annotated[
        float, typer.Option(min=1, max=5000, help="Submissions a second; 58 % of them are pledges.")
    ] = 105.0,
    matchers: Annotated[int, typer.Option(min=1, max=16, help="Matcher processes.")] = 3,
    intakes: Annotated[int, typer.Option(min=1, max=8, help="Intake processes.")] = 2,
    notifiers: Annotated[int, typer.Option(min=1, max=8, help="Notifier processes.")] = 2,
    partitions: Annotated[int, typer.Option(min=1, max=64, help="Partitions of each topic.")] = 4,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="KIND", help="Leave a kind of fault out; may be given again."),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Print the adversary's plan and do nothing.")] = False,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep", metavar="DIR", help="Keep everything in DIR, which must be empty.  [default: only at a finding]"
        ),
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option("--check", metavar="DIR", help="Check what an earlier soak kept in DIR, and nothing else."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Run a whole Pumasi under constant load while a seeded adversary does its worst; then check every topic independently.

    A real broker, matchers, intakes, notifiers, each a process of its own, under the supervisor of `pumasi up`. The adversary
    kills (-9), stops beyond the session's timeout and wakes up again, restarts, cuts, delays and silences connections, loses
    replies (of EndTxn above all), steps clocks, fills the disk. The checker shares no code with what it checks. Exit status 1
    if anything is found; Ctrl-C ends load and faults, and what there is is checked; a second one ends that too.
    """
    from tests.soak.figures import Wanted
    from tests.soak.world import Crew

    wanted = Wanted(minutes, seed, rate, Crew(matchers, intakes, notifiers), partitions, tuple(without or ()))
    if plan:
        _print_plan(wanted, as_json)
        return
    result = _check_again(check, as_json) if check else _run(wanted, keep, as_json)
    if not result.ok:
        raise typer.Exit(1)


def _print_plan(wanted: "Wanted", as_json: bool) -> None:
    from tests.soak.plan import plan

    faults = plan(wanted.seed, wanted.length_s, wanted.crew.names, wanted.without)
    if as_json:
        print(json.dumps([fault._asdict() for fault in faults]))
        return
    for fault in faults:
        print(fault)


def _run(wanted: "Wanted", keep: Path | None, as_json: bool) -> "Result":
    from services.errors import UsageError
    from tests.soak import disk
    from tests.soak.plan import plan
    from tests.soak.shown import Screen, show

    plan(
        wanted.seed, wanted.length_s, wanted.crew.names, wanted.without
    )  # what is wrong with it is told before anything starts
    if keep is not None and keep.exists() and any(keep.iterdir()):
        raise UsageError(f"{keep} is not empty", hint="Name a new directory with --keep DIR.")
    home = keep.absolute() if keep else Path(tempfile.mkdtemp(prefix="pumasi-soak-"))
    (home / "data").mkdir(parents=True, exist_ok=True)
    ours = (
        disk.mounted(home / "data", disk.size_for(wanted.length_s, wanted.rate))
        if "disk-full" not in wanted.without
        else None
    )
    screen = Screen(sys.stderr)
    result = None
    try:
        result = asyncio.run(_until_stopped(wanted, home, ours, screen))
        return result
    finally:
        kept = keep is not None or (result is not None and not result.ok)
        if ours is not None:
            (ours.keep if kept else ours.unmount)()
        if kept and result is not None:
            result.evidence = home
        if not kept:
            shutil.rmtree(home, ignore_errors=True)
        if result is not None:
            show(result, screen.console, as_json)


async def _until_stopped(wanted: "Wanted", home: Path, ours: Any, screen: Any) -> "Result":
    """The result. The first signal ends the load; another cancels everything, and nothing runs any more either."""
    import signal

    from tests.soak.run import Soak

    soak = Soak(wanted, home, ours, screen, screen.watcher)
    running = asyncio.create_task(soak.run())

    def stop() -> None:
        if soak.stopping.is_set():
            running.cancel()
        else:
            screen.phase("Stopping: load and faults end, then what there is is checked. Once more ends that too.")
            soak.stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    with screen:
        try:
            return await running
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None


def _check_again(home: Path, as_json: bool) -> "Result":
    from tests.soak.figures import Result, Wanted
    from tests.soak.shown import Screen, show

    screen = Screen(sys.stderr)
    result = Result(Wanted(0, 0, 0))
    with screen:
        asyncio.run(_check(home.absolute(), result, screen))
    result.evidence = home
    show(result, screen.console, as_json)
    return result


async def _check(home: Path, result: "Result", screen: Any) -> None:
    from services.bus.embedded import EmbeddedKafka
    from tests.soak.run import check_broker

    async with EmbeddedKafka(home / "data", 0, watcher=screen.watcher) as broker:
        await check_broker(home, broker, result, screen.phase)

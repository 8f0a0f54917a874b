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
    from tests.soak.disk import Disk
    from tests.soak.figures import Result, Wanted


EXAMPLES = """**Examples**

- `./run soak`: five minutes, about a fault every six seconds
- `./run soak --minutes 30 --seed 7`: half an hour; more than 100,000 pledges, more than 100 kills
- `./run soak --minutes 30 --seed 7 --plan`: what would be done to whom and when; nothing is started
- `./run soak --minutes 1 --without disk-full --without clock --keep /tmp/soak --json`: for a program, and everything is kept
- `./run soak --check /tmp/soak`: check kept evidence once more
- `./run soak --brokers 3 --minutes 10`: on a cluster of three, by TLS and passwords, each record in three copies
- `./run soak --brokers 3 --minutes 4 --only kill-broker --only roll-brokers`: nothing but that, so its stalls are its own

**Findings** are what must never be: a submission acknowledged and lost or applied twice, a command without an answer, an entry
missing, doubled or altered, money lost or over-allocated, a poison record without its one dead letter, a notice untold or told
of nothing, a service that gave up. Each has a code, a place and a sentence. At a finding everything is kept, and the line that
does it again is printed.

**Kinds of fault**, for --without and --only: of services, `kill` (-9), `restart` (SIGTERM), `pause` (SIGSTOP beyond the session's
timeout: a zombie wakes up); of the broker, `kill-broker`, `restart-broker`, `pause-broker`, `disk-full`, and of
several `kill-controller` (the one that leads) and `roll-brokers` (each in turn, once all copies are in step); of a matcher's line,
`cut`, `delay`, `silence`, and what happens to one request: `lost-endtxn-reply`, `late-endtxn`, `lost-endtxn`,
`lost-produce-reply`, `lost-init-reply`; of matchers and intakes, `clock` (it steps by up to a day).

They overlap as they fall; but several brokers are struck one after the other, since three can do without one of them. A seed fixes
load and plan to the last detail; what a real machine makes of it differs by moments, so a failing seed may have to be tried some
times. As root the broker's data lie on a small filesystem in memory, which is filled in a phase of its own at the end (of several
brokers that of one); clocks step where there is a C compiler. What can't be done on a machine is said.
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
    brokers: Annotated[
        int,
        typer.Option(min=1, max=5, help="Brokers. One is open; several are a cluster that asks for passwords by TLS."),
    ] = 1,
    partitions: Annotated[int, typer.Option(min=1, max=64, help="Partitions of each topic.")] = 4,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="KIND", help="Leave a kind of fault out; may be given again."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="KIND", help="No other kind of fault; may be given again."),
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

    crew = Crew(matchers, intakes, notifiers, brokers)
    wanted = Wanted(minutes, seed, rate, crew, partitions, tuple(without or ()), tuple(only or ()))
    if plan:
        _print_plan(wanted, as_json)
        return
    result = _check_again(check, as_json) if check else _run(wanted, keep, as_json)
    if not result.ok:
        raise typer.Exit(1)


def _print_plan(wanted: "Wanted", as_json: bool) -> None:
    faults = wanted.plan()
    if as_json:
        print(json.dumps([fault._asdict() for fault in faults]))
        return
    for fault in faults:
        print(fault)


def _run(wanted: "Wanted", keep: Path | None, as_json: bool) -> "Result":
    from services.errors import UsageError
    from tests.soak.shown import Screen, show

    planned = wanted.plan()  # what is wrong with it is told before anything starts
    if keep is not None and keep.exists() and any(keep.iterdir()):
        raise UsageError(f"{keep} is not empty", hint="Name a new directory with --keep DIR.")
    home = keep.absolute() if keep else Path(tempfile.mkdtemp(prefix="pumasi-soak-"))
    (home / "data").mkdir(parents=True, exist_ok=True)
    fills = any(fault.kind == "disk-full" for fault in planned)
    disks = _disks(home, wanted) if fills else {}
    screen = Screen(sys.stderr)
    result = None
    try:
        result = asyncio.run(_until_stopped(wanted, home, disks, screen))
        return result
    finally:
        kept = keep is not None or (result is not None and not result.ok)
        for disk in disks.values():
            (disk.keep if kept else disk.unmount)()
        if kept and result is not None:
            result.evidence = home
        if not kept:
            shutil.rmtree(home, ignore_errors=True)
        if result is not None:
            show(result, screen.console, as_json)


def _disks(home: Path, wanted: "Wanted") -> "dict[str, Disk]":
    """The disk of each broker by its name; none where they can't be had."""
    from tests.soak.disk import mounted, size_for
    from tests.soak.plan import brokers_of
    from tests.soak.world import BROKERS

    found = {}
    for name in brokers_of(wanted.crew.brokers):
        place = home / "data" if wanted.crew.brokers == 1 else home / BROKERS / name
        place.mkdir(parents=True, exist_ok=True)
        if one := mounted(place, size_for(wanted.length_s, wanted.rate)):
            found[name] = one
    return found


async def _until_stopped(wanted: "Wanted", home: Path, disks: "dict[str, Disk]", screen: Any) -> "Result":
    """The result. The first signal ends the load; another cancels everything, and nothing runs any more either."""
    import signal

    from tests.soak.run import Soak

    soak = Soak(wanted, home, disks, screen, screen.watcher)
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
    from tests.soak.run import check_kafka
    from tests.soak.world import BROKERS, Kafka

    kafka = Kafka(home, len(list((home / BROKERS).glob("kafka-*"))) or 1, screen.watcher)
    try:
        await kafka.start()
        await check_kafka(home, kafka, result, screen.phase)
    finally:
        await kafka.stop()

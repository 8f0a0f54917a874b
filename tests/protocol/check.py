"""Runs SPIN on the protocol's model, and tells what it said.

For each case: `spin -a` makes a C program of the model and its flags, a C
compiler builds it, and it looks at every state there is. All that is generated
goes to a temporary directory. Needs both: apt-get install spin gcc

  python -m tests.protocol.check                       all cases: minutes
  python -m tests.protocol.check no_fence --story      how one goes wrong
  python -m tests.protocol.check protocol --faults 3   more minutes, gigabytes
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from tests.protocol.cases import BY_NAME, CASES, HOLDS, STANDS_STILL, Case

MODEL = Path(__file__).parent / "matcher.pml"
NEEDED = "needs SPIN and a C compiler: apt-get install spin gcc"
_DEPTH_MAX = 1_000_000


@dataclass(frozen=True)
class Size:
    """How much world there is, and how much memory to look at it.

    Attributes:
        commands: on the topic, 2 to 8; the second one's answer is split.
        faults: how often the world may misbehave; more for a case that takes more to come about.
        late: requests that may be under way while their sender has given them up, 1 or 2.
        memory_mb: MiB that one search may use.
    """

    commands: int = 3
    faults: int = 2
    late: int = 1
    memory_mb: int = 4000


@dataclass(frozen=True)
class Verdict:
    """What SPIN said of a case.

    Attributes:
        said: `HOLDS`, `STANDS_STILL`, or the assertion that failed; anything else means that the search did not get to its end.
        states: distinct states stored.
        depth: steps of the longest path looked at; of the shortest way to the failure, if it was searched breadth first.
        memory_mb: MiB used.
        seconds: of the search alone.
        story: how it goes wrong, a line a step; empty if it doesn't.
    """

    case: Case
    said: str
    states: int
    depth: int
    memory_mb: float
    seconds: float
    story: tuple[str, ...] = ()

    @property
    def expected(self) -> bool:
        return self.said == self.case.expected


class Stopped(Exception):
    """Ctrl-C: what was running was ended."""


class Spin:
    """Runs cases; `stop` ends whatever runs, from any thread.

    Args:
        size: of the world.
        shortest: search for failures breadth first: slower, and what is found is as short as can be.
    """

    def __init__(self, size: Size, *, shortest: bool) -> None:
        self.size, self.shortest = size, shortest
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def check(self, case: Case) -> Verdict:
        """Ask SPIN one question.

        Raises:
            RuntimeError: if the model does not compile.
            Stopped: after `stop`.
        """
        with tempfile.TemporaryDirectory(prefix="pumasi-spin-") as name:
            directory = Path(name)
            breadth_first = self.shortest and case.expected != HOLDS and not case.progress
            self._build(case, directory, breadth_first)
            flags = ["-a", "-f"] if case.progress else []
            told = self._run(
                directory, [str(directory / "pan"), *flags, f"-m{_DEPTH_MAX // (100 if breadth_first else 1)}"]
            )
            verdict = read_verdict(case, told)
            if verdict.said != HOLDS and any(directory.glob("*.trail")):
                verdict = dataclasses.replace(verdict, story=self._story(case, directory))
            return verdict

    def stop(self) -> None:
        """End all searches; `check` raises `Stopped` then."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()

    def _defines(self, case: Case) -> list[str]:
        size = self.size
        faults = max(size.faults, case.faults)
        sizes = [f"-DCOMMANDS={size.commands}", f"-DFAULTS={faults}", f"-DLATE={size.late}"]
        return sizes + [f"-D{flag}" for flag in case.flags]

    def _build(self, case: Case, directory: Path, breadth_first: bool) -> None:
        compiler = compiler_found()
        self._run(directory, ["spin", f"-P{compiler} -E -x c", "-a", *self._defines(case), str(MODEL)], must=True)
        options = ["-DCOLLAPSE", "-DVECTORSZ=2048", f"-DMEMLIM={self.size.memory_mb}"]
        options += [] if case.progress else ["-DSAFETY"]
        options += ["-DBFS"] if breadth_first else []
        speed = "-O1" if case.expected == HOLDS else "-O0"  # a failure is found sooner than a compiler has optimised
        self._run(directory, [compiler, "-w", speed, *options, "-o", "pan", "pan.c"], must=True)

    def _story(self, case: Case, directory: Path) -> tuple[str, ...]:
        trail = next(directory.glob("*.trail"))
        compiler = compiler_found()
        told = self._run(
            directory, ["spin", f"-P{compiler} -E -x c", "-T", "-k", str(trail), *self._defines(case), str(MODEL)]
        )
        return tuple(read_story(told))

    def _run(self, directory: Path, command: Sequence[str], *, must: bool = False) -> str:
        """What a program says; `must`: it has to succeed."""
        with self._lock:
            if self._stopped:
                raise Stopped
            process = subprocess.Popen(
                command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0
            )
            self._running.add(process)
        told, _ = process.communicate()
        with self._lock:
            self._running.discard(process)
            if self._stopped:
                raise Stopped
        if must and process.returncode:
            raise RuntimeError(f"{' '.join(command)}:\n{told}")
        return told


def compiler_found() -> str | None:
    """The C compiler's path, or None."""
    return next(filter(None, map(shutil.which, ("gcc", "cc", "clang"))), None)


def missing() -> bool:
    """Whether SPIN or a C compiler is not installed."""
    return shutil.which("spin") is None or compiler_found() is None


def read_verdict(case: Case, told: str) -> Verdict:
    """Make a verdict of what a search printed at its end."""

    def figure(pattern: str) -> float:
        found = re.search(pattern, told)
        return float(found[1]) if found else 0.0

    failed = re.search(r"^pan:\d+: (.*?)(?: \(at depth \d+\))?$", told, re.MULTILINE)
    what = failed[1] if failed else ""
    if asserted := re.match(r"assertion violated \(?(\w+)\)?$", what):
        said = asserted[1]
    elif what.startswith(("acceptance cycle", "invalid end state")):
        said = STANDS_STILL
    elif what:
        said = what
    elif "errors: 0" in told and "Search not completed" not in told and "max search depth too small" not in told:
        said = HOLDS
    else:
        why = re.search(r"^(?:pan: |error: )(reached .*|max search depth .*|out of memory.*)$", told, re.MULTILINE)
        said = f"not finished: {why[1] if why else 'it was ended'}"
    return Verdict(
        case,
        said,
        states=int(figure(r"([\d.e+]+) states, stored")),
        depth=int(figure(r"depth reached (\d+)")),
        memory_mb=figure(r"([\d.]+)\s+total actual memory usage"),
        seconds=figure(r"elapsed time ([\d.e+]+) seconds"),
    )


def read_story(told: str) -> list[str]:
    """What happened, a line a step, from SPIN's replay of a failure."""
    story = []
    for line in map(str.strip, told.splitlines()):
        if line.startswith(("A: ", "B: ", "broker: ", "group: ")):
            story.append(line)
        elif "START OF CYCLE" in line:
            story.append("and from here on for ever:")
    return story


def shown(verdict: Verdict) -> str:
    """A line of the table."""
    mark = " " if verdict.expected else "!"
    return (
        f"{mark} {verdict.case.name:<31} {verdict.said:<13} {verdict.states:>11,} {verdict.depth:>6,} "
        f"{verdict.memory_mb:>5,.0f} {verdict.seconds:>6.1f}"
    )


HEAD = f"  {'case':<31} {'SPIN says':<13} {'states':>11} {'depth':>6} {'MiB':>5} {'s':>6}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 0 as expected, 1 a finding, 2 it can't be run like this."""
    options = _options(arguments)
    if options.list:
        for case in CASES:
            print(f"{case.name}: {case.means} Expected: {case.expected}.")
        return 0
    unknown = set(options.names) - set(BY_NAME)
    if unknown or missing():
        print(f"no such case: {', '.join(sorted(unknown))}; see --list" if unknown else NEEDED, file=sys.stderr)
        return 2
    size = Size(options.commands, options.faults, options.late, options.memory)
    cases = [BY_NAME[name] for name in options.names] or list(CASES)
    spin = Spin(size, shortest=True)
    if not options.json:
        print(f"{len(cases)} cases, {size.commands} commands, {size.faults} faults, {size.late} late requests\n{HEAD}")
    verdicts = []
    pool = ThreadPoolExecutor(options.jobs)
    try:
        running = {pool.submit(spin.check, case) for case in cases}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            verdicts += [_told(future, options) for future in done]
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 128 + signal.SIGINT
    finally:
        spin.stop()
        pool.shutdown(cancel_futures=True)
    findings = [verdict for verdict in verdicts if not verdict.expected]
    if not options.json:
        for finding in findings:
            print(f"{finding.case.name}: expected {finding.case.expected!r}, SPIN says {finding.said!r}")
        print(f"{len(verdicts) - len(findings)} of {len(verdicts)} as expected")
    return 1 if findings else 0


def _told(future: Future[Verdict], options: argparse.Namespace) -> Verdict:
    """Print one verdict as it comes, and hand it on."""
    verdict = future.result()
    if options.json:
        told = dataclasses.asdict(verdict) | {"case": verdict.case.name, "expected": verdict.case.expected}
        print(json.dumps(told), flush=True)
        return verdict
    print(shown(verdict), flush=True)
    if options.story or not verdict.expected:
        for line in verdict.story:
            print(f"      {line}")
    return verdict


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    default = Size()
    parser = argparse.ArgumentParser(
        prog="python -m tests.protocol.check",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Exit status: 0 all as expected, 1 a finding, 2 it can't be run like this.",
    )
    parser.add_argument("names", nargs="*", metavar="CASE", help="cases to check (default: all; see --list)")
    parser.add_argument("--list", action="store_true", help="tell the cases, and check none")
    parser.add_argument("--story", action="store_true", help="tell each failure step by step")
    parser.add_argument("--json", action="store_true", help="one JSON object a case, as it is done")
    parser.add_argument(
        "--commands", type=int, choices=range(2, 9), default=default.commands, metavar="N", help="2 to 8"
    )
    parser.add_argument("--faults", type=int, choices=range(10), default=default.faults, metavar="N", help="0 to 9")
    parser.add_argument("--late", type=int, choices=(1, 2), default=default.late, help="requests that may come late")
    parser.add_argument("--memory", type=int, default=default.memory_mb, metavar="MIB", help="MiB for one search")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="searches at a time")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `… --list | head` is no error
    sys.exit(main())

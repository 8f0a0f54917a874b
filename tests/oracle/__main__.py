"""`python -m tests.oracle SEASONS [--seed S]`: random command logs through engine and naive oracle, every fact compared.

Exit status 1 if one differs; it is then cut down to the few gestures that still differ, and told.
"""

import argparse
import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tests.oracle.campaign import campaign


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__)
    parser.add_argument("seasons", type=int, nargs="?", default=20_000, help="how many; 20,000 take some minutes")
    parser.add_argument("--seed", type=int, default=1, help="the first season's")
    asked = parser.parse_args(arguments)
    began = time.perf_counter()
    columns = (TextColumn("seasons"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=asked.seasons)
        failure = campaign(asked.seed, asked.seasons, lambda number: bars.advance(task, number))
    if failure is None:
        told = f"{asked.seasons:,} seasons from seed {asked.seed}: engine and oracle tell the same, entry by entry"
        print(f"{told} ({time.perf_counter() - began:.0f} s).")
        return 0
    print(failure.report)
    print(f"\nAgain: python -m tests.oracle 1 --seed {failure.seed}")
    return 1


if __name__ == "__main__":
    sys.exit(main())

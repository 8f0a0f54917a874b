"""`python -m tests.simulation SEED [--count N] [--story]`: worlds by the thousand, or one told step by step."""

import argparse
import sys
import time
from collections import Counter

from rich.console import Console
from rich.progress import track

from tests.simulation.runs import Runs
from tests.simulation.variants import BY_NAME


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=1, metavar="N", help="how many seeds from there")
    parser.add_argument("--jobs", type=int, metavar="N", help="how many at once (default: one a core)")
    parser.add_argument(
        "--without", default="", choices=BY_NAME, metavar="SAFEGUARD", help="remove one, by its name in variants"
    )
    parser.add_argument("--story", action="store_true", help="tell what happened")
    asked = parser.parse_args()
    began, faults, figures = time.perf_counter(), Counter[str](), Counter[str]()
    seeds = range(asked.seed, asked.seed + asked.count)
    with Runs(min(asked.count, asked.jobs) if asked.jobs else None) as runs:
        worlds = runs.worlds(seeds, asked.without, story=asked.story)
        for outcome in track(worlds, "worlds", total=asked.count, console=Console(stderr=True), transient=True):
            faults += outcome.faults
            figures += outcome.figures
            if asked.story:
                print(outcome.plan, *outcome.story, sep="\n")
            if outcome.kind:
                without = f" --without {asked.without}" if asked.without else ""
                print(f"seed {outcome.plan.seed}: {outcome.kind}: {outcome.finding}")
                print(f"Again: python -m tests.simulation {outcome.plan.seed} --story{without}")
                return 1
    print(f"{asked.count:,} worlds from seed {asked.seed}: nothing was found ({time.perf_counter() - began:.0f} s).")
    for title, counted in (("faults", faults), ("figures", figures)):
        print(f"  {title}: " + ", ".join(f"{name} {number:,}" for name, number in sorted(counted.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main())

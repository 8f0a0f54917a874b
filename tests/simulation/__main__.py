"""`python -m tests.simulation SEED [--count N] [--story]`: worlds by the thousand, or one told step by step."""

import argparse
import sys
import time
from collections import Counter

from rich.console import Console
from rich.progress import track

from tests.simulation.plan import plan_of
from tests.simulation.world import World


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=1, metavar="N", help="how many seeds from there")
    parser.add_argument("--story", action="store_true", help="tell what happened")
    asked = parser.parse_args()
    began, faults, figures = time.perf_counter(), Counter[str](), Counter[str]()
    for seed in track(
        range(asked.seed, asked.seed + asked.count), "worlds", console=Console(stderr=True), transient=True
    ):
        outcome = World(plan_of(seed), story=asked.story).run()
        faults += outcome.faults
        figures += outcome.figures
        if asked.story:
            print(outcome.plan, *outcome.story, sep="\n")
        if outcome.kind:
            print(f"seed {seed}: {outcome.kind}: {outcome.finding}\nAgain: python -m tests.simulation {seed} --story")
            return 1
    print(f"{asked.count:,} worlds from seed {asked.seed}: nothing was found ({time.perf_counter() - began:.0f} s).")
    for title, counted in (("faults", faults), ("figures", figures)):
        print(f"  {title}: " + ", ".join(f"{name} {number:,}" for name, number in sorted(counted.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main())

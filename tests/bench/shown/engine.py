"""How `./run bench --engine` is told: each row as it comes, then what the columns mean."""

import json

_HEAD = f"{'open cases':>10} {'plain':>9} {'lognormal':>9} {'awards':>6} {'to a case':>9} {'B/case':>7} {'B/pledge':>8}"
_LEGEND = """
Pledges a second of processor time on one core, already parsed; medians over ten turns.
  plain       at most half a share each, for whoever is next; mostly one award
  lognormal   around CNY 100 with a share of CNY 100; awards: how many each
  to a case   designated to one case each
  B/case, B/pledge   resident memory of an open case, and of a pledge with its awards"""
_WORDS = {
    "leap_equal_ms": "CNY 10,000,000 at share 1 over 1,000 cases, weights=equal: {} ms",
    "leap_claim_ms": "the same, weights=claim: {} ms",
    "timers": "with 1,000,000 expiries pending: {:.2f} of the rate without",
    "history": "after 1,000,000 pledges and 100,000 closed cases: {:.2f} of the rate of a young fund",
}


def bench_engine(sizes: list[int], seed: int, with_ceilings: bool, as_json: bool) -> None:
    """Measure the engine alone and tell it, row by row.

    Args:
        sizes: open cases of each row.
        seed: of goals and amounts.
        with_ceilings: also measure what must cost nothing; a million pledges thrice.
        as_json: one document at the end instead.
    """
    from services.terminal import Terminal
    from tests.bench.engine import CEILINGS, ceiling, scale

    console = Terminal(stderr=True)
    told = (lambda _line: None) if as_json else (lambda line: print(line, flush=True))
    told(f"The engine alone (seed {seed})\n{_HEAD}")
    rows, costs = [], {}
    with console.status("measuring …"):
        for row in scale(sizes, seed):
            rows.append(row)
            a_case = "–" if row.bytes_a_case is None else f"{row.bytes_a_case:,}"
            told(
                f"{row.cases:>10,} {row.plain:>9,} {row.lognormal:>9,} {row.awards:>6.1f} {row.designated:>9,} {a_case:>7} "
                f"{row.bytes_a_pledge:>8,}"
            )
        told(_LEGEND)
        for name in CEILINGS if with_ceilings else ():
            costs[name] = ceiling(name, seed)
            told(_WORDS[name].format(costs[name]))
    if as_json:
        print(json.dumps({"seed": seed, "rows": [row._asdict() for row in rows], **costs}))

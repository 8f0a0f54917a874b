"""`./run bench --check` and `--record`: ratios measured, and held against those in the repository."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tests.bench.check import Judged

_WHOLE = 100  # from here on a figure needs no decimals


def bench_check(*, seed: int, record: bool, as_json: bool) -> None:
    """Measure and compare; or, with `record`, write down what was found. Exits with 1 if something fell."""
    from tests.bench import check
    from tests.bench.machine import this_machine
    from tests.bench.screen import BenchScreen, described

    machine = this_machine()
    with BenchScreen() as screen:
        found, missing = check.measure(seed, screen)
    judged = check.judge(check.read(), found)
    if record:
        check.write(found)
    told = check.as_json(judged, missing)
    if as_json:
        print(json.dumps({"machine": machine.as_json(), "recorded_anew": record, **told}))
    else:
        _print(judged, missing)
        print("Recorded anew." if record else _verdict(judged))
        print(described(machine))
    if not record and not told["ok"]:
        raise typer.Exit(1)


def _print(judged: "Sequence[Judged]", missing: Sequence[str]) -> None:
    from tests.bench.shown.parts import plain_table, show

    table = plain_table("Now, against what is recorded", ("", "better", "recorded", "now", "change", "tolerated", ""))
    for each in judged:
        sign = "−" if each.measure.better == "more" else "+"
        word, style = ("fell", "bold red") if each.fell else ("better", "green") if each.rose else ("", "")
        word = word or ("" if each.found is not None else "not measured")
        change = "–" if each.change is None else f"{each.change:+.0%}"
        tolerated = f"{sign}{each.measure.tolerance:.0%}"
        table.add_row(
            each.measure.title, each.measure.better, _figure(each.recorded), _figure(each.found), change, tolerated, word,
            style=style,
        )  # fmt: skip
    show(table, *missing)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}" if value >= _WHOLE else f"{value:.3f}"


def _verdict(judged: "Sequence[Judged]") -> str:
    fell = sum(each.fell for each in judged)
    if fell:
        return f"{fell} fell further than tolerated. If that is meant, record it: ./run bench --check --record"
    if any(each.rose for each in judged):
        return "Nothing fell, and some are better: worth recording (./run bench --check --record)."
    return "Nothing fell."

"""The engine's bench measures what it says: so many cases, pledges that find claims, bounded work for large ones."""

import json

from typer.testing import CliRunner

from services.cli import build
from services.errors import UsageError
from tests.bench.engine import _Fund, ceiling


def test_a_row_tells_rates_for_so_many_open_cases() -> None:
    result = CliRunner().invoke(
        build({"bench": "tests.bench.command"}), ["bench", "--engine", "--sizes", "50", "--no-ceilings", "--json"]
    )
    assert result.exit_code == 0, result.output
    [row] = json.loads(result.stdout)["rows"]
    assert row["cases"] == 50
    assert row["bytes_a_case"] is None
    assert min(row["plain"], row["lognormal"], row["designated"]) > 1_000
    assert row["awards"] > 1.5, "lognormal pledges go over several cases"


def test_no_pledge_of_the_bench_has_to_wait() -> None:
    fund = _Fund(1)
    fund.open(20)
    for _ in range(3):
        assert fund.turn(fund.lognormal)[1] >= 1
    assert not any(pledge.waiting for pledge in fund.engine.funds["f"].pledges.values())


def test_a_leap_is_one() -> None:
    assert 0 < ceiling("leap_equal_ms", 1) < 5_000, "ms; share by share it would be a thousand million steps"


def test_sizes_that_are_none_are_refused() -> None:
    result = CliRunner().invoke(build({"bench": "tests.bench.command"}), ["bench", "--engine", "--sizes", "ten"])
    assert isinstance(result.exception, UsageError)

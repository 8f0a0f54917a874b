"""The bench's own arithmetic: figures that are right, and findings that are findings."""

import re
from itertools import islice
from pathlib import Path

import pytest
from typer.testing import CliRunner

from schemas.commands import Unreadable
from services import native
from services.bus.envelope import read_command
from services.bus.partition import partition_of
from services.cli import build
from services.errors import UsageError
from services.matcher.checkpoint.rows import case_ended, pledge_ended
from tests.bench import check, command, growth, latency, parts, plot
from tests.bench.alone import Command
from tests.bench.curve import Curve, window
from tests.bench.load import Load, funds, record
from tests.bench.peers import MATCHER, PEERS
from tests.bench.season import FAMILY, LEVEL, Season
from tests.bench.stats import Spread, quantile, ratios


def test_the_load_is_commands_of_the_contract_whose_sums_are_known_at_every_place() -> None:
    load = Load(cases=20, pledges=50)
    rows = list(load.rows())
    assert len(rows) == load.commands == load.before + 50
    read = [read_command(Command("t", 0, n, **record("bench", row)), partitions=1) for n, row in enumerate(rows)]
    assert not [command for command in read if isinstance(command, Unreadable)]
    pledged = [command.data.amount for command in read[load.before :]]
    assert load.sums[load.before + 7] == sum(pledged[:7]) and load.sums[-1] == load.pledged() == sum(pledged)
    assert len({command.id for command in read}) == load.commands
    assert list(islice(load.rows(), 30)) == rows[:30], "the same from the same seed"
    assert list(load.rows(1)) != rows, "each partition has its own"


def test_each_partition_has_a_fund() -> None:
    assert [partition_of(fund, 4) for fund in funds(4)] == [0, 1, 2, 3]


def test_a_curve_counts_records_and_not_the_ends_of_transactions() -> None:
    curve = Curve()
    assert curve.add(1.0, {0: 0}) and curve.add(2.0, {0: 3}) and not curve.add(2.5, {0: 3}) and curve.add(3.0, {0: 6})
    assert curve.counts({0: [0, 1, 3, 4]}) == [0, 2, 4]


def test_the_clock_runs_from_the_warm_part_to_the_last_record() -> None:
    times, counts = [0.0, 1.0, 2.0, 3.0, 9.0], [0, 10, 40, 100, 100]
    found = window(times, counts, least=10, warm=40, warm_by=1e9, last=100)
    assert (found.records, found.seconds, found.rate) == (60, 1.0, 60.0)
    cut_short = window(times, counts, least=10, warm=90, warm_by=0.5, last=1_000)
    assert cut_short.records == 90, "from the first time after warm_by with at least 10, to the end of what was seen"
    with pytest.raises(ValueError, match="too little"):
        window(times, counts, least=10, warm=100, warm_by=1e9, last=100)


def test_ratios_are_taken_within_rounds() -> None:
    assert ratios({0: 10.0, 1: 30.0, 2: 50.0}, {0: 20.0, 1: 30.0}) == Spread((0.5, 1.0))
    assert ratios({0: 1.0}, {1: 1.0}) is None
    assert Spread.of([3.0, 1.0, 2.0]).as_json() == {"median": 2, "min": 1, "max": 3, "runs": [3, 1, 2]}


@pytest.mark.parametrize(("q", "value"), [(0.5, 50), (0.9, 90), (0.99, 99), (0.999, 100), (1.0, 100), (0.001, 1)])
def test_quantiles_go_by_rank(q: float, value: int) -> None:
    assert quantile(range(1, 101), q) == value


def test_a_stall_delays_all_pledges_that_were_due_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "WARM_SECONDS", 0.0)
    times = [10.0 + max(n / 10, 1.0) for n in range(20)]  # ten a second from t = 10, and nothing readable before t = 11
    found = latency.summary(10.0, 10.0, times, [*range(19), 25], 0.0)
    assert found.counted == 20
    assert found.ms["max"] == 1000.0, "the first waited for all of the stall"
    assert found.ms["p50"] == 0.0 and found.ms["p90"] == 800.0, "and those after it for what was left of it"
    assert found.transactions == 3.0, "six offsets without a record in two seconds"


def test_what_is_worse_than_tolerated_fell() -> None:
    recorded = {"matcher_aiokafka": 0.20, "answer_step": 1.0, "bytes_a_case": 1000, "bytes_a_pledge": 1000}
    found = {"matcher_aiokafka": 0.16, "answer_step": 0.8, "bytes_a_case": 1200, "bytes_a_pledge": 500}
    judged = {each.name: each for each in check.judge(recorded, found)}
    assert {name for name, each in judged.items() if each.fell} == {"answer_step", "bytes_a_case"}
    assert {name for name, each in judged.items() if each.rose} == {"bytes_a_pledge"}
    assert judged["matcher_aiokafka"].change == pytest.approx(-0.2), "tolerated"
    assert judged["matcher_streams"].found is None and not judged["matcher_streams"].fell, "not measured is no finding"
    told = check.as_json(list(judged.values()), [])
    assert not told["ok"] and told["measures"]["answer_step"]["recorded"] == 1.0


def test_ratios_are_recorded_for_the_measures_that_there_are(tmp_path: Path) -> None:
    assert set(check.read()) <= set(check.MEASURES)
    file = tmp_path / "recorded.json"
    assert check.read(file) == {}
    check.write({"answer_step": 0.5, "unheard_of": 1.0}, file)
    assert check.read(file) == {"answer_step": 0.5}
    assert str(Path.home()) not in file.read_text()


MACHINE = {"cores": 2, "processor": "a <fast> one", "memory_gib": 8, "versions": {"python": "3.13"}}
RATE = {"median": 20, "min": 10, "max": 30}
PEER = {"title": "Peer", "does": "copies", "guarantee": "exactly once", "commands_per_second": RATE}
FAILED = {"title": "Broken", "does": "copies", "guarantee": "at least once", "failed": "no network"}
THROUGHPUT = {
    "machine": MACHINE,
    "load": "10 plain pledges",
    "rounds": 3,
    "peers": {"matcher": PEER, "peer": PEER, "broken": FAILED},
}
ROW = {"rate": 100.0, "ms": {"p50": 1.0, "p99": 20.0, "max": 300.0}}
LATENCY = {"machine": MACHINE, "cases": 10, "latency": {"floor": {"title": "Floor", "rows": [ROW]},
           "matcher": {"title": "Matcher", "rows": [ROW]}, "peer": {"title": "Peer", "rows": []}}}  # fmt: skip


@pytest.mark.skipif(not native.in_use(), reason="nothing is compiled here, and the parts are those of the compiled way")
@pytest.mark.parametrize("load", [Load(cases=50, pledges=4_000), Season(50, 3_000)], ids=["pledges", "community"])
def test_every_part_of_a_commands_time_is_found(load: Load | Season) -> None:
    found = parts.parts(load, 1_500)
    assert list(found) == list(parts._ORDER)
    assert all(found[part] > 0 for part in (parts.FINDING, parts.DECIDING, parts.HASHING, parts.CHECKPOINT))


class Quiet:
    """A watcher that nobody looks at."""

    def doing(self, what: str, of: int = 0) -> None: ...

    def reached(self, count: int) -> None: ...

    def say(self, line: str) -> None: ...


@pytest.mark.skipif(not native.in_use(), reason="nothing is compiled here, and figures are of the compiled way")
def test_every_size_is_grown_and_served_the_same_load() -> None:
    sizes, plan = growth.sizes_of([200, 2_000], 600), growth.Plan(turns=3, turn=150, between=600)
    few, many, later = growth.measure(sizes, 1, Quiet(), plan)
    assert [row.size for row in (few, many, later)] == [(200, 0), (2_000, 0), (2_000, 600)]
    for row in (few, many, later):
        assert row.size.live <= row.grown.alive < row.size.live + 50, "commands of a turn, at most"
        assert len(row.microseconds) == 3 and min(row.microseconds) > 0
        assert row.longest_ms > 0 and row.grown.restored_seconds > 0
        assert all(row.parts[part] > 0 for part in (parts.FINDING, parts.WRITING, parts.HASHING, parts.CHECKPOINT))
        assert row.bytes_an_entry == pytest.approx(many.bytes_an_entry, rel=0.35), "whatever its size"
    assert later.grown.known - later.grown.alive > many.grown.known - many.grown.alive + 200, "what has ended is known"
    assert few.ratio(few) == 1.0 and many.as_json(few)["ratio"] == round(many.ratio(few), 3)


def test_memory_is_told_of_many_and_of_what_each_entry_of_the_past_keeps() -> None:
    few, many = growth.Row(growth.Size(100), mib=9.0), growth.Row(growth.Size(1 << 20), mib=500.0)
    later = growth.Row(growth.Size(1 << 20, 1 << 20), mib=600.0)
    assert (few.bytes_alive, many.bytes_alive, later.bytes_alive) == (None, 500.0, None)
    assert growth.bytes_of_past([few, many, later]) == 100.0
    assert growth.bytes_of_past([few, many]) is None


def test_of_a_past_nothing_lives_on() -> None:
    season = Season(3, 0, goals=LEVEL, past=2 * FAMILY, grown=40)
    making = season.making()
    rows = list(making.rows(season))
    assert len(rows) == season.commands == season.before, "nothing is measured"
    [fund] = making.engine.funds.values()
    old = list(fund.cases.values())[:2]
    assert all(case_ended(case) and case.delivered == case.goal for case in old)
    assert all(pledge_ended(pledge) for pledge in list(fund.pledges.values())[: (FAMILY - 4) // 2 * 2])
    living = len(fund.cases) - sum(map(case_ended, fund.cases.values()))
    assert growth.alive(making.engine) == living + len(fund.pledges) - sum(map(pledge_ended, fund.pledges.values()))


@pytest.mark.parametrize("document", [THROUGHPUT, LATENCY], ids=["throughput", "latency"])
@pytest.mark.parametrize("kind", plot.KINDS)
def test_a_drawing_is_a_file_by_itself(document: plot.Document, kind: str, tmp_path: Path) -> None:
    file = tmp_path / f"drawing{kind}"
    plot.draw(document, file)
    content = file.read_bytes()
    assert len(content) > 5_000
    if kind == ".html":
        assert b"<svg" in content and b"a &lt;fast&gt; one" in content and b"http://" not in content.split(b"<svg")[0]


@pytest.mark.parametrize(
    "given",
    [
        ["--peers", "streams,storm"],
        ["--latency", "--peers", "faust"],
        ["--latency", "--rates", "fast"],
        ["--memory", "--engine"],
        ["--rest", "--memory"],
        ["--growth", "--auditing"],
        ["--growth", "--live", "many"],
        ["--plot", "drawing.bmp"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_measured_is_refused_before_anything_is_started(given: list[str]) -> None:
    result = CliRunner().invoke(build({"bench": "tests.bench.command"}), ["bench", *given])
    assert isinstance(result.exception, UsageError)


def test_help_and_readme_name_the_same_peers() -> None:
    names = [name for name in PEERS if name != MATCHER]
    readme = (Path(__file__).parents[1] / "bench" / "README.md").read_text()
    [told] = re.findall(r"The peers, as `--peers` names them: (.*?);", readme, re.DOTALL)
    assert re.findall(r"`(.*?)`", told) == names
    [told] = re.findall(r"\*\*Peers\*\*: (.*?)\. Each copies", str(command.EXAMPLES), re.DOTALL)
    assert re.findall(r"`(.*?)`", told) == names

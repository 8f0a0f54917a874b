"""`pumasi simulate` as people and programs use it: what goes together, what is shown, and a report that needs nothing."""

import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from services.cli import build
from services.errors import PumasiError
from services.policies.change import _fate
from services.policies.commandlog import read_log
from services.policies.comparison import Comparison, compare
from services.policies.meaning import RULES, TOLD
from services.policies.measures import MEASURES
from services.policies.policy import parse_policy
from services.policies.replay import LogSource
from services.policies.report import change as change_shown
from services.policies.report import terminal
from services.policies.report.page import page
from services.policies.report.rows import MONEY, SECTIONS, money_rows, sections
from services.policies.runs import SeasonSource, run_all
from services.policies.season.parameters import Season

PAGE = Path(__file__).parents[2] / "services/policies/README.md"
QUICK = ["--days", "8", "--cases", "3"]


def simulate(*args: str) -> Result:
    return CliRunner().invoke(build(), ["simulate", *args])


def test_the_page_shows_what_is_printed() -> None:
    """Renew with: COLUMNS=160 ./run simulate, and put its lines for those of the page, which leaves some out (…)."""
    told = CliRunner().invoke(build(), ["simulate"], env={"COLUMNS": "160"}).stdout.splitlines()
    shown = PAGE.read_text().partition("```text\n")[2].partition("```")[0].splitlines()
    assert [line for line in shown if line != "…" and line not in told] == []


def refused(*args: str) -> PumasiError:
    result = simulate(*args)
    assert isinstance(result.exception, PumasiError), result.output
    return result.exception


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    policies = [parse_policy(text) for text in (*RULES, "share=1,weights=claim,ageing_days=3", "share=3")]
    return compare(SeasonSource(Season(days=20, funds=2)), policies, "pumasi simulate --days 20 <script>")


# ---- what is asked


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (["--seeds", "3", "--log", "x"], "--log does not go with --seeds"),
        (["--log", "x", "--seed", "4"], "--seed does not go with a recorded log"),
        (["--change", "share=1", "--policy", "share=2"], "--policy does not go with --change"),
        (["--since", "2026-11-22"], "--since does not go with a generated season"),
        (["--change", "share=1", "--since", "2026-11-22", "--last", "3"], "both say from when"),
        (["--log", "x", "--kafka", "h:1"], "--log is a file"),
        (["--policy", "recorded"], "no recorded policy"),
        (["--policy", "nonsense"], "no rule is named"),
        (["--log", "/nowhere/at/all"], "can't be read"),
    ],
)
def test_what_does_not_go_together_is_told_with_exit_status_2(args: list[str], what: str) -> None:
    error = refused(*args)
    assert what in error.message
    assert error.exit_status == 2


def test_an_unset_log_reads_no_kafka_even_if_the_environment_names_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUMASI_KAFKA", "nowhere.example.org:9092")
    assert simulate(*QUICK, "--json").exit_code == 0


def test_help_teaches_by_panels_and_tells_the_files_format() -> None:
    told = simulate("--help").output
    for word in (
        "A generated season",
        "A recorded log instead",
        "Under which policies",
        "What if",
        "one CloudEvent a line",
        "whoever has least gets the next share",
        "weights: equal or claim",
    ):
        assert word in " ".join(told.split())


def test_definitions_are_printed_for_every_measure() -> None:
    told = simulate("--definitions").output
    assert all(f"[{one.name}, " in told for one in MEASURES)
    assert set(json.loads(simulate("--definitions", "--json").stdout)) == {one.name for one in MEASURES}


@pytest.mark.parametrize("option", ["--html", "--save"])
def test_a_file_that_could_not_be_written_is_told_before_anything_is_run(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.policies.runs.course_of", lambda *_: pytest.fail("it was run"))
    error = refused(*QUICK, option, str(tmp_path / "nowhere" / "x"), "--json")
    assert (error.code, error.exit_status) == ("file_unwritable", 2)
    assert "there is no directory" in error.message


@pytest.mark.parametrize("last", ["1e300", "999999", "inf", "8.5"])
def test_a_change_further_back_than_the_log_holds_from_its_start(last: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    simulate("--days", "3", "--save", str(log))
    told = json.loads(simulate("--log", str(log), "--change", "share=1", "--last", last, "--json").stdout)
    assert told["since"] == "2026-11-22T00:00:00Z"


def test_a_page_that_is_handed_on_names_no_folder_and_runs_again_beside_the_log(tmp_path: Path) -> None:
    log, sheet = tmp_path / "a log", tmp_path / "page.html"
    simulate("--days", "3", "--save", str(log))
    done = simulate("--log", str(log), "--policy", "recorded", "--html", str(sheet))
    assert str(log) in done.output  # whoever runs it sees which file it was
    text = sheet.read_text()
    assert str(tmp_path) not in text and tmp_path.name not in text
    assert "./run simulate --log 'a log' --policy recorded" in html.unescape(text)


def test_piped_the_best_is_starred_since_nothing_is_bold_there(comparison: Comparison) -> None:
    told = {}
    for terminals in (True, False):
        console = Console(width=100, force_terminal=terminals, color_system="standard" if terminals else None)
        with console.capture() as captured:
            terminal.show(comparison, console)
        told[terminals] = captured.get()
    assert "Bold: the best" in told[True] and "*" not in told[True]
    assert "*: the best" in told[False] and re.search(r"  \*[0-9]", told[False])


def test_in_a_recorded_log_nothing_is_best_by_what_people_did(tmp_path: Path, comparison: Comparison) -> None:
    log = tmp_path / "log"
    simulate("--days", "15", "--save", str(log))
    frozen = compare(LogSource(read_log(log)), list(comparison.policies[:3]), "")
    titled = {"Wholly delivered, % of the cases opened", "Promises that fell through, CNY"}
    marks = [one.best for title, rows in sections(frozen) if title in titled for one in rows]
    marks += [one.best for one in money_rows(frozen) if one.label.startswith("Money in hand")]
    assert len(marks) > 4 and not any(marks)
    assert any(one.best for _, rows in sections(frozen) for one in rows)


def test_one_is_said_as_one(tmp_path: Path) -> None:
    log = tmp_path / "log"
    simulate("--days", "1", "--cases", "0.01", "--generosity", "0", "--save", str(log))
    done = simulate("--log", str(log), "--policy", "recorded").output
    assert " over 1 day, fund season-1" in done and "donors pledged" in done


def test_a_wrong_time_is_told(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert simulate(*QUICK, "--save", str(log)).exit_code == 0
    assert "no time" in refused("--log", str(log), "--change", "share=1", "--since", "yesterday").message
    assert "changes nothing" in refused("--log", str(log), "--change", "recorded").message
    error = refused("--log", str(log), "--fund", "other")
    assert ("no fund other" in error.message, error.hint) == (True, "It has season-1.")


# ---- what is told


def test_everything_is_in_the_json_and_runs_again_from_its_command(tmp_path: Path) -> None:
    first = simulate(*QUICK, "--seed", "9", "--policy", "share=5000", "--policy", RULES[-1], "--json")
    told = json.loads(first.stdout)
    assert [policy["policy"] for policy in told["policies"]] == ["share=5000", RULES[-1]]
    assert set(told["policies"][0]["measures"]) == {one.name for one in MEASURES} == set(told["definitions"])
    assert told["source"]["parameters"]["seed"] == 9
    again = simulate(*told["command"].split()[2:], "--json")
    assert json.loads(again.stdout) == told


def test_a_saved_season_replayed_comes_to_what_it_came_to(tmp_path: Path) -> None:
    log = str(tmp_path / "log.jsonl")
    lived = json.loads(simulate(*QUICK, "--policy", RULES[1], "--save", log, "--json").stdout)
    again = json.loads(simulate("--log", log, "--policy", "recorded", "--json").stdout)
    before, after = (told["policies"][0]["measures"] for told in (lived, again))
    assert before == after
    assert again["source"]["kind"] == "log"


def test_a_change_on_a_file_is_told_in_json_and_in_words(tmp_path: Path) -> None:
    log = str(tmp_path / "log.jsonl")
    simulate(*QUICK, "--generosity", "0.3", "--save", log)
    told = json.loads(simulate("--log", log, "--change", "first-come/1", "--last", "5", "--json").stdout)
    assert told["counts"]["more"] > 0
    words = simulate("--log", log, "--change", "first-come/1", "--last", "5").output
    assert "Nothing was written." in " ".join(words.split())
    assert f"{told['counts']['more']} case" in words


def test_runs_in_processes_come_to_the_same_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from services.policies import runs

    source, policies = SeasonSource(Season(days=6)), [parse_policy(text) for text in ("share=1", "share=20000")]
    here = run_all(source, policies)
    monkeypatch.setattr(runs, "SMALL", 0)
    seen: list[tuple[int, int, int]] = []
    there = run_all(source, policies, lambda *told: seen.append(told))
    fates = [[[_fate(case) for case in run.cases.values()] for run in runs] for runs in (here, there)]
    assert fates[0] == fates[1]
    assert [run.money for run in there] == [run.money for run in here]


# ---- how it looks


@pytest.mark.parametrize("terminal_there", [True, False])
@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_the_table_keeps_to_the_width_on_a_terminal_and_on_a_pipe(
    comparison: Comparison, width: int, terminal_there: bool
) -> None:
    console = Console(width=width, force_terminal=terminal_there, color_system=None, highlight=False)
    with console.capture() as captured:
        terminal.show(comparison, console)
    assert max(len(line) for line in captured.get().splitlines()) <= width
    assert all(policy.name in captured.get().replace("\n", "") for policy in comparison.policies)


def test_a_dry_run_keeps_to_the_terminals_width(tmp_path: Path) -> None:
    from services.policies.change import dry_run
    from services.policies.commandlog import read_log

    log = tmp_path / "log.jsonl"
    simulate(*QUICK, "--generosity", "0.3", "--save", str(log))
    console = Console(width=80, force_terminal=True, color_system=None, highlight=False)
    with console.capture() as captured:
        change_shown.show(dry_run(read_log(log), parse_policy("first-come/1"), None), console)
    assert max(len(line) for line in captured.get().splitlines()) <= 80


def test_what_each_rule_does_keeps_and_breaks_is_said_where_its_figures_are(comparison: Comparison) -> None:
    console = Console(width=100, force_terminal=True, color_system=None, highlight=False)
    with console.capture() as captured:
        terminal.show(comparison, console)
    screen, sheet = (" ".join(text.split()) for text in (captured.get(), page(comparison)))
    for told in TOLD.values():
        assert told.sentence.replace("`", "") in screen
        for words in (told.does, told.keeps, told.breaks):
            assert re.sub("`([^`]*)`", r"<code>\1</code>", html.escape(words, quote=True)) in sheet


class Reader(HTMLParser):
    """Notes what a page fetches, runs, names and refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src", "xlink:href", "action", "data", "poster"):
                self.links.append(value or "")


def test_the_report_is_one_file_that_fetches_and_runs_nothing(comparison: Comparison) -> None:
    text = page(comparison)
    told = Reader(text)
    assert not {"script", "link", "img", "iframe", "object", "embed"} & set(told.tags)
    assert "&lt;script&gt;" in text  # what came from outside is text
    assert len(told.ids) == len(set(told.ids))
    assert all(link.startswith("#") and link[1:] in told.ids for link in told.links)
    assert set(re.findall(r"url\(#([^)]*)\)", text)) <= set(told.ids)
    assert "@import" not in text and not re.search(r"url\((?!#)", text)
    assert told.tags.count("svg") >= 13


def test_the_report_follows_the_readers_scheme_and_shows_every_figure_and_definition(comparison: Comparison) -> None:
    text = page(comparison)
    assert "prefers-color-scheme: dark" in text and 'name="viewport"' in text
    assert not re.search(r"#0[0-9a-f]0[0-9a-f]0[0-9a-f]\b", text)  # no stand-in colour is left
    for one in MEASURES:
        assert one.name in text
    for policy, told in zip(comparison.policies, comparison.measured, strict=True):
        assert policy.name in text
        assert f"{100 * told['funded']['all']:.1f}" in text


def test_the_same_comparison_gives_the_same_page(comparison: Comparison) -> None:
    assert page(comparison) == page(comparison)


def test_every_measure_is_shown_or_known_to_be_in_the_head() -> None:
    shown = {name for _, names in SECTIONS for name in names} | set(MONEY)
    assert {one.name for one in MEASURES} - shown == {"opened", "asked", "deadlines"}

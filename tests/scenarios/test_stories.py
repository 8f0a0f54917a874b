"""The five stories against the engine in this process: each shows what it is there to show, and ends with the figures it names."""

import io
import json
import re
from collections import Counter
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from nacl.public import PrivateKey
from rich.console import Console

from schemas.times import DAY, HOUR, parse
from schemas.values import Access
from services.bus.deadletters.letter import looks_like_contact
from services.cli.shared.log import Log
from services.intake.admission import admit
from services.intake.cloudevents import Event
from services.intake.contacts import Sealer
from services.notifier.phrases import in_words
from services.notifier.screen import pretty
from services.stories import routes
from services.stories.figures import CaseFigures, Figures, FundFigures
from services.stories.rehearsal import Told, rehearse
from services.stories.scenario import STORIES, Story, load_stories, read_story
from services.stories.screen import Screen, bars
from tests.telling import rehearsed_figures

ALL = load_stories()
BY_NAME = {story.name: story for story in ALL}


def played(name: str) -> list[Told]:
    return list(rehearse(BY_NAME[name]))


def facts_of(told: list[Told], name: str) -> list[dict]:
    return [{**fact, "at": one.entry["at"]} for one in told for fact in one.facts if fact["fact"] == name]


def fund_of(name: str, fund: str | None = None) -> FundFigures:
    story = BY_NAME[name]
    return rehearsed_figures(story)[0].funds[fund or next(iter(story.currencies))]


def test_there_are_five_each_later_than_the_one_before() -> None:
    assert [story.name for story in ALL] == ["chat-room", "tuberculosis", "two-routes", "no-papers", "provinces"]
    for former, later in pairwise(ALL):
        assert former.ends < later.starts, (
            "ticks reach every partition: a later story must not wake an earlier one's timers"
        )


@pytest.mark.parametrize("ticks", [False, True], ids=["own time", "ticking"])
@pytest.mark.parametrize("story", ALL, ids=lambda story: story.name)
def test_a_story_ends_with_the_figures_its_file_names(story: Story, ticks: bool) -> None:
    figures, notices = rehearsed_figures(story, ticks)
    told = {name: {**fund.totals(), "notices": notices[name]} for name, fund in figures.funds.items()}
    assert told == story.expected


@pytest.mark.parametrize("story", ALL, ids=lambda story: story.name)
def test_nothing_is_refused_and_every_row_does_something(story: Story) -> None:
    told = list(rehearse(story))
    assert not facts_of(told, "rejected")
    assert not facts_of(told, "duplicate")
    assert {row.door for row in story.rows} == {"http", "topic"}


def _without_box(value: bytes) -> dict[str, Any]:
    data = json.loads(value)
    data.pop("access_box", None)  # sealed anew each time
    return data


@pytest.mark.parametrize("story", ALL, ids=lambda story: story.name)
def test_a_story_becomes_the_same_commands_under_whatever_key(story: Story) -> None:
    public_key = PrivateKey.generate().public_key
    for row in story.rows:
        event = Event(row.id, story.source, row.type, row.at, json.dumps(row.data).encode())
        one, other = (admit(event, Sealer(key * 32, public_key), clear_contact=True) for key in (b"a", b"b"))
        assert one.id == other.id
        assert _without_box(one.value) == _without_box(other.value)
        assert one.id == row.id


@pytest.mark.parametrize("story", ALL, ids=lambda story: story.name)
def test_nobody_can_be_known_from_a_story(story: Story) -> None:
    """No contact in any row, no field but the contract's (the parser sees to that), coarse places only."""
    for row in story.rows:
        for value in row.data.values():
            assert not (isinstance(value, str) and looks_like_contact(value)), (row.line, value)
        if "access" in row.data:
            assert set(row.data["access"]) == set(Access.model_fields)
    fields = {name for row in story.rows for name in row.data}
    assert not [name for name in fields if re.search(r"name|phone|card|passport|contact|address|birth", name)]


@pytest.mark.parametrize("story", ALL, ids=lambda story: story.name)
def test_no_screen_shows_anybodys_word(story: Story) -> None:
    """The demo's, the notifier's and that of `up`, whatever they hear: screens are seen by others."""
    people = {
        str(row.data[role]) for row in story.rows for role in ("beneficiary", "donor", "voucher") if role in row.data
    }
    out = io.StringIO()
    console = Console(file=out, width=200)
    screen, notifier, up = Screen(console), pretty(console), Log(console, verbose=True)
    figures = Figures()
    screen.open(story, 1, 1, figures)
    for told in rehearse(story):
        figures.take(told.entry)
        screen.entry(told.entry)
        for one in told.tidings:
            told_of = in_words(one, "en")
            notice = told_of.model_dump(mode="json", by_alias=True)
            screen.event("notifier", notice)
            up.event("notifier", notice)
            notifier.coming(told_of)
    screen.close()
    words = set(re.findall(r"[\w.~-]+", out.getvalue()))
    assert "donor" in words and people
    assert not words & people


@pytest.mark.parametrize("path", sorted(STORIES.glob("*.story")), ids=lambda path: path.stem)
def test_a_file_is_a_table_with_straight_columns(path) -> None:
    rows = [line for line in path.read_text().splitlines() if " | " in line and not line.startswith(">")]
    edges = {tuple(match.start() for match in re.finditer(r"\|", line)) for line in rows}
    assert len(edges) == 1
    assert read_story(path).name == path.stem[2:]


# ---- what each shows


def test_chat_room_ten_thousand_within_a_day_and_a_half() -> None:
    told = played("chat-room")
    pledges = facts_of(told, "pledge_accepted")
    matched = [pledge for pledge in pledges if pledge["pledge"] != "room-41"]
    assert len(matched) == 40
    assert all(5_000 <= pledge["amount"] <= 100_000 for pledge in matched)
    assert Counter(pledge["currency"] for pledge in matched) == {"CNY": 33, "KRW": 4, "USD": 3}
    assert all(pledge["rate"] for pledge in matched)
    assert sum(pledge["donor"].startswith("stranger") for pledge in matched) > 5
    [opened], [funded] = facts_of(told, "case_opened"), facts_of(told, "case_funded")
    assert (opened["claim"], opened["class"]) == (1_000_000, "asap")
    assert parse(funded["at"]) - parse(opened["at"]) == 36 * HOUR


def test_chat_room_progress_to_the_neighbour_and_thanks_to_every_donor() -> None:
    tidings = [one for told in played("chat-room") for one in told.tidings]
    for role in ("beneficiary", "go-between"):
        assert [one.percent for one in tidings if (one.kind, one.role) == ("progress", role)] == [25, 50, 75, 100]
    assert {one.to for one in tidings if one.role == "go-between"} == {"neighbour-1"}
    donors = {one.to for one in tidings if one.kind == "matched"}
    thanked = [one.to for one in tidings if one.kind == "thanks"]
    assert len(thanked) == 40
    assert set(thanked) == donors
    assert all(one.case is None for one in tidings if one.role == "donor"), "nobody learns who anybody is"


def test_tuberculosis_three_needs_of_one_person() -> None:
    told = played("tuberculosis")
    mine = [fact for fact in facts_of(told, "case_submitted") if fact["beneficiary"] == "person-w"]
    assert {fact["case"]: fact["priority"] for fact in mine} == {
        "tb-admission": "stat", "tb-medicine": "urgent", "tb-talk": "routine",
    }  # fmt: skip
    goals = [fact["goal"] for fact in facts_of(told, "case_amended")]
    assert goals == sorted(goals)
    assert len(goals) == 2
    assert [fact["period"] for fact in facts_of(told, "case_renewed")] == [2, 3, 4, 5, 6]
    assert len(facts_of(told, "pledge_instalment")) == 4 * 5
    rises = [(fact["to"], fact["why"]) for fact in facts_of(told, "case_escalated") if fact["case"] == "tb-talk"]
    assert rises == [("urgent", "age"), ("asap", "age")]


def test_tuberculosis_paid_money_of_a_refused_admission_stays_paid_and_finds_her_other_needs() -> None:
    told = played("tuberculosis")
    [closing] = [
        one
        for one in told
        if any(fact["fact"] == "case_closed" and fact["case"] == "tb-admission" for fact in one.facts)
    ]
    voided = [fact for fact in closing.facts if fact["fact"] == "award_voided"]
    assert sum(fact["amount"] for fact in voided) == sum(fact["settled"] for fact in voided) == 250_000
    sums = Counter()
    for fact in closing.facts:
        sums[fact["fact"]] += fact.get("amount", 0)
    assert {fact["case"] for fact in closing.facts if fact["fact"] == "awarded"} == {"tb-talk"}
    assert sums["award_settled"] == sums["awarded"] == 169_400, "all that tb-talk lacked, settled as it is awarded"


def test_tuberculosis_who_waited_long_goes_before_a_fresh_need() -> None:
    awards = [fact for fact in facts_of(played("tuberculosis"), "awarded") if fact["pledge"] == "tb-late-1"]
    assert {fact["case"] for fact in awards} == {"tb-other"}
    assert awards[0]["why"]["class"] == "asap"


def test_two_routes_equal_steps_or_equal_parts() -> None:
    placed = {
        fund: [case.promised for case in fund_of("two-routes", fund).cases.values()]
        for fund in ("routes-equal", "routes-claim")
    }
    assert placed == {"routes-equal": [200_000] * 3, "routes-claim": [100_000, 400_000, 100_000]}
    assert [case.own for case in fund_of("two-routes").cases.values()] == [0, 0, 900_000]


def test_two_routes_are_plotted_side_by_side() -> None:
    figures, _ = rehearsed_figures(BY_NAME["two-routes"])
    funds = list(figures.funds.values())
    drawing = ElementTree.fromstring(routes.svg(funds))
    lines = {part.get("id") for part in drawing.iter("{http://www.w3.org/2000/svg}g")}
    assert lines >= {case for fund in funds for case in fund.cases}
    cases = [(fund, case) for fund in funds for case in fund.cases.values()]
    text = "\n".join(map(str, bars(cases, 120)))
    assert "e-dear        █████░░░░░░░░░░░░░░░░░░░░░░░░░░░ 2,000.00 / 2,000.00" in text
    assert "c-dear        ██████████░░░░░░░░░░░░░░░░░░░░░░ 4,000.00 / 4,000.00" in text


def test_no_papers_all_open_and_the_money_of_one_who_died_finds_the_next() -> None:
    told = played("no-papers")
    needs = Counter(fact["need"] for fact in facts_of(told, "case_submitted"))
    assert needs["test"] >= 10
    assert needs["vaccine"] >= 10
    assert len(facts_of(told, "case_opened")) == sum(needs.values()), "not one is refused for lack of papers"
    assert {fact["why"] for fact in facts_of(told, "case_escalated")} == {"age", "deadline"}
    [death] = [one for one in told if any(fact.get("outcome") == "deceased" for fact in one.facts)]
    voided = [fact for fact in death.facts if fact["fact"] == "award_voided"]
    assert voided
    assert not any(fact["settled"] for fact in voided), "the pledges were unpaid"
    again = [fact for fact in death.facts if fact["fact"] == "awarded"]
    assert sum(fact["amount"] for fact in again) == sum(fact["amount"] for fact in voided)
    assert "dose-03" not in {fact["case"] for fact in again}


def test_no_papers_what_expires_or_is_not_paid_is_released() -> None:
    told = played("no-papers")
    assert len(facts_of(told, "pledge_expired")) == 2
    assert len(facts_of(told, "payment_failed")) == 1
    assert (
        sum(fact["amount"] for fact in facts_of(told, "released"))
        == BY_NAME["no-papers"].expected["winter"]["released"]
        > 0
    )


def test_provinces_five_provinces_all_papers_two_funds_apart() -> None:
    figures, _ = rehearsed_figures(BY_NAME["provinces"])
    cases: list[CaseFigures] = [case for fund in figures.funds.values() for case in fund.cases.values()]
    access = [row.data["access"] for row in BY_NAME["provinces"].rows if "access" in row.data]
    assert {told["province"] for told in access} == {"CN-BJ", "CN-TJ", "CN-HL", "CN-LN", "CN-JL"}
    assert {told["status"] for told in access} == {
        "registered", "temporary-residence", "family-register", "unregistered", "unknown",
    }  # fmt: skip
    assert sum(case.own > 0 for case in cases) > 10, "many pay themselves"
    assert any(case.claim == 0 for case in cases), "some all of it"
    one, other = (set(fund.pledges) for fund in figures.funds.values())
    assert not one & other
    waited = [(case.funded_at - case.opened_at) / DAY for case in cases if case.claim and case.funded_at]
    assert min(waited) > 1

"""Why there, why not me: answers from ledgers that the engine made, held against what is known of how they were made."""

import json
import re
from typing import Any, get_args

import pytest

from schemas.times import text_of
from schemas.values import Class, Fallback, Need, Outcome, Route, Rule, Weights
from services.console.explain import wording
from services.console.explain.explain import answer
from services.console.explain.missed import REASONS, Missed
from services.console.explain.order import key_of, step_of
from services.console.explain.story import Story
from services.console.explain.telling import Told as Explained
from services.console.readmodel.model import ReadModel
from services.errors import UnknownId, UsageError
from services.matcher.engine.engine import Engine
from services.matcher.rules.waterfill_arithmetic import boundary_of
from services.matcher.rules.waterfill_arithmetic import key_of as matchers_key
from services.words import LANGUAGES
from services.words.classes import CLASSES
from tests.ledgers import Told
from tests.oracle.season import log


def ask(told: Told, kind: str, name: str, language: str = "en", fund: str | None = None) -> Explained:
    story = Story(kind, name, fund)
    model = ReadModel(story.watch)
    for _, _, value in told.entries:
        model.feed(told.partition, json.loads(value))
    explained = answer(model, story, language)
    json.dumps(explained.as_dict())
    return explained


def sentences(explained: Explained) -> str:
    return "\n".join(explained.as_dict()["text"])


def went(explained: Explained) -> dict[str, int]:
    """What others were promised of the runs that left a case lacking, by reason."""
    missed = explained.data["missed"]
    return {name: share["amount"] for name, share in missed.items() if isinstance(share, dict)}


def events(explained: Explained) -> list[str]:
    return [event["event"] for event in explained.data["story"]]


@pytest.fixture
def told() -> Told:
    """A fund with all that happens: three classes, a designation, a payment, a delivery, a withdrawal, a death."""
    told = Told()
    told.case("c-1", 100_000, "stat")
    told.case("c-2", 50_000)
    told.case("c-3", 40_000)
    told.case("c-4", 30_000, "routine", need="medication")
    told.pledge("p-1", 60_000)
    told.pay("p-1", 30_000)
    told.pledge("p-2", 70_000, designation={"need": "medication"}, fallback="hold")
    told.pledge("p-3", 60_000)
    told("case.delivered", case="c-1", delivery="h-1", amount=20_000)
    return told


def test_a_pledge_tells_where_it_went_and_keeps_the_figures_apart(told: Told) -> None:
    found = ask(told, "pledge", "p-1")
    assert found.data["figures"] == {
        "placed": 60_000, "settled": 30_000, "delivered": 20_000, "waiting": 0, "released": 0, "refunded": 0,
    }  # fmt: skip
    assert [award["case"] for award in found.data["awards"]] == ["c-1"]
    assert events(found) == ["pledge_accepted", "awarded", "payment_received", "award_settled", "award_delivered"]
    assert "no claim more urgent than “immediate” lacked money" in sentences(found)
    assert ("delivered", "CNY 200.00") in found.figures


def test_a_designated_pledge_says_that_the_donor_chose(told: Told) -> None:
    found = ask(told, "pledge", "p-2")
    assert "The donor chose the need medication; the rest waits for it." in sentences(found)
    assert "CNY 400.00 waits" in sentences(found)
    told.pledge("p-9", 1_000, designation={"case": "c-3"})
    assert "Award p-9/1: the donor chose it." in sentences(ask(told, "pledge", "p-9"))
    assert "no other claim was looked at" in sentences(ask(told, "award", "p-9/1"))


@pytest.mark.parametrize(("required", "missing"), [(3, 2), (1, 1)])
def test_a_case_that_is_not_open_yet_says_so_and_what_it_lacks(required: int, missing: int) -> None:
    told = Told()
    told("fund.configured", currency="CNY", vouchers_required=3)
    told.case("c-1", 100_000)
    told("case.vouched", case="c-1", voucher="v-1")
    if required != 3:
        told("fund.configured", currency="CNY", vouchers_required=required)  # opens nothing by itself
    found = ask(told, "case", "c-1")
    assert (found.data["status"], found.data["figures"]["asked"], found.data["figures"]["lacks"]) == (
        "submitted", 100_000, 100_000,
    )  # fmt: skip
    assert f"It isn't open yet: 1 of {required} vouchers." in sentences(found)
    assert f"Vouchers it still needs: {missing}. Money it still lacks: CNY 1,000.00." in sentences(found)


@pytest.mark.parametrize(("paid", "thanked"), [(0, False), (1_000, True)])
def test_thanks_are_part_of_a_pledges_story_once_money_of_it_is_paid(paid: int, thanked: bool) -> None:
    told = Told()
    told.case("c-1", 10_000)
    told.pledge("p-1", 5_000)
    if paid:
        told.pay("p-1", paid)
    told("case.thanked", case="c-1", thanks="thank-you")
    assert ("case_thanked" in events(ask(told, "pledge", "p-1"))) is thanked


@pytest.mark.parametrize(
    ("end", "reason", "released"),
    [(("pledge.withdrawn", {"pledge": "p-1"}), "withdrawn", "withdrawn"),
     (("payment.failed", {"pledge": "p-1", "payment": "y-f", "reason": "declined"}), "payment_failed", "payment_failed"),
     (("case.closed", {"case": "c-1", "outcome": "deceased"}), "case_closed", None),
     (("case.amended", {"case": "c-1", "goal": 20_000}), "goal_lowered", None)],
)  # fmt: skip
def test_what_ended_an_award_is_said(
    told: Told, end: tuple[str, dict[str, Any]], reason: str, released: str | None
) -> None:
    kind, data = end
    told(kind, **data)
    story = ask(told, "pledge", "p-1").data["story"]
    assert [event["reason"] for event in story if event["event"] == "award_voided"] == [reason]
    assert [event["reason"] for event in story if event["event"] == "released"] == ([released] if released else [])
    assert [e["reason"] for e in ask(told, "award", "p-1/1").data["story"] if e["event"] == "award_voided"] == [reason]


def test_a_designation_to_a_case_that_is_not_open_is_said() -> None:
    told = Told("jilin")
    told.pledge("p-1", 5_000, designation={"case": "c-1"}, fallback="hold")
    assert "There is no case of that id" in sentences(ask(told, "pledge", "p-1"))
    told.case("c-1")
    assert "nothing can go there" not in sentences(ask(told, "pledge", "p-1"))
    told("case.closed", case="c-1", outcome="completed")
    assert "That case is closed, so nothing more can go there." in sentences(ask(told, "pledge", "p-1"))


def test_expiry_and_a_designation_that_has_no_place_are_said() -> None:
    told = Told()
    told.case("c-1", 10_000)
    told.pledge("p-1", 5_000, expires_at="2026-12-01T00:00:00Z")
    told.pledge("p-2", 5_000, designation={"need": "vaccine"}, fallback="release")
    told("clock.ticked", "2026-12-02T00:00:00Z")
    reasons = {
        pledge: [e["reason"] for e in ask(told, "pledge", pledge).data["story"] if e["event"] == "released"]
        for pledge in ("p-1", "p-2")
    }
    assert reasons == {"p-1": ["expired"], "p-2": ["no_place"]}


def test_a_case_tells_its_story_in_order(told: Told) -> None:
    told("pledge.withdrawn", pledge="p-1")
    found = ask(told, "case", "c-1")
    assert events(found) == [
        "case_submitted", "case_opened", "awarded", "award_settled", "awarded", "case_funded", "case_delivered", "award_voided",
    ]  # fmt: skip
    assert found.data["figures"] == {
        "asked": 100_000, "placed": 70_000, "settled": 30_000, "delivered": 20_000, "lacks": 30_000,
    }  # fmt: skip
    assert "Nobody comes before it now" in sentences(found)
    assert [event["vouchers"] for event in found.data["story"] if event["event"] == "case_vouched"] == []


def test_a_closed_case_is_not_said_to_lack_anything(told: Told) -> None:
    assert ("still lacking", "CNY 0.00") in ask(told, "case", "c-1").figures
    told("case.closed", case="c-2", outcome="withdrawn")
    found = ask(told, "case", "c-2")
    assert found.data["status"] == "closed"
    assert [word for word, _ in found.figures] == ["asked", "placed", "settled (paid)", "delivered"]


def test_a_case_learns_what_went_before_it(told: Told) -> None:
    found = ask(told, "case", "c-3")
    assert found.data["missed"] == {
        "runs": 2,
        "reached": 1,
        "voided": 0,
        "urgent": {"amount": 100_000, "awards": 2, "key_least": None, "key_most": None},
        "lesser": {"amount": 10_000, "awards": 1, "key_least": None, "key_most": None},
        "chosen": {"amount": 30_000, "awards": 1, "key_least": None, "key_most": None},
    }
    told.pledge("p-4", 3_000)  # c-2 stands at 10,000, c-3 at 10,000: c-2 opened first
    found = ask(told, "case", "c-3")
    assert found.data["missed"]["earlier"]["amount"] == 3_000
    assert found.data["last_missed"]["key"] == found.data["last_missed"]["went"]["earlier"]["key_most"] == 20_000
    told.pledge("p-5", 7_000)  # on to c-2's step at 20,000
    told.pledge("p-6", 2_000)  # now c-3's
    text = sentences(ask(told, "case", "c-2"))
    assert "CNY 120.00 was promised to people of the same class whose next step was lower" in text
    assert "Those of its class that were served then had a next step that ended at CNY 200.00." in text
    assert "Claims in its own class that come before it now: 1, lacking CNY 280.00 together." in text
    assert "in more urgent classes, which come before" not in text


def test_an_older_need_of_the_same_person_comes_first() -> None:
    told = Told()
    told.case("c-1", 50_000)
    told.case("c-2", 50_000, beneficiary="b-c-1")
    told.pledge("p-1", 30_000)
    found = ask(told, "case", "c-2")
    assert found.data["missed"]["own"]["amount"] == 30_000
    assert found.data["ahead"]["own"] is True


def test_nobody_else_is_named(told: Told) -> None:
    """Others appear as counts and sums: no id of theirs, and no person's pseudonym at all."""
    for case in ("c-1", "c-2", "c-3", "c-4"):
        text = json.dumps(ask(told, "case", case).as_dict())
        assert set(re.findall(r"\bc-[0-9]", text)) == {case}
        assert "d-p-" not in text
        assert "b-c-" not in text
    for pledge in ("p-1", "p-2", "p-3"):
        text = json.dumps(ask(told, "pledge", pledge).as_dict())
        assert "b-c-" not in text
        assert "d-p-" not in text


@pytest.mark.parametrize("weights", ["equal", "claim"])
def test_an_award_shows_the_arithmetic_of_the_rule(weights: str) -> None:
    told = Told(weights=weights, share=7_000)
    told.case("c-1", 100_000)
    told.case("c-2", 60_000)
    told.pledge("p-1", 25_000)
    told.pledge("p-2", 9_000)
    for award in ("p-1/1", "p-1/2", "p-2/1"):
        found = ask(told, "award", award)
        why = found.data["why"]
        assert found.findings == []
        boundary = boundary_of(why["before"], why["claim"], 7_000)
        assert found.data["exact"] == found.as_dict()["exact"]
        text = "\n".join(found.exact)
        assert f"({why['before']:,} // 7,000 + 1) × 7,000) = {boundary:,}." in text
        assert f"{matchers_key(boundary, why['claim'], weights == 'claim'):,}" in text
        assert f"Its next step ended at CNY {boundary / 100:,.2f}" in sentences(found)
        assert "//" not in sentences(found)


def test_a_key_that_the_rule_does_not_give_is_a_finding(told: Told) -> None:
    seq, at, value = told.entries[5]
    told.entries[5] = (seq, at, value.replace(b'"key":10000', b'"key":10001'))
    assert told.entries[5][2] != value
    assert "audit the ledger" in ask(told, "award", "p-1/1").findings[0]


def test_an_award_is_explained_by_the_policy_it_was_made_under(told: Told) -> None:
    told("fund.configured", currency="CNY", vouchers_required=0, share=500, weights="claim")
    assert ask(told, "award", "p-1/1").findings == []


def test_many_awards_are_told_as_one_line() -> None:
    told = Told()
    told.case("c-1", 1_000_000)
    for number in range(40):
        told.pledge(f"p-{number}", 1_000)
    found = ask(told, "case", "c-1")
    assert "40 awards promised CNY 400.00 together" in sentences(found)
    assert events(found).count("awarded") == 40


def test_foreign_money_is_told_in_both_currencies() -> None:
    told = Told()
    told.case("c-1", 1_000_000)
    told.pledge("p-1", 500_000, currency="KRW")
    assert "KRW 500,000; it waits for a rate" in sentences(ask(told, "pledge", "p-1"))
    told("rate.quoted", currency="KRW", rate="0.0052")
    assert "A rate was quoted (0.0052): it is worth CNY 2,600.00." in sentences(ask(told, "pledge", "p-1"))


def test_an_unknown_id_is_said_and_an_ambiguous_one_asks_for_the_fund(told: Told) -> None:
    with pytest.raises(UnknownId, match="no case c-99 in any fund"):
        ask(told, "case", "c-99")
    with pytest.raises(UnknownId, match="no pledge p-1 in fund other"):
        ask(told, "pledge", "p-1", fund="other")
    other = Told("yanbian")
    other.pledge("p-1", 100)
    story = Story("pledge", "p-1")
    model = ReadModel(story.watch)
    for telling in (told, other):
        for _, _, value in telling.entries:
            model.feed(telling.partition, json.loads(value))
    with pytest.raises(UsageError, match="several funds: jilin, yanbian"):
        answer(model, story, "en")


def test_every_value_of_the_contract_that_is_told_has_its_word() -> None:
    tables = {
        Class: CLASSES, Need: wording.NEEDS, Route: wording.ROUTES, Outcome: wording.OUTCOMES,
        Fallback: wording.FALLBACKS, Rule: wording.RULES, Weights: wording.GOES_FIRST,
    }  # fmt: skip
    assert {value: set(get_args(value)) for value in tables} == {value: set(words) for value, words in tables.items()}
    assert wording.RULES.keys() == wording.RULE_NAMES.keys()
    assert wording.GOES_FIRST.keys() == wording.STEPS.keys() == wording.KEYS.keys()
    assert wording.MISSED.keys() == set(REASONS)


@pytest.mark.parametrize("seed", range(24))
def test_over_random_seasons_everything_has_a_reason_in_every_language(seed: int) -> None:
    engine, rows = Engine(), []
    for offset, command in enumerate(log(seed)):
        decision = engine.execute(command)
        head = {"seq": offset + 1, "fund": decision.fund, "at": text_of(decision.at), "cause": {"offset": offset}}
        rows.append({**head, "facts": decision.facts})
    stories = [
        Story(kind, name, fund.name)
        for fund in engine.funds.values()
        for kind, names in (("case", fund.cases), ("pledge", fund.pledges), ("award", _awards(rows, fund.name)))
        for name in names
    ]
    model = ReadModel(lambda fund, fact, moment: [story.watch(fund, fact, moment) for story in stories])
    stories[:] = stories[:: len(stories) // 60 + 1]
    for row in rows:
        model.feed(0, row)
    for number, story in enumerate(stories):
        assert answer(model, story, LANGUAGES[number % 3]).findings == [], (story.kind, story.name)


def _awards(rows: list[dict[str, Any]], fund: str) -> list[str]:
    """Every award ever made in a fund, those that are void too."""
    facts = ((row["fund"], fact) for row in rows for fact in row["facts"] if fact["fact"] == "awarded")
    return [fact["award"] for name, fact in facts if fact.get("fund", name) == fund]


@pytest.mark.parametrize("seed", range(100, 160))
def test_no_money_goes_elsewhere_without_a_reason(seed: int) -> None:
    engine, watched = Engine(), {}
    commands = log(seed)

    def watch(fund: Any, fact: dict[str, Any], moment: Any) -> None:
        for case in fund.cases:
            watched.setdefault((fund.name, case), Missed(case)).watch(fund, fact, moment)

    model = ReadModel(watch)
    for offset, command in enumerate(commands):
        decision = engine.execute(command)
        head = {"seq": offset + 1, "fund": decision.fund, "at": text_of(decision.at), "cause": {"offset": offset}}
        model.feed(0, {**head, "facts": decision.facts})
    for missed in watched.values():
        missed.finish()
        assert "unexplained" not in missed.shares


def test_the_consoles_arithmetic_is_the_matchers() -> None:
    told = Told(weights="claim", share=7)
    policy = told.read().funds["jilin"].policy
    for claim in range(1, 40):
        for promised in range(claim):
            assert step_of(promised, claim, 7) == boundary_of(promised, claim, 7)
            assert key_of(promised, claim, policy) == matchers_key(boundary_of(promised, claim, 7), claim, True)

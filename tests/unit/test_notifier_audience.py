"""Who hears what: entries in, tidings out, as tables."""

from typing import Any

import pytest

from schemas.notices import Notice, Tidings
from services.notifier.audience import Audience
from services.notifier.phrases import in_words

FUND = {
    "fact": "fund_configured", "fund": "jilin", "currency": "CNY", "rule": "urgency-waterfill/1", "share": 10000,
    "weights": "equal", "ageing_days": 7, "deadline_hours": 72, "vouchers_required": 1,
}  # fmt: skip


class Ledger:
    """Writes entries and hears what is told of each."""

    def __init__(self) -> None:
        self.audience, self.seq = Audience(3), 0
        self.entries: list[dict[str, Any]] = []
        self.say(FUND)

    def say(self, *facts: dict[str, Any], fund: str | None = "jilin", more: bool = False) -> list[Tidings]:
        self.seq += 1
        entry = {"seq": self.seq, "fund": fund, "at": "2026-11-22T10:00:00Z", "facts": list(facts), "more": more}
        self.entries.append(entry)
        return self.audience.hear(entry)

    def told(self, *facts: dict[str, Any], **more: Any) -> list[str]:
        return [short(one) for one in self.say(*facts, **more)]


def short(one: Tidings) -> str:
    """`recipient kind figures`, as the tables below have it."""
    names = ("promised", "settled", "delivered", "released", "refunded", "due", "face_due")
    figures = [f"{name}={value}" for name in names if (value := getattr(one, name)) is not None]
    if one.percent:
        figures.insert(0, f"{one.percent}%")
    places = [f"{m.cases}×{m.need}/{m.class_}/{m.why}:{m.amount}" for m in one.matches]
    return " ".join([one.to, one.kind, *(["again"] if one.again else []), *figures, *places])


def case(name: str, goal: int = 1000, need: str = "medication", beneficiary: str = "b-1") -> dict[str, Any]:
    return {
        "fact": "case_submitted", "case": name, "beneficiary": beneficiary, "need": need, "route": "clinic", "goal": goal,
        "own_contribution": 0, "priority": "asap",
    }  # fmt: skip


def vouched(name: str, voucher: str = "v-1") -> dict[str, Any]:
    return {"fact": "case_vouched", "case": name, "voucher": voucher}


def opened(name: str, claim: int = 1000) -> dict[str, Any]:
    return {"fact": "case_opened", "case": name, "claim": claim, "class": "asap"}


def pledge(name: str, amount: int | None, donor: str = "d-1", **more: Any) -> dict[str, Any]:
    return {
        "fact": "pledge_accepted", "pledge": name, "donor": donor, "amount": amount, "face": amount, "currency": "CNY",
        "rate": "1", **more,
    }  # fmt: skip


def awarded(award: str, to: str, amount: int, rank: str = "asap") -> dict[str, Any]:
    why = {"class": rank, "key": 0, "before": 0, "after": amount, "claim": 1000}
    return {
        "fact": "awarded",
        "award": award,
        "pledge": award.rpartition("/")[0],
        "case": to,
        "amount": amount,
        "why": why,
    }


def settled(award: str, amount: int) -> dict[str, Any]:
    return {"fact": "award_settled", "award": award, "amount": amount}


def voided(award: str, amount: int, of_it_settled: int = 0) -> dict[str, Any]:
    return {"fact": "award_voided", "award": award, "amount": amount, "settled": of_it_settled}


def paid(name: str, amount: int) -> dict[str, Any]:
    return {"fact": "payment_received", "pledge": name, "payment": f"pay-{name}", "amount": amount, "face": amount}


def delivered(to: str, amount: int) -> dict[str, Any]:
    return {"fact": "case_delivered", "case": to, "delivery": f"del-{amount}", "amount": amount}


def thanked(to: str) -> dict[str, Any]:
    return {"fact": "case_thanked", "case": to, "thanks": "thank-you"}


def fact(name: str, **fields: Any) -> dict[str, Any]:
    return {"fact": name, **fields}


@pytest.fixture
def ledger() -> Ledger:
    """A fund with two open cases of 1000: `c-1` (medication, vouched by v-1) and `c-2` (surgery, by v-2)."""
    made = Ledger()
    made.say(case("c-1"))
    made.say(vouched("c-1"), opened("c-1"))
    made.say(case("c-2", need="surgery", beneficiary="b-2"), vouched("c-2", "v-2"), opened("c-2"))
    return made


# ---- go-betweens -------------------------------------------------------------------------------------------------------


def test_opened_goes_to_the_beneficiary_and_the_vouchers() -> None:
    ledger = Ledger()
    assert ledger.told(case("c-1")) == []
    told = ledger.say(vouched("c-1"), opened("c-1"))
    assert [(one.to, one.role) for one in told] == [("b-1", "beneficiary"), ("v-1", "go-between")]
    assert {(one.kind, one.case, one.claim, one.class_) for one in told} == {("opened", "c-1", 1000, "asap")}
    [other] = ledger.say(case("c-2", beneficiary="b-2"), opened("c-2"))
    assert (other.to, other.role) == ("b-2", "beneficiary")


def test_a_notice_tells_the_day_and_not_the_second(ledger: Ledger) -> None:
    told = ledger.say(pledge("p-1", 250), awarded("p-1/1", "c-1", 250))
    assert {one.at.isoformat() for one in told} == {"2026-11-22T00:00:00+00:00"}
    assert {one.digits for one in told} == {2}


def test_urgency_is_the_needs_for_those_who_can_act_on_it_and_routine_for_all_else(ledger: Ledger) -> None:
    ledger.say(fact("case_escalated", case="c-1", why="deadline", **{"from": "asap", "to": "stat"}))
    two = [awarded("p-1/1", "c-1", 500, "stat"), awarded("p-1/2", "c-2", 500, "urgent")]
    steps = [
        ([pledge("p-1", 1000), *two], {("matched", "stat"), ("payment-due", "stat"), ("progress", "stat"), ("progress", "asap")}),
        ([paid("p-1", 1000), settled("p-1/1", 500), settled("p-1/2", 500)], {("settled", "routine")}),
        ([delivered("c-1", 500)], {("delivered", "stat"), ("delivered", "routine")}),
        ([thanked("c-1")], {("thanks", "routine")}),
        ([pledge("p-2", 10), fact("released", pledge="p-2", amount=10)], {("released", "routine")}),
    ]  # fmt: skip
    for facts, wanted in steps:
        told = ledger.say(*facts)
        assert {(one.kind, one.urgency) for one in told} == wanted
        assert all(one.urgency == "routine" for one in told if one.role == "donor" and one.kind == "delivered")


def test_no_voucher_silences_the_beneficiary_and_every_voucher_hears_from_then_on(ledger: Ledger) -> None:
    assert ledger.told(vouched("c-1", "v-9")) == []
    told = ledger.told(pledge("p-1", 250), awarded("p-1/1", "c-1", 250))
    assert [line for line in told if "%" in line] == [f"{who} progress 25%" for who in ("b-1", "v-1", "v-9")]


def test_who_vouches_for_themselves_by_a_word_hears_once(ledger: Ledger) -> None:
    [one] = ledger.say(case("c-9"), vouched("c-9", "b-1"), opened("c-9"))
    assert (one.to, one.role) == ("b-1", "beneficiary")


@pytest.mark.parametrize(
    ("amounts", "told"),
    [
        ([249], [None]),
        ([250], [25]),
        ([249, 1], [None, 25]),
        ([250, 250, 250, 250], [25, 50, 75, 100]),
        ([760], [75]),  # three at once: only the highest
        ([1000], [100]),
        ([300, 100, 100], [25, None, 50]),
    ],
)
def test_each_threshold_is_told_once_and_of_several_only_the_highest(
    ledger: Ledger, amounts: list[int], told: list[int | None]
) -> None:
    heard = []
    for number, amount in enumerate(amounts):
        tidings = ledger.say(pledge(f"p-{number}", amount), awarded(f"p-{number}/1", "c-1", amount))
        heard.append(next((one.percent for one in tidings if one.kind == "progress"), None))
    assert heard == told


def test_a_threshold_lost_and_passed_again_is_no_news(ledger: Ledger) -> None:
    ledger.say(pledge("p-1", 600), awarded("p-1/1", "c-1", 600))
    ledger.say(fact("pledge_withdrawn", pledge="p-1"), voided("p-1/1", 600), fact("released", pledge="p-1", amount=600))
    told = ledger.told(pledge("p-2", 600), awarded("p-2/1", "c-1", 600))
    assert not [line for line in told if "%" in line]


def test_a_raised_claim_makes_news_of_what_it_put_out_of_reach_again(ledger: Ledger) -> None:
    ledger.say(pledge("p-1", 1000), awarded("p-1/1", "c-1", 1000))
    assert ledger.told(fact("case_amended", case="c-1", claim=2000, **{"class": "asap"}, goal=2000)) == []
    assert [line for line in ledger.told(pledge("p-2", 500), awarded("p-2/1", "c-1", 500)) if "%" in line] == [
        "b-1 progress 75%",
        "v-1 progress 75%",
    ]


def test_a_claim_that_comes_back_is_no_news(ledger: Ledger) -> None:
    ledger.say(pledge("p-1", 1000), awarded("p-1/1", "c-1", 1000))
    for claim in (2000, 1000, 2000, 1000):
        assert ledger.told(fact("case_amended", case="c-1", claim=claim, **{"class": "asap"}, goal=claim)) == []


def test_a_lowered_claim_may_be_reached_at_once(ledger: Ledger) -> None:
    ledger.say(pledge("p-1", 600), awarded("p-1/1", "c-1", 600))
    amended = fact("case_amended", case="c-1", claim=600, **{"class": "asap"}, goal=600)
    assert ledger.told(amended, fact("case_funded", case="c-1", claim=600)) == [
        "b-1 progress 100%",
        "v-1 progress 100%",
    ]


def test_a_renewed_claim_counts_from_what_is_promised_already(ledger: Ledger) -> None:
    ledger.say(pledge("p-1", 1000), awarded("p-1/1", "c-1", 1000))
    renewed = {**fact("case_renewed", case="c-1", claim=2000, period=2), "class": "asap", "fund": "jilin"}
    assert ledger.told(renewed, fund=None) == []


def test_a_closed_case_makes_no_progress(ledger: Ledger) -> None:
    ledger.say(pledge("p-1", 200), awarded("p-1/1", "c-1", 200), paid("p-1", 200), settled("p-1/1", 200))
    assert ledger.told(fact("case_closed", case="c-1", outcome="completed")) == []
    ledger.say(fact("case_amended", case="c-1", claim=200, **{"class": "asap"}))
    assert all("%" not in line for line in ledger.told(delivered("c-1", 1)))


# ---- donors ------------------------------------------------------------------------------------------------------------


def test_matched_tells_need_class_and_why_and_that_payment_is_due(ledger: Ledger) -> None:
    assert ledger.told(pledge("p-1", 300), awarded("p-1/1", "c-1", 200), fact("waiting", pledge="p-1", amount=100)) == [
        "d-1 matched promised=200 1×medication/asap/least-served:200",
        "d-1 payment-due promised=300 due=200",
    ]


def test_several_awards_of_an_entry_are_one_notice(ledger: Ledger) -> None:
    ledger.say(case("c-3"), vouched("c-3"), opened("c-3"))
    told = ledger.say(
        pledge("p-1", 600), awarded("p-1/1", "c-1", 200), awarded("p-1/2", "c-2", 150), awarded("p-1/3", "c-3", 50)
    )
    matched = told[0]
    assert short(matched) == (
        "d-1 matched promised=400 2×medication/asap/least-served:250 1×surgery/asap/least-served:150"
    )
    assert matched.need is None
    assert [one.kind for one in told if one.to == "d-1"] == ["matched", "payment-due"]


def test_payment_is_called_due_once_and_later_matches_say_what_is_still_to_be_paid(ledger: Ledger) -> None:
    ledger.say(pledge("p-1", 300), awarded("p-1/1", "c-1", 200))
    assert ledger.told(awarded("p-1/2", "c-2", 100)) == [
        "d-1 matched promised=100 due=300 1×surgery/asap/least-served:100"
    ]


def test_what_is_paid_before_it_is_matched_is_never_called_due(ledger: Ledger) -> None:
    ledger.say(pledge("p-1", 200))
    assert ledger.told(paid("p-1", 200), fact("pledge_settled", pledge="p-1")) == []
    assert ledger.told(awarded("p-1/1", "c-1", 200), settled("p-1/1", 200)) == [
        "d-1 matched promised=200 1×medication/asap/least-served:200",
        "d-1 settled settled=200",
    ]


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        ({"case": "c-1"}, "chosen"),
        ({"need": "medication"}, "least-served-of-need"),
        ({"need": "surgery"}, "least-served"),  # by its fallback
        (None, "least-served"),
    ],
)
def test_the_reason_follows_the_donors_wish(ledger: Ledger, wish: dict[str, str] | None, why: str) -> None:
    told = ledger.say(pledge("p-1", 10, **({"designation": wish} if wish else {})), awarded("p-1/1", "c-1", 10))
    assert told[0].matches[0].why == why


@pytest.mark.parametrize(
    ("rule", "stage", "why"),
    [
        ("first-come/1", {}, "oldest"),
        ("guaranteed-floor/1", {"stage": "floor"}, "floor"),
        ("guaranteed-floor/1", {"stage": "class"}, "least-served"),
        ("urgency-waterfill/1", {}, "least-served"),
    ],
)
@pytest.mark.parametrize(("wish", "tail"), [({}, ""), ({"need": "medication"}, "-of-need"), ({"need": "surgery"}, "")])
def test_the_reason_is_that_of_the_rule_in_force(
    ledger: Ledger, rule: str, stage: dict[str, str], why: str, wish: dict[str, str], tail: str
) -> None:
    ledger.say({**FUND, "rule": rule})
    award = awarded("p-1/1", "c-1", 10)
    award["why"] |= stage
    told = ledger.say(pledge("p-1", 10, **({"designation": wish} if wish else {})), award)
    assert told[0].matches[0].why == why + tail


def test_an_instalment_has_its_parents_wish(ledger: Ledger) -> None:
    ledger.say(pledge("p-1", 10, designation={"case": "c-1"}))
    instalment = {**pledge("p-1#2", 10), "fact": "pledge_instalment", "of": "p-1", "fund": "jilin"}
    told = ledger.say(instalment, {**awarded("p-1#2/1", "c-1", 10), "fund": "jilin"}, fund=None)
    assert (told[0].pledge, told[0].matches[0].why) == ("p-1#2", "chosen")


def test_due_in_another_currency_is_rounded_up_to_what_pays_it(ledger: Ledger) -> None:
    foreign = {**pledge("p-1", None), "face": 100_000, "currency": "KRW", "rate": None}
    assert ledger.told(foreign) == []
    quoted = fact("rate_quoted", currency="KRW", rate="0.0052")
    told = ledger.told(
        quoted, fact("pledge_raised", pledge="p-1", amount=52_000, rate="0.0052"), awarded("p-1/1", "c-1", 999)
    )
    assert told[:2] == [
        "d-1 matched promised=999 1×medication/asap/least-served:999",
        "d-1 payment-due promised=52000 due=999 face_due=1922",  # 1922 × 0.52 = 999.44; 1921 gives 998
    ]


def test_what_is_due_in_another_currency_comes_with_the_whole_pledge_in_it(ledger: Ledger) -> None:
    foreign = {**pledge("p-1", 710), "face": 100, "currency": "USD", "rate": "7.1"}
    _, due, *_ = ledger.say(foreign, awarded("p-1/1", "c-1", 690))
    assert (due.promised, due.due, due.face_promised, due.face_due, due.face_currency) == (710, 690, 100, 98, "USD")
    won = {**pledge("p-2", 52), "face": 100, "currency": "KRW", "rate": "0.0052"}
    _, due, *_ = ledger.say(won, awarded("p-2/1", "c-1", 52))
    assert (due.digits, due.face_currency, due.face_digits) == (2, "KRW", 0)


def test_a_case_that_asks_for_nothing_opens_and_makes_no_progress() -> None:
    ledger = Ledger()
    assert ledger.told(case("c-1", goal=0), opened("c-1", 0), fact("case_funded", case="c-1", claim=0)) == [
        "b-1 opened"
    ]
    raised = fact("case_amended", case="c-1", claim=1000, **{"class": "asap"}, goal=1000)
    assert ledger.told(raised) == []
    assert ledger.told(pledge("p-1", 250), awarded("p-1/1", "c-1", 250))[-1] == ("b-1 progress 25%")


def test_settled_tells_one_sum_and_not_what_only_moved(ledger: Ledger) -> None:
    ledger.say(pledge("p-1", 300), awarded("p-1/1", "c-1", 200), awarded("p-1/2", "c-2", 100))
    assert ledger.told(paid("p-1", 250), settled("p-1/1", 200), settled("p-1/2", 50)) == ["d-1 settled settled=250"]
    closing = fact("case_closed", case="c-1", outcome="deceased")
    assert ledger.told(closing, voided("p-1/1", 200, 200), awarded("p-1/3", "c-2", 200), settled("p-1/3", 200)) == [
        "d-1 matched again promised=200 due=50 1×surgery/asap/least-served:200",
        "b-2 progress 25%",
        "v-2 progress 25%",
    ]


def test_an_award_made_and_voided_in_one_entry_is_not_told(ledger: Ledger) -> None:
    told = ledger.told(
        pledge("p-1", 100), awarded("p-1/1", "c-1", 100), fact("pledge_expired", pledge="p-1"), voided("p-1/1", 100),
        fact("released", pledge="p-1", amount=100),
    )  # fmt: skip
    assert told == ["d-1 released released=100"]


def test_delivery_uses_settled_awards_oldest_first_and_tells_each_donor_their_own_part(ledger: Ledger) -> None:
    for name, donor, amount in (("p-1", "d-1", 100), ("p-2", "d-2", 200), ("p-3", "d-3", 300)):
        ledger.say(pledge(name, amount, donor), awarded(f"{name}/1", "c-1", amount))
    ledger.say(paid("p-3", 300), settled("p-3/1", 300))
    ledger.say(paid("p-1", 100), settled("p-1/1", 100))
    assert ledger.told(delivered("c-1", 150)) == [
        "b-1 delivered delivered=150",
        "v-1 delivered",
        "d-1 delivered delivered=100",  # older award, though paid later; p-2 is older than p-3, but unpaid
        "d-3 delivered delivered=50",
    ]
    ledger.say(paid("p-2", 200), settled("p-2/1", 200))
    assert ledger.told(delivered("c-1", 300)) == [
        "b-1 delivered 25% delivered=300",
        "v-1 delivered 25%",
        "d-2 delivered delivered=200",
        "d-3 delivered delivered=100",
    ]


def test_thanks_reach_each_donor_once_also_after_the_end_and_nobody_who_left(ledger: Ledger) -> None:
    for name, donor in (("p-1", "d-1"), ("p-2", "d-1"), ("p-3", "d-2"), ("p-4", "d-3")):
        ledger.say(pledge(name, 100, donor), awarded(f"{name}/1", "c-1", 100))
    ledger.say(fact("pledge_withdrawn", pledge="p-4"), voided("p-4/1", 100), fact("released", pledge="p-4", amount=100))
    assert ledger.say(thanked("c-1")) == []  # nobody has paid yet: nobody has helped yet
    for name in ("p-2", "p-3"):
        ledger.say(paid(name, 100), settled(f"{name}/1", 100))
    ledger.say(delivered("c-1", 100))
    told = ledger.say(thanked("c-1"))
    assert [(one.to, one.pledge, one.thanks, one.need) for one in told] == [
        ("d-1", "p-2", "thank-you", "medication"),  # p-1 is older, and unpaid
        ("d-2", "p-3", "thank-you", "medication"),
    ]


def test_released_and_refunded(ledger: Ledger) -> None:
    ledger.say(pledge("p-1", 500))
    ledger.say(paid("p-1", 200))
    assert ledger.told(fact("pledge_withdrawn", pledge="p-1"), fact("released", pledge="p-1", amount=300)) == [
        "d-1 released released=300"
    ]
    assert ledger.told(fact("refunded", pledge="p-1", payment="r-1", amount=200)) == ["d-1 refunded refunded=200"]


# ---- entries -----------------------------------------------------------------------------------------------------------


def test_an_answer_of_several_entries_is_told_with_its_last(ledger: Ledger) -> None:
    assert ledger.told(pledge("p-1", 300), awarded("p-1/1", "c-1", 100), more=True) == []
    told = ledger.say(awarded("p-1/2", "c-2", 200))
    assert short(told[0]).startswith("d-1 matched promised=300")
    assert {one.entry for one in told} == {f"3-{ledger.seq}"}


def test_a_tick_keeps_funds_apart_though_their_ids_are_the_same(ledger: Ledger) -> None:
    ledger.say({**FUND, "fund": "seoul", "currency": "KRW"}, fund="seoul")
    ledger.say(case("c-1"), vouched("c-1"), opened("c-1"), fund="seoul")
    for fund in ("jilin", "seoul"):
        ledger.say(pledge("p-1", 100), awarded("p-1/1", "c-1", 100), fund=fund)
    ends = [
        {**one, "fund": fund}
        for fund in ("jilin", "seoul")
        for one in (
            fact("pledge_expired", pledge="p-1"),
            voided("p-1/1", 100),
            fact("released", pledge="p-1", amount=100),
        )
    ]
    told = ledger.say(*ends, fund=None)
    assert [(one.fund, one.currency, one.kind) for one in told] == [
        ("jilin", "CNY", "released"),
        ("seoul", "KRW", "released"),
    ]
    assert len({one.id for one in told}) == 2


@pytest.mark.parametrize("name", ["duplicate", "rejected"])
def test_facts_that_concern_nobody_are_passed_by(ledger: Ledger, name: str) -> None:
    assert ledger.told(fact(name)) == []
    assert ledger.told(fact(name), fund=None) == []


def test_a_silent_replay_ends_where_the_telling_did(ledger: Ledger) -> None:
    ledger.say(pledge("p-1", 300), awarded("p-1/1", "c-1", 300))
    again = Audience(3)
    assert [again.hear(entry, silent=True) for entry in ledger.entries] == [[]] * len(ledger.entries)
    entry = {**ledger.entries[-1], "seq": 99, "facts": [pledge("p-2", 10), awarded("p-2/1", "c-1", 10)]}
    assert again.hear(entry) == ledger.audience.hear(entry)


def test_ids_are_the_same_for_the_same_matter_and_differ_for_every_other(ledger: Ledger) -> None:
    told = ledger.say(
        pledge("p-1", 600), pledge("p-2", 300), awarded("p-1/1", "c-1", 300), awarded("p-2/1", "c-1", 300),
        awarded("p-1/2", "c-2", 300),
    )  # fmt: skip
    assert len({one.id for one in told}) == len(told) == 8
    again = Audience(3)
    [*_, repeated] = [again.hear(entry) for entry in ledger.entries]
    assert repeated == told
    elsewhere = Audience(4)
    [*_, other] = [elsewhere.hear(entry) for entry in ledger.entries]
    assert not {one.id for one in other} & {one.id for one in told}


def test_nobody_learns_who_anybody_is(ledger: Ledger) -> None:
    told: list[Tidings] = []
    told += ledger.say(pledge("p-1", 1002, donor="d-1"), awarded("p-1/1", "c-1", 1000))
    told += ledger.say(paid("p-1", 1000), settled("p-1/1", 1000))
    told += ledger.say(delivered("c-1", 400))
    told += ledger.say(thanked("c-1"))
    told += ledger.say(fact("refunded", pledge="p-1", payment="r", amount=1), fact("released", pledge="p-1", amount=1))
    assert {one.kind for one in told if one.role == "donor"} == {
        "matched", "payment-due", "settled", "delivered", "thanks", "released", "refunded",
    }  # fmt: skip
    for one in told:
        wire = one.model_dump_json(exclude_defaults=True)
        others = {"d-1", "v-1", "v-2", "b-1", "b-2"} - {one.to}
        assert not [name for name in others if f'"{name}"' in wire], wire
        assert '"c-1"' not in wire if one.role == "donor" else '"p-1' not in wire


def test_what_is_told_reads_back_as_a_notice(ledger: Ledger) -> None:
    [one, *_] = ledger.say(pledge("p-1", 300), awarded("p-1/1", "c-1", 300))
    came_of_it = {"told_at": one.at, "channel": "terminal", "outcome": "delivered", "attempts": 1}
    notice = in_words(one, "zh").model_copy(update=came_of_it)
    assert Notice.model_validate_json(notice.wire()) == notice
    assert b"null" not in notice.wire()


def test_who_is_named_by_what_was_applied_is_known_and_nobody_else(ledger: Ledger) -> None:
    ledger.say(pledge("p-1", 100), {"fact": "case_thanked", "case": "c-1", "thanks": "~text"})
    ledger.say({"fact": "rejected", "code": "id_conflict", "detail": "other data"})
    named = {("c-1", "b-1"), ("c-1", "v-1"), ("c-1", "~text"), ("c-2", "b-2"), ("c-2", "v-2"), ("p-1", "d-1")}
    names = {name for _, name in named}
    found = {(about, name) for about in ("c-1", "c-2", "p-1", "p-2") for name in names}
    assert {one for one in found if ledger.audience.holds("jilin", *one)} == named
    assert not ledger.audience.holds("harbin", "c-1", "b-1")

"""A generated season: the same out of the same seed, the same people under every policy, and as the parameters say."""

from collections import Counter
from collections.abc import Iterator
from statistics import fmean, median
from typing import Any

import pytest

from schemas.commands import TICK, Command
from schemas.times import DAY, HOUR, parse
from schemas.values import CLASSES
from services.policies.measures import measure
from services.policies.policy import RULES, Policy, parse_policy
from services.policies.report.page import assumptions
from services.policies.runs import SeasonSource, course_of
from services.policies.season import draws
from services.policies.season.arrivals import after, daily, echoes, rhythm
from services.policies.season.draws import stream
from services.policies.season.parameters import Season
from services.policies.season.plan import plan

SHORT = Season(seed=3, days=30)
PLANNED = ("pumasi.case.submitted", "pumasi.pledge.made", "pumasi.rate.quoted", TICK)


def played(season: Season, policy: str = RULES[0]) -> Iterator[tuple[Command, list[dict[str, Any]]]]:
    for command, decision in SeasonSource(season).play(parse_policy(policy)):
        yield command, decision.facts


@pytest.fixture(scope="module", params=[*RULES, f"{RULES[0]},weights=claim,vouchers_required=2"])
def season(request: pytest.FixtureRequest) -> list[tuple[Command, list[dict[str, Any]]]]:
    return list(played(SHORT, request.param))


def test_the_same_seed_gives_the_same_commands_and_another_others() -> None:
    first, again = ([command for command, _ in played(SHORT)] for _ in range(2))
    assert first == again
    assert [command for command, _ in played(Season(seed=4, days=30))] != first


def test_who_asks_and_who_gives_is_the_same_under_every_policy(season: list) -> None:
    said = [(c.type, c.time, c.data) for c, _ in season if c.type in PLANNED]
    assert said == [(c.type, c.time, c.data) for c, _ in played(SHORT) if c.type in PLANNED]


def test_nobody_says_what_the_engine_would_refuse_or_has_heard(season: list) -> None:
    told = Counter(fact["fact"] for _, facts in season for fact in facts)
    assert told["rejected"] == 0
    assert told["case_delivered"] > 30
    repeated = [c for c, facts in season if any(fact["fact"] == "duplicate" for fact in facts)]
    assert {c.type for c in repeated} <= {"pumasi.rate.quoted", "pumasi.case.vouched"}  # same rate; one voucher twice


def test_a_donor_pays_as_long_after_the_first_match_under_every_policy(season: list) -> None:
    def delays(run: list) -> dict[str, int]:
        asked: dict[str, int] = {}
        paid: dict[str, int] = {}
        for command, facts in run:
            if command.type in ("pumasi.payment.received", "pumasi.payment.failed"):
                paid.setdefault(command.data.pledge, command.time - asked[command.data.pledge])
            for fact in facts:
                if fact["fact"] == "awarded":
                    asked.setdefault(fact["pledge"], command.time)
        return paid

    here, there = delays(season), delays(list(played(SHORT)))
    both = here.keys() & there.keys()
    assert len(both) > 100
    assert all(here[pledge] == there[pledge] for pledge in both)


def test_nobodys_day_of_death_depends_on_money(season: list) -> None:
    def deaths(run: list) -> dict[str, int]:
        return {c.data.case: c.time for c, _ in run if c.type == "pumasi.case.closed" and c.data.outcome == "deceased"}

    here, there = deaths(season), deaths(list(played(SHORT)))
    assert all(here[case] == there[case] for case in here.keys() & there.keys())


def test_where_neglect_kills_fewer_die_under_more_money() -> None:
    def deaths(generosity: float, neglect: float) -> int:
        season = Season(seed=5, days=60, generosity=generosity, neglect=neglect)
        source = SeasonSource(season)
        return measure(course_of(source.play(parse_policy(RULES[0])), source.span))["deaths"]["all"]

    assert deaths(0.1, 30) > deaths(0.1, 1)
    assert deaths(0.1, 30) > deaths(3, 30)


def test_a_person_dies_when_the_chances_they_lived_through_reach_what_they_can_bear() -> None:
    season = Season(seed=6, days=60, generosity=0.5, neglect=25)
    source = SeasonSource(season)
    planned = {case.id: case for case in source.plan.funds[0].cases}
    since = {case.id: case.at for case in planned.values()}
    lacked = {case.id: case.claim for case in planned.values()}
    lived = dict.fromkeys(planned, 0.0)
    awards: dict[str, str] = {}
    turned: Counter[str] = Counter()
    claims, died = dict(lacked), []

    def live(case: str, now: int) -> None:
        priority = planned[case].data["priority"]
        times = season.neglect if lacked[case] > 0 and priority in ("stat", "asap") else 1
        lived[case] += (now - since[case]) / DAY * times * season.deaths_a_day[CLASSES.index(priority)]
        since[case] = now

    for command, decision in source.play(parse_policy(RULES[0])):
        for fact in decision.facts:
            if fact["fact"] == "awarded":
                awards[fact["award"]] = fact["case"]
            case = fact.get("case") or awards.get(fact.get("award", ""))
            if case is None:
                continue
            live(case, decision.at)
            moved = {"awarded": -fact.get("amount", 0), "award_voided": fact.get("amount", 0)}.get(fact["fact"], 0)
            if "claim" in fact and fact["fact"] in ("case_opened", "case_amended", "case_renewed"):
                moved, claims[case] = fact["claim"] - claims[case], fact["claim"]
            turned[case] += (lacked[case] > 0) != (lacked[case] + moved > 0)
            lacked[case] += moved
        if command.type == "pumasi.case.closed" and command.data.outcome == "deceased":
            died.append(command.data.case)
            assert lived[command.data.case] == pytest.approx(planned[command.data.case].fate, rel=1e-6, abs=1e-9)
    assert len(died) >= 10
    assert any(turned[case] and planned[case].data["priority"] in ("stat", "asap") for case in died)


def test_money_comes_as_generous_as_was_said() -> None:
    source = SeasonSource(Season(seed=2, days=300))
    told = measure(course_of(source.play(parse_policy(RULES[0])), source.span))
    asked = sum(case.claim for fund in source.plan.funds for case in fund.cases)
    assert told["pledged"]["all"] / asked == pytest.approx(0.7, rel=0.15)


def test_several_funds_are_several_seasons_with_one_clock() -> None:
    told = plan(Season(days=10, funds=3))
    assert [fund.fund for fund in told.funds] == ["season-1", "season-2", "season-3"]
    assert told.funds[0].cases != told.funds[1].cases
    steps = told.steps()
    assert sum(step.type == TICK for step in steps) == 240
    assert [step.at for step in steps] == sorted(step.at for step in steps)


def test_a_policy_changes_nothing_but_what_it_says() -> None:
    command, _ = next(iter(played(SHORT, "share=5000,weights=claim")))
    assert (command.data.share, command.data.weights, command.data.rule) == (5000, "claim", RULES[0])
    assert command.data.ageing_days == 7
    assert Policy().over({"share": 1}) == {"share": 1}


# ---- chance


def test_a_stream_is_its_name_whatever_was_drawn_before() -> None:
    first = stream(1, "f", "payment", "p-7").random()
    stream(1, "f", "payment", "p-6").random()
    assert stream(1, "f", "payment", "p-7").random() == first
    assert stream(2, "f", "payment", "p-7").random() != first


def test_draws_have_the_medians_means_and_tails_they_name() -> None:
    r = stream(7, "draws")
    assert median(draws.lognormal(r, 100, 1) for _ in range(20_000)) == pytest.approx(100, rel=0.05)
    assert fmean(draws.exponential(r, 3) for _ in range(20_000)) == pytest.approx(3, rel=0.05)
    assert fmean(draws.poisson(r, 2.5) for _ in range(20_000)) == pytest.approx(2.5, rel=0.05)
    heavy = sorted(draws.heavy(r, 100, 0.5, 1.5, 30) for _ in range(50_000))
    assert heavy[-1] <= 3_000
    # Beyond the ninth tenth a Pareto tail: a tenth of those that pass x pass x · 10^(1 / 1.5).
    ninth, hundredth = heavy[45_000], heavy[49_500]
    assert hundredth / ninth == pytest.approx(10 ** (1 / 1.5), rel=0.15)


def test_arrivals_keep_their_rate_and_the_rhythm_of_the_day() -> None:
    start = parse("2026-01-01T00:00:00Z")
    times = list(daily(stream(1, "days"), start, start + 2_000 * DAY, 5, 0.8, 13))
    assert len(times) == pytest.approx(10_000, rel=0.05)
    hours = Counter(time % DAY // HOUR for time in times)
    assert hours[13] > 4 * hours[1]
    assert rhythm(13 * HOUR, 0.8, 13) == pytest.approx(1.8)
    assert rhythm(1 * HOUR, 0.8, 13) == pytest.approx(0.2)


def test_an_appeal_brings_what_was_said_and_each_pledge_its_echo() -> None:
    brought = [after(stream(n, "appeal"), 0, 12, 14, 0.8, 13) for n in range(400)]
    assert fmean(map(len, brought)) == pytest.approx(12, rel=0.05)
    assert all(time > 0 for times in brought for time in times)
    families = [len(echoes(stream(n, "echo"), 0, 0.4, 5)) + 1 for n in range(4_000)]
    assert fmean(families) == pytest.approx(1 / (1 - 0.4), rel=0.06)


@pytest.mark.parametrize(("amount", "least", "said"), [(183, 10, 200), (3, 10, 10), (95, 10, 100), (1_260, 10, 1500)])
def test_people_name_round_sums(amount: float, least: int, said: int) -> None:
    assert draws.spoken(amount, least) == said


def test_every_parameter_says_where_it_comes_from() -> None:
    told = assumptions(Season())
    assert [name for name, _, _ in told] == list(Season.__dataclass_fields__)
    assert all(len(text) > 20 for _, _, text in told)

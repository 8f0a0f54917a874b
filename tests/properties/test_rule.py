"""What the rules promise, whatever the claims: asked of engine and oracle alike, through their one door.

Each promise is asked under every rule that keeps it (the table in `matcher.rules.index`). Under a rule that breaks it an example
shows the break, so that a rule that came to keep or break another promise would be noticed here.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.matcher.engine.engine import Engine
from tests.oracle.season import CLASSES, DAY, RULES, Gesture
from tests.properties.scenes import (
    FIRST_COME,
    FLOOR,
    WATERFILL,
    Need,
    Scene,
    Side,
    amounts,
    large,
    pledge,
    scenes,
    sides,
    submitted,
    vast,
)

# ---- every rule: the path is laid down before the money comes ----------------------------------------------------------


@sides(*RULES)
@given(scenes(), amounts, amounts)
def test_batch_invariance_a_pledge_split_in_two_gives_every_case_the_same(
    side: Side, scene: Scene, one: int, other: int
) -> None:
    whole = side.totals([*side.open(scene), pledge("p", one + other)])
    assert side.totals([*side.open(scene), pledge("p-1", one), pledge("p-2", other)]) == whole


@sides(*RULES)
@given(scenes(), amounts, amounts)
def test_house_monotonicity_a_larger_pledge_takes_from_no_case(
    side: Side, scene: Scene, amount: int, more: int
) -> None:
    smaller = side.totals([*side.open(scene), pledge("p", amount)])
    larger = side.totals([*side.open(scene), pledge("p", amount + more)])
    assert all(larger[case] >= smaller[case] for case in smaller)


@sides(*RULES)
@given(scenes(), st.lists(amounts, min_size=1, max_size=4), st.sampled_from(RULES))
def test_a_commitment_is_never_taken_away_by_a_more_urgent_case_or_another_rule(
    side: Side, scene: Scene, pledges: list[int], rule: str
) -> None:
    log = [*side.open(scene), *(pledge(f"p-{n}", amount) for n, amount in enumerate(pledges))]
    before = side.totals(log)
    configured = {**log[0].data, "rule": rule}
    late = submitted("c-late", Need("b-late", "stat", 50))
    after = side.totals([*log, Gesture(0, "fund.configured", configured), late, pledge("p-late", 30)])
    assert all(after[case] >= before[case] for case in before)


@sides(*RULES)
@given(scenes(CLASSES), amounts)
def test_all_money_is_given_as_long_as_anyone_lacks_some(side: Side, scene: Scene, amount: int) -> None:
    asked = sum(need.claim for need in scene.needs)
    before = side.totals(side.open(scene)).total()
    assert side.totals([*side.open(scene), pledge("p", amount)]).total() == min(before + amount, asked)


# ---- urgency ------------------------------------------------------------------------------------------------------------


@sides(WATERFILL)
@given(scenes(CLASSES), amounts)
def test_no_class_waits_behind_a_lower_one(side: Side, scene: Scene, amount: int) -> None:
    before = side.totals(side.open(scene))
    after = side.totals([*side.open(scene), pledge("p", amount)])
    rank = [CLASSES.index(need.priority) for need in scene.needs]
    served = [rank[n] for n in range(len(rank)) if after[f"c-{n}"] > before[f"c-{n}"]]
    lacking = [rank[n] for n, need in enumerate(scene.needs) if after[f"c-{n}"] < need.claim]
    assert not served or not lacking or max(lacking) <= min(served)


@sides(FIRST_COME, FLOOR)
def test_urgency_is_broken_by_rules_that_serve_the_oldest_across_classes(side: Side) -> None:
    scene = Scene(10, "equal", [Need("b-1", "routine", 100), Need("b-2", "stat", 100)], [])
    given_to = side.totals([*side.open(scene), pledge("p", 100)])
    assert (given_to["c-0"], given_to["c-1"]) == {FIRST_COME: (100, 0), FLOOR: (10, 90)}[side.rule]


# ---- splitting a need ---------------------------------------------------------------------------------------------------


@sides(WATERFILL, FIRST_COME)
@given(scenes(), st.data(), amounts)
def test_splitting_a_need_into_several_cases_changes_nothing_for_its_beneficiary(
    side: Side, scene: Scene, data: st.DataObject, amount: int
) -> None:
    scene = scene._replace(before=[])
    split, parts = _split(scene, data)
    torn = scene._replace(needs=[*scene.needs[:split], *parts, *scene.needs[split + 1 :]])
    assert side.by_beneficiary(torn, pledge("p", amount)) == side.by_beneficiary(scene, pledge("p", amount))


@sides(WATERFILL, FIRST_COME)
@given(scenes(), st.data(), amounts)
def test_splitting_a_need_and_opening_the_parts_later_gains_nothing(
    side: Side, scene: Scene, data: st.DataObject, amount: int
) -> None:
    scene = scene._replace(before=[])
    split, parts = _split(scene, data)
    needs = [*scene.needs[:split], parts[0], *scene.needs[split + 1 :]]
    for part in parts[1:]:
        needs.insert(data.draw(st.integers(split + 1, len(needs))), part)
    torn, who = scene._replace(needs=needs), scene.needs[split].who
    assert side.by_beneficiary(torn, pledge("p", amount))[who] <= side.by_beneficiary(scene, pledge("p", amount))[who]


def _split(scene: Scene, data: st.DataObject) -> tuple[int, list[Need]]:
    """The number of a case, and the cases it is torn into."""
    split = data.draw(st.integers(0, len(scene.needs) - 1))
    need = scene.needs[split]
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, need.claim - 1)), max_size=4)) | {0, need.claim})
    return split, [need._replace(claim=b - a) for a, b in itertools.pairwise(cuts)]


@sides(FLOOR)
def test_splitting_gains_under_a_rule_that_gives_each_case_a_floor(side: Side) -> None:
    whole = Scene(10, "equal", [Need("b-1", "urgent", 40), Need("b-2", "urgent", 40)], [])
    torn = whole._replace(needs=[*[Need("b-1", "urgent", 10)] * 4, Need("b-2", "urgent", 40)])
    assert side.by_beneficiary(whole, pledge("p", 40)) == {"b-1": 20, "b-2": 20}
    assert side.by_beneficiary(torn, pledge("p", 40)) == {"b-1": 40}


# ---- starving -----------------------------------------------------------------------------------------------------------


@sides(WATERFILL, FLOOR)
@given(scenes(CLASSES[:3]), st.data())
def test_no_claim_starves_while_its_class_is_served(side: Side, scene: Scene, data: st.DataObject) -> None:
    """After two weeks all stand in asap. Then a claimant has its next step once the others of its class have been served to the same
    height (of money, or of their claims' parts), and to their floors where there are floors: however much more they ask.
    """
    log = [*side.open(scene, ageing_days=7), Gesture(14 * DAY, "clock.ticked", {})]
    given_to = side.totals(log)
    stands: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for n, need in enumerate(scene.needs):
        stands[need.who][0] += need.claim
        stands[need.who][1] += given_to[f"c-{n}"]
    lacking = sorted(who for who, (claim, has) in stands.items() if has < claim)
    if not lacking:
        return
    who = data.draw(st.sampled_from(lacking))
    claim, has = stands[who]
    step = min(claim, (has // scene.share + 1) * scene.share)
    enough = sum(max(0, _height(scene, *stands[other], step, claim)) for other in stands if other != who) + step - has
    if side.rule == FLOOR:
        floors = [min(need.claim, scene.share) - given_to[f"c-{n}"] for n, need in enumerate(scene.needs)]
        enough += sum(floor for floor in floors if floor > 0)
    facts = side.facts([*log, pledge("p", enough)])
    sums = [fact for fact in facts if fact["fact"] == "awarded"]
    mine = sum(f["amount"] for f in sums if scene.needs[int(f["case"].removeprefix("c-"))].who == who)
    assert mine >= step
    assert {fact["why"]["class"] for fact in sums if fact["pledge"] == "p"} == {"asap"}


def _height(scene: Scene, claim: int, has: int, step: int, of_claim: int) -> int:
    """What one of the class may get before another of it, who claims `of_claim`, has its step."""
    level = step if scene.weights == "equal" else claim * step // of_claim + 1
    return min(claim, level) - has


@sides(FIRST_COME)
def test_a_small_claim_starves_behind_an_older_one_under_first_come(side: Side) -> None:
    scene = Scene(10, "equal", [Need("b-1", "routine", 10**9), Need("b-2", "routine", 1)], [])
    log = [*side.open(scene, ageing_days=7), Gesture(14 * DAY, "clock.ticked", {}), pledge("p", 10**9)]
    assert side.totals(log) == {"c-0": 10**9}


@sides(FIRST_COME)
@given(scenes(CLASSES), amounts)
def test_under_first_come_nobody_gets_any_before_all_who_came_earlier_have_all(
    side: Side, scene: Scene, amount: int
) -> None:
    before = side.totals(side.open(scene))
    after = side.totals([*side.open(scene), pledge("p", amount)])
    served = [n for n in range(len(scene.needs)) if after[f"c-{n}"] > before[f"c-{n}"]]
    lacking = [n for n, need in enumerate(scene.needs) if after[f"c-{n}"] < need.claim]
    assert not served or not lacking or max(served) <= min(lacking)


@sides(FLOOR)
@given(scenes(CLASSES), amounts)
def test_under_guaranteed_floor_nobody_gets_more_before_all_have_their_floors(
    side: Side, scene: Scene, amount: int
) -> None:
    before = side.totals(side.open(scene))
    after = side.totals([*side.open(scene), pledge("p", amount)])
    floors = {f"c-{n}": min(need.claim, scene.share) for n, need in enumerate(scene.needs)}
    below = [case for case in floors if after[case] < floors[case]]
    above = [case for case in floors if after[case] > max(before[case], floors[case])]
    assert not below or not above
    served = [int(case[2:]) for case in floors if after[case] > before[case]]
    assert not below or not served or max(served) <= min(int(case[2:]) for case in below)


# ---- numbers that nobody could walk: the engine alone -------------------------------------------------------------------

waterfill = Side(Engine, WATERFILL)


@given(large, vast)
def test_a_large_pledge_over_a_tiny_share_ends_where_the_path_does(scene: Scene, amount: int) -> None:
    """The end of the path, told without walking it.

    Steps are taken in the order of (key, case); so the last step of any claimant comes before the next one of any other, and
    that holds at one place of the path only.
    """
    sums = waterfill.totals([*waterfill.open(scene), pledge("p", amount)])
    given_to = [sums[f"c-{n}"] for n in range(len(scene.needs))]
    assert sum(given_to) == min(amount, sum(need.claim for need in scene.needs))
    last, following = [], []
    for who in {need.who for need in scene.needs}:
        cases = [n for n, need in enumerate(scene.needs) if need.who == who]
        claim, awarded = sum(scene.needs[n].claim for n in cases), sum(given_to[n] for n in cases)
        lacking = [n for n in cases if given_to[n] < scene.needs[n].claim]
        paid = [n for n in cases if given_to[n]]
        assert not lacking or not paid or max(paid) <= min(lacking), "oldest case first"
        if paid:
            last.append((_key(scene, claim, awarded - 1), max(paid)))
        if lacking:
            following.append((_key(scene, claim, awarded), min(lacking)))
    assert not last or not following or max(last) <= min(following)


def _key(scene: Scene, claim: int, awarded: int) -> int:
    """The key of the step that the money after `awarded` is part of."""
    boundary = min(claim, (awarded // scene.share + 1) * scene.share)
    return boundary if scene.weights == "equal" else boundary * 10**12 // claim


@pytest.mark.parametrize("rule", RULES)
@given(large, st.lists(vast, min_size=2, max_size=4))
def test_large_pledges_are_batch_invariant_too(rule: str, scene: Scene, parts: list[int]) -> None:
    side = Side(Engine, rule)
    whole = side.totals([*side.open(scene), pledge("p", sum(parts))])
    assert side.totals([*side.open(scene), *(pledge(f"p-{n}", part) for n, part in enumerate(parts))]) == whole


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("weights", ["equal", "claim"])
def test_a_pledge_of_ten_million_yuan_over_a_share_of_one_takes_no_time(weights: str, rule: str) -> None:
    side = Side(Engine, rule)
    log = side.open(Scene(1, weights, [Need(f"b-{n}", "asap", 10**8 - n) for n in range(50)], []))
    started = process_time()
    assert side.totals([*log, pledge("p", 10**9)]).total() == 10**9
    assert process_time() - started < 2, "seconds; walking it step by step would take an hour"

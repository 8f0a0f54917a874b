"""What the rule promises (design contract, 5), whatever the claims: asked of the engine through its one door.

A *scene* is a fund with open cases and some money already given, not always at a boundary. Each property compares two futures of
the same scene.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from time import perf_counter
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.matcher.engine import Engine
from tests.oracle.season import CLASSES, Gesture, commands_of


class Need(NamedTuple):
    """An open case of a scene."""

    who: str
    priority: str
    claim: int


class Scene(NamedTuple):
    """A fund, its open cases in opening order, and designated money (case number, amount) given before."""

    share: int
    weights: str
    needs: list[Need]
    before: list[tuple[int, int]]


needs = st.builds(
    Need, st.sampled_from(["b-1", "b-2", "b-3", "b-4"]), st.sampled_from(CLASSES[1:3]), st.integers(1, 40)
)
scenes = st.builds(
    Scene,
    st.sampled_from([1, 2, 3, 5, 10]),
    st.sampled_from(["equal", "claim"]),
    st.lists(needs, min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(0, 7), st.integers(1, 15)), max_size=4),
)
amounts = st.integers(1, 150)


def opened(scene: Scene, names: list[str] | None = None) -> list[Gesture]:
    """The scene up to its open cases and the money given before."""
    policy = {"share": scene.share, "weights": scene.weights, "vouchers_required": 0}
    log = [Gesture(0, "fund.configured", {"fund": "f", "currency": "CNY", **policy})]
    names = names or [f"c-{n}" for n in range(len(scene.needs))]
    for name, need in zip(names, scene.needs, strict=True):
        case = {"case": name, "beneficiary": need.who, "need": "test", "route": "home"}
        log.append(Gesture(0, "case.submitted", {"fund": "f", **case, "goal": need.claim, "priority": need.priority}))
    for n, (case, amount) in enumerate(scene.before):
        if case < len(names):
            log.append(pledge(f"q-{n}", amount, designation={"case": names[case]}, fallback="release"))
    return log


def pledge(name: str, amount: int, **more: object) -> Gesture:
    return Gesture(
        0, "pledge.made", {"fund": "f", "pledge": name, "donor": "d", "amount": amount, "currency": "CNY", **more}
    )


def totals(log: Iterable[Gesture]) -> Counter[str]:
    """What each case has been awarded in all."""
    engine, sums = Engine(), Counter[str]()
    for command in commands_of(list(log)):
        for fact in engine.execute(command).facts:
            if fact["fact"] == "awarded":
                sums[fact["case"]] += fact["amount"]
    return sums


@given(scenes, amounts, amounts)
def test_batch_invariance_a_pledge_split_in_two_gives_every_case_the_same(scene: Scene, one: int, other: int) -> None:
    whole = totals([*opened(scene), pledge("p", one + other)])
    assert totals([*opened(scene), pledge("p-1", one), pledge("p-2", other)]) == whole


@given(scenes, amounts, amounts)
def test_house_monotonicity_a_larger_pledge_takes_from_no_case(scene: Scene, amount: int, more: int) -> None:
    smaller = totals([*opened(scene), pledge("p", amount)])
    larger = totals([*opened(scene), pledge("p", amount + more)])
    assert all(larger[case] >= smaller[case] for case in smaller)


@given(scenes, st.data(), amounts)
def test_splitting_a_need_into_several_cases_changes_nothing_for_its_beneficiary(
    scene: Scene, data: st.DataObject, amount: int
) -> None:
    scene = scene._replace(before=[])
    split, parts = _split(scene, data)
    needs = [*scene.needs[:split], *parts, *scene.needs[split + 1 :]]
    whole, torn = _by_beneficiary(scene, amount), _by_beneficiary(scene._replace(needs=needs), amount)
    assert torn == whole


@given(scenes, st.data(), amounts)
def test_splitting_a_need_and_opening_the_parts_later_gains_nothing(
    scene: Scene, data: st.DataObject, amount: int
) -> None:
    scene = scene._replace(before=[])
    split, parts = _split(scene, data)
    needs = [*scene.needs[:split], parts[0], *scene.needs[split + 1 :]]
    for part in parts[1:]:
        needs.insert(data.draw(st.integers(split + 1, len(needs))), part)
    who = scene.needs[split].who
    assert _by_beneficiary(scene._replace(needs=needs), amount)[who] <= _by_beneficiary(scene, amount)[who]


def _split(scene: Scene, data: st.DataObject) -> tuple[int, list[Need]]:
    """The number of a case, and the cases it is torn into."""
    split = data.draw(st.integers(0, len(scene.needs) - 1))
    need = scene.needs[split]
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, need.claim - 1)), max_size=4)) | {0, need.claim})
    return split, [need._replace(claim=b - a) for a, b in itertools.pairwise(cuts)]


def _by_beneficiary(scene: Scene, amount: int) -> Counter[str]:
    sums = Counter[str]()
    for case, total in totals([*opened(scene), pledge("p", amount)]).items():
        sums[scene.needs[int(case.removeprefix("c-"))].who] += total
    return sums


@given(scenes, st.lists(amounts, min_size=1, max_size=4))
def test_a_commitment_is_never_taken_away_by_a_later_and_more_urgent_case(scene: Scene, pledges: list[int]) -> None:
    log = [*opened(scene), *(pledge(f"p-{n}", amount) for n, amount in enumerate(pledges))]
    urgent = {
        "case": "c-late",
        "beneficiary": "b-late",
        "need": "test",
        "route": "home",
        "goal": 50,
        "priority": "stat",
    }
    before = totals(log)
    after = totals([*log, Gesture(0, "case.submitted", {"fund": "f", **urgent})])
    assert all(after[case] == before[case] for case in before)


vast = st.one_of(st.integers(1, 10**8), st.integers(10**12, 10**15))
large = st.builds(
    Scene,
    st.sampled_from([1, 1, 3, 1000]),
    st.sampled_from(["equal", "claim"]),
    st.lists(
        st.builds(Need, st.sampled_from([f"b-{n}" for n in range(20)]), st.just("asap"), vast), min_size=1, max_size=40
    ),
    st.just([]),
)


@given(large, vast)
def test_a_large_pledge_over_a_tiny_share_ends_where_the_path_does(scene: Scene, amount: int) -> None:
    """The end of the path, told without walking it.

    Steps are taken in the order of (key, case); so the last step of any claimant comes before the next one of any other, and
    that holds at one place of the path only.
    """
    sums = totals([*opened(scene), pledge("p", amount)])
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


@given(large, st.lists(vast, min_size=2, max_size=4))
def test_large_pledges_are_batch_invariant_too(scene: Scene, parts: list[int]) -> None:
    whole = totals([*opened(scene), pledge("p", sum(parts))])
    assert totals([*opened(scene), *(pledge(f"p-{n}", part) for n, part in enumerate(parts))]) == whole


@pytest.mark.parametrize("weights", ["equal", "claim"])
def test_a_pledge_of_ten_million_yuan_over_a_share_of_one_takes_no_time(weights: str) -> None:
    log = opened(Scene(1, weights, [Need(f"b-{n}", "asap", 10**8 - n) for n in range(50)], []))
    started = perf_counter()
    assert totals([*log, pledge("p", 10**9)]).total() == 10**9
    assert perf_counter() - started < 2, "seconds; walking it step by step would take an hour"

"""Scenes: a fund with open cases and some money already given, not always at a boundary; and the two who play them.

A property compares futures of one scene. A *side* is one implementation under one rule, so that a property is asked of engine and
oracle alike, for each rule that promises it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import pytest
from hypothesis import strategies as st

from services.matcher.engine.engine import Engine
from tests.oracle.oracle import Oracle
from tests.oracle.season import CLASSES, RULES, Gesture, commands_of

WATERFILL, FIRST_COME, FLOOR, *_ = RULES


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


class Side(NamedTuple):
    """One implementation under one rule."""

    make: Callable[[], Any]
    rule: str

    def __repr__(self) -> str:
        return f"{self.make.__name__}-{self.rule.partition('/')[0]}"

    def open(self, scene: Scene, names: list[str] | None = None, **policy: Any) -> list[Gesture]:
        """The scene up to its open cases and the money given before."""
        policy = {"share": scene.share, "weights": scene.weights, "vouchers_required": 0, "rule": self.rule, **policy}
        log = [Gesture(0, "fund.configured", {"fund": "f", "currency": "CNY", **policy})]
        names = names or [f"c-{n}" for n in range(len(scene.needs))]
        log += [submitted(name, need) for name, need in zip(names, scene.needs, strict=True)]
        for n, (case, amount) in enumerate(scene.before):
            if case < len(names):
                log.append(pledge(f"q-{n}", amount, designation={"case": names[case]}, fallback="release"))
        return log

    def facts(self, log: Iterable[Gesture]) -> list[dict[str, Any]]:
        """Everything that is told of a log."""
        matcher = self.make()
        return [fact for command in commands_of(list(log)) for fact in matcher.execute(command)[2]]

    def totals(self, log: Iterable[Gesture]) -> Counter[str]:
        """What each case has been awarded in all."""
        sums = Counter[str]()
        for fact in self.facts(log):
            if fact["fact"] == "awarded":
                sums[fact["case"]] += fact["amount"]
        return sums

    def by_beneficiary(self, scene: Scene, *after: Gesture) -> Counter[str]:
        """What each beneficiary has been awarded in all, once `after` has followed on the scene."""
        sums = Counter[str]()
        for case, total in self.totals([*self.open(scene), *after]).items():
            sums[scene.needs[int(case.removeprefix("c-"))].who] += total
        return sums


def sides(*rules: str) -> pytest.MarkDecorator:
    """Ask a property of both implementations under these rules."""
    return pytest.mark.parametrize("side", [Side(make, rule) for rule in rules for make in (Engine, Oracle)], ids=repr)


def submitted(name: str, need: Need) -> Gesture:
    case = {"case": name, "beneficiary": need.who, "need": "test", "route": "home"}
    return Gesture(0, "case.submitted", {"fund": "f", **case, "goal": need.claim, "priority": need.priority})


def pledge(name: str, amount: int, **more: object) -> Gesture:
    data = {"fund": "f", "pledge": name, "donor": "d", "amount": amount, "currency": "CNY", **more}
    return Gesture(0, "pledge.made", data)


def scenes(classes: list[str] = CLASSES[1:3]) -> st.SearchStrategy[Scene]:
    """Scenes whose cases are of these classes."""
    needs = st.builds(Need, st.sampled_from(["b-1", "b-2", "b-3", "b-4"]), st.sampled_from(classes), st.integers(1, 40))
    return st.builds(
        Scene,
        st.sampled_from([1, 2, 3, 5, 10, 1000]),
        st.sampled_from(["equal", "claim"]),
        st.lists(needs, min_size=1, max_size=8),
        st.lists(st.tuples(st.integers(0, 7), st.integers(1, 15)), max_size=4),
    )


amounts = st.integers(1, 150)
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
"""Claims and shares whose steps nobody could take one by one: for the engine alone."""

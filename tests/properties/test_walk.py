"""The book's walk and leap against the rule walked stair by stair, where leaps and equal keys are the rule and not the exception.

A leap needs hundreds of steps, and equal keys of one claimant claims above 10¹²; here both are brought about with small numbers, by a
short patience and a coarse scale.
"""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.matcher.model.entities import Case
from services.matcher.rules import leap, waterfill_arithmetic
from services.matcher.rules import waterfill as books
from services.matcher.rules.waterfill import Book

Told = list[tuple[int, str, int, int, int]]
"""Key, case, amount, before, claim of each share, in order."""

people = st.lists(st.lists(st.integers(1, 60), min_size=1, max_size=3), min_size=1, max_size=6)


def opened(claims: list[list[int]]) -> list[Case]:
    """Open cases of one class: those of the first round of all people, then of the second …"""
    cases = []
    for turn in range(max(map(len, claims))):
        for who, parts in enumerate(claims):
            if turn < len(parts):
                more = {
                    "beneficiary": f"b-{who}",
                    "need": "test",
                    "route": "home",
                    "own_contribution": 0,
                    "priority": "urgent",
                }
                case = Case({"case": f"c-{who}-{turn}", "goal": parts[turn], **more})
                case.status, case.open_order = "open", len(cases)
                cases.append(case)
    return cases


def stair_by_stair(cases: list[Case], amount: int, share: int, scale: int | None) -> Told:
    """The rule as the contract words it, one stair at a time, over cases of one class; `scale` None: by amount."""
    had = {case.id: 0 for case in cases}
    told: dict[str, list] = {}
    while amount:
        nexts = []
        for who in {case.beneficiary for case in cases}:
            own = [case for case in cases if case.beneficiary == who]
            lacking = [case for case in own if had[case.id] < case.claim]
            if lacking:
                claim, awarded = sum(case.claim for case in own), sum(had[case.id] for case in own)
                boundary = min(claim, (awarded // share + 1) * share)
                key = boundary if scale is None else boundary * scale // claim
                oldest = min(lacking, key=lambda case: case.open_order)
                nexts.append((key, oldest.open_order, oldest, boundary - awarded, awarded, claim))
        if not nexts:
            break
        key, _, case, room, before, claim = min(nexts)
        step = min(amount, room, case.claim - had[case.id])
        told.setdefault(case.id, [key, case.id, 0, before, claim])[2] += step
        had[case.id] += step
        amount -= step
    return [tuple(share) for share in told.values()]


@pytest.fixture(autouse=True, scope="module")
def impatient():
    """Leap after a step or two, and let few keys tell claims apart."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(books, "_STEPS_BEFORE_LEAP", -3)
        for module in (books, leap, waterfill_arithmetic):
            patch.setattr(module, "SCALE", 12)
        yield


@given(people, st.integers(1, 4), st.booleans(), st.lists(st.integers(1, 200), min_size=1, max_size=4))
def test_walk_and_leap_tell_what_every_stair_would(
    claims: list[list[int]], share: int, by_claim: bool, amounts: list[int]
) -> None:
    cases = opened(claims)
    book = Book(share, by_claim, cases)
    given_before = 0
    for amount in amounts:
        shares = book.share_out(amount)
        whole = stair_by_stair(opened(claims), given_before + amount, share, 12 if by_claim else None)
        given_before += sum(share[2] for share in shares)
        assert {case.id: case.awarded for case in cases if case.awarded} == {name: part for _, name, part, *_ in whole}
    fresh = Book(share, by_claim, opened(claims))
    told = [(key, case.id, part, before, claim) for key, case, part, before, claim, _ in fresh.share_out(sum(amounts))]
    assert told == stair_by_stair(opened(claims), sum(amounts), share, 12 if by_claim else None)


@pytest.mark.parametrize("patience", [256])
def test_claims_whose_stairs_share_keys_take_no_time(patience: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books, "_STEPS_BEFORE_LEAP", patience)
    for module in (books, leap, waterfill_arithmetic):
        monkeypatch.setattr(module, "SCALE", 10**12)
    cases = opened([[9 * 10**18], [9 * 10**18]])
    began = process_time()
    shares = Book(1, True, cases).share_out(2**53 - 1)
    assert process_time() - began < 1, "seconds; stair by stair it would be hours"
    assert sum(share[2] for share in shares) == 2**53 - 1


@pytest.mark.parametrize("small", range(1, 40))
def test_a_leap_is_not_missed_while_fewer_and_fewer_wait(small: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience gets less as claims are met on the way; a walk that came past it unnoticed never leapt."""
    monkeypatch.setattr(books, "_STEPS_BEFORE_LEAP", 256)
    cases = opened([[2**53 - 1], *([number] for number in range(small, small + 40))])
    began = process_time()
    shares = Book(1, False, cases).share_out(2**53 - 1)
    assert process_time() - began < 1, "seconds; stair by stair it would be years"
    assert sum(share[2] for share in shares) == 2**53 - 1

"""Conservation: all that an entry changes is counted, whatever it changes, and to the last unit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from services import native
from services.matcher.engine.engine import Engine
from services.matcher.model.breach import ConservationBreach
from services.matcher.model.entities import Case
from services.matcher.rules.waterfill import Claimants
from tests.unit.test_engine_examples import START, Story

CASE_CHANGES: dict[str, tuple[dict[str, Any], Callable[[Story], Any]]] = {
    "vouched": ({"vouchers_required": 2}, lambda story: story("case.vouched", case="c-1", voucher="v-1")),
    "thanked": ({}, lambda story: story("case.thanked", case="c-1", thanks="thank-you")),
    "escalated": ({"deadline_hours": 24}, lambda story: story.tick(after=timedelta(days=2))),
    "amended": ({}, lambda story: story("case.amended", case="c-1", priority="urgent")),
}


@pytest.mark.parametrize("change", CASE_CHANGES)
def test_a_case_that_an_entry_changes_in_any_way_is_counted(change: str) -> None:
    policy, told = CASE_CHANGES[change]
    story = Story(Engine)
    story.configure(**policy)
    story.case("c-1", needed_by=START + timedelta(days=2, hours=12))
    story.matcher.funds["f"].cases["c-1"].delivered = -1
    with pytest.raises(ConservationBreach, match="case c-1: "):
        told(story)


@pytest.mark.parametrize("change", ["withdrawn", "renewed"])
def test_a_pledge_that_an_entry_changes_in_any_way_is_counted(change: str) -> None:
    story = Story(Engine)
    story.configure()
    story.pledge("p-1", 10, recurrence={"every": "P1M"})
    story.pay("p-1", "y-1", 10)
    story.matcher.funds["f"].pledges["p-1"].released = -1
    with pytest.raises(ConservationBreach, match="pledge p-1: "):
        if change == "withdrawn":
            story("pledge.withdrawn", pledge="p-1")
        else:
            story.tick(after=timedelta(days=32))


@pytest.mark.parametrize("amiss", [1, -1, 2**32, 2**63, 2**64, -(2**64)])
def test_a_pledge_amiss_by_any_word_is_a_breach(amiss: int) -> None:
    story = Story(Engine)
    story.configure()
    story.pledge("p-1", 10)
    story.matcher.funds["f"].pledges["p-1"].amount += amiss
    with pytest.raises(ConservationBreach, match="pledge p-1: "):
        story.pay("p-1", "y-1", 5)


class _Forgetful(list[Any]):
    def append(self, _share: Any) -> None:
        pass


@pytest.mark.skipif(native.in_use(), reason="compiled, a walk takes no list but a plain one")
def test_money_that_no_share_tells_of_is_a_breach() -> None:
    story = Story(Engine)
    story.configure()
    story.case("c-1")
    case: Case = story.matcher.funds["f"].cases["c-1"]
    claimants = Claimants(case.rank, 10, by_claim=False)
    claimants.add(case)
    with pytest.raises(ConservationBreach, match="20 more of 20 given"):
        claimants.walk(20, _Forgetful())

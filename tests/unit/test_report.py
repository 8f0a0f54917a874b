"""The report of access never tells of fewer than five people, neither directly nor by subtraction."""

import io
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from schemas.currencies import format_money
from schemas.times import DAY
from schemas.values import Access
from services.console.report.access import AccessReport, CaseAsked, FundAsked, Sums, access_report
from services.console.report.table import show
from services.readmodel.books import Fund, Pledge

NUMBERS = count()
JILIN, BEIJING, TIANJIN = (
    Access(province="CN-JL", status="unregistered"),
    Access(province="CN-BJ", status="registered"),
    Access(province="CN-TJ", status="unknown"),
)


def people(access: Access | None, how_many: int, days: float | None = 3.0) -> list[CaseAsked]:
    return [case_of(f"~{next(NUMBERS)}", access, days) for _ in range(how_many)]


def case_of(person: str, access: Access | None, days: float | None = 3.0) -> CaseAsked:
    case = CaseAsked(
        {
            "case": f"c-{next(NUMBERS)}",
            "beneficiary": person,
            "goal": 100,
            "own_contribution": 20,
            "priority": "routine",
        }
    )
    case.access = access
    case.opened_at, case.funded_at = 0, None if days is None else int(days * DAY)
    case.promised = 80 if days else 0
    return case


def report(*cases: list[CaseAsked]) -> AccessReport:
    fund: FundAsked = Fund("jilin", CaseAsked, Pledge)
    fund.currency = "CNY"
    fund.cases = {case.id: case for some in cases for case in some}
    return access_report(fund)


def told(one: AccessReport) -> list[tuple[str, int]]:
    return [(group.province, group.sums.people) for group in one.groups]


def test_a_group_of_five_is_shown_with_its_sums() -> None:
    found = report(people(JILIN, 5))
    assert [group.sums for group in found.groups] == [Sums(people=5, asked=400, own=100, funded=400, days=3)]
    assert (found.hidden, found.rest) == (0, None)


def test_small_groups_are_told_together_with_who_said_nothing_from_five_people_on() -> None:
    found = report(people(JILIN, 9), people(BEIJING, 2), people(TIANJIN, 2), people(None, 1))
    assert told(found) == [("CN-JL", 9)]
    assert found.hidden == 2
    assert found.rest is not None and found.rest.people == 5


def test_a_group_goes_to_the_others_where_they_would_be_too_few_by_subtraction() -> None:
    found = report(people(JILIN, 9), people(TIANJIN, 6), people(BEIJING, 4))
    assert told(found) == [("CN-JL", 9)]
    assert found.rest is not None and found.rest.people == 10
    assert told(report(people(JILIN, 9), people(None, 1))) == [], "one who said nothing stands beside the group"


def test_of_fewer_than_five_nothing_is_told() -> None:
    found = report(people(JILIN, 2), people(BEIJING, 2))
    assert (told(found), found.rest) == ([], None)


def test_days_waited_are_told_only_of_five_who_were_funded() -> None:
    some = report(people(JILIN, 4), people(JILIN, 5, None))
    assert [group.sums.days for group in some.groups] == [None]
    once = people(JILIN, 4)
    twice = [case_of(case.beneficiary, JILIN) for case in once]
    assert [group.sums.days for group in report(once, twice, people(JILIN, 1, None)).groups] == [None]


def test_two_needs_of_one_person_count_once() -> None:
    once = people(JILIN, 4)
    assert told(report(once, [case_of(case.beneficiary, JILIN) for case in once])) == []


@given(st.lists(st.tuples(st.sampled_from([JILIN, BEIJING, TIANJIN, None]), st.integers(0, 12)), max_size=40))
def test_no_sum_and_no_difference_from_the_funds_own_is_about_fewer_than_five(drawn: list) -> None:
    cases = [case_of(f"~p{person}", access) for access, person in drawn]
    found = report(cases)
    shown = {group.province for group in found.groups}
    others = {case.beneficiary for case in cases if case.access is None or case.access.province not in shown}
    assert all(group.sums.people >= 5 for group in found.groups)
    if found.groups:
        assert not 0 < len(others) < 5
    assert (found.rest.people if found.rest else 0) == (len(others) if len(others) >= 5 else 0)


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_it_is_whole_at_any_width(width: int) -> None:
    found = report(people(JILIN, 9), people(TIANJIN, 6, None), people(BEIJING, 4), people(None, 7))
    out = io.StringIO()
    show(Console(file=out, width=width, highlight=False), found)
    text = out.getvalue()
    assert "…" not in text
    for group in found.groups:
        assert group.province in text
        assert format_money(group.sums.asked, "CNY") in text
    assert "all others" in text and "1 group is not shown alone" in " ".join(text.split())

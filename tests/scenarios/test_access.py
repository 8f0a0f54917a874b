"""The report of access never tells of fewer than five people, neither directly nor by subtraction."""

from schemas.times import DAY
from services.stories.access import access_report
from services.stories.figures import CaseFigures
from services.stories.rehearsal import rehearsed_figures
from services.stories.scenario import load_stories


def people(province: str, status: str, count: int, days: float | None = 3.0) -> list[CaseFigures]:
    return [person(f"{province}-{status}-{n}", {"province": province, "status": status}, days) for n in range(count)]


def person(name: str, access: dict[str, str], days: float | None) -> CaseFigures:
    fact = {"case": name, "beneficiary": f"person-{name}", "need": "test", "goal": 100, "own_contribution": 20}
    case = CaseFigures({**fact, "priority": "routine", "access": access})
    case.opened_at, case.funded_at = 0, None if days is None else int(days * DAY)
    case.promised = 80 if days else 0
    return case


def test_a_group_of_five_is_shown_with_its_sums() -> None:
    [group] = access_report(people("CN-JL", "unregistered", 5)).groups
    assert (group.people, group.asked, group.own, group.funded, group.days) == (5, 400, 100, 400, 3.0)


def test_a_single_small_group_is_neither_shown_nor_told_together() -> None:
    report = access_report(people("CN-JL", "unregistered", 9) + people("CN-BJ", "registered", 4))
    assert [group.people for group in report.groups] == [9]
    assert (report.hidden, report.rest) == (1, None)


def test_small_groups_are_told_together_only_from_five_people_on() -> None:
    small = people("CN-BJ", "registered", 2) + people("CN-TJ", "unknown", 2)
    assert access_report(small).rest is None
    assert access_report(small + people("CN-LN", "unknown", 1)).rest.people == 5


def test_days_waited_are_told_only_of_five_who_were_funded() -> None:
    some = people("CN-JL", "unregistered", 4) + people("CN-JL", "unregistered", 9, None)[4:]
    [group] = access_report(some).groups
    assert group.days is None


def test_two_needs_of_one_person_count_once() -> None:
    twice = people("CN-JL", "unregistered", 4)
    assert not access_report(twice + twice).groups


def test_the_story_has_groups_shown_and_groups_hidden() -> None:
    [story] = load_stories(["provinces"])
    figures, _ = rehearsed_figures(story)
    report = access_report(case for fund in figures.funds.values() for case in fund.cases.values())
    assert len(report.groups) >= 5
    assert all(group.people >= 5 for group in report.groups)
    assert report.hidden >= 5
    assert any(group.days for group in report.groups)

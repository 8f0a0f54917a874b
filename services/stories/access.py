"""The report of access: who asked from where and under which papers, what came of it, and how long they waited.

Discovery can cost a beneficiary their freedom, so no figure is about fewer than five people (design contract, section 8): a
smaller group is not shown. What is not shown must not follow by subtraction either; so small groups are told together only where
they are several and five people or more, and no total is given beside a single hidden group.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from schemas.times import DAY
from services.stories.figures import CaseFigures

FEWEST = 5
"""The smallest group a figure may be about."""


@dataclass(frozen=True)
class Group:
    """One line. Amounts in minor units: `asked` of donors, `own` carried by the people themselves, `funded` of what was asked.

    `days` is the median from opening to full funding, None where fewer than five were funded in full by others' money.
    """

    province: str
    status: str
    people: int
    asked: int
    own: int
    funded: int
    days: float | None


@dataclass(frozen=True)
class AccessReport:
    """`groups` in order of province and papers; `hidden` groups of fewer than five, together in `rest` where that is safe."""

    groups: tuple[Group, ...]
    hidden: int
    rest: Group | None


def access_report(cases: Iterable[CaseFigures]) -> AccessReport:
    """Group cases by province and papers. People count once, however many needs they have; cases without access count nowhere."""
    by_group: defaultdict[tuple[str, str], list[CaseFigures]] = defaultdict(list)
    for case in cases:
        if case.access is not None:
            by_group[case.access["province"], case.access["status"]].append(case)
    shown, small = [], []
    for (province, status), found in sorted(by_group.items()):
        group = _group(province, status, found)
        if group.people >= FEWEST:
            shown.append(group)
        else:
            small.append(found)
    together = _group("other", "other", [case for found in small for case in found])
    safe = len(small) > 1 and together.people >= FEWEST
    return AccessReport(tuple(shown), len(small), together if safe else None)


def _group(province: str, status: str, cases: list[CaseFigures]) -> Group:
    waited = [
        (case.funded_at - case.opened_at) / DAY
        for case in cases
        if case.claim and case.funded_at is not None and case.opened_at is not None
    ]
    return Group(
        province,
        status,
        len({case.beneficiary for case in cases}),
        sum(case.claim for case in cases),
        sum(case.own for case in cases),
        sum(case.promised for case in cases),
        round(median(waited), 1) if len(waited) >= FEWEST else None,
    )

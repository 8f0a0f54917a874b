"""The report of access: who asked from where and under which papers, what came of it, and how long they waited.

Discovery can cost a beneficiary their freedom, so no figure is about fewer than five people (contract, 8): a smaller group is not
shown. Nor may it follow by subtraction, and a fund's sums are known from elsewhere (`status --public`). So people in no group
that is shown, those who said nothing about access included, are shown together, as the rest; where the rest would be one to four
people, the smallest group that is shown joins it.

A report is about one fund. In another fund the same person has another word, so nobody knows how many people two funds have
together; and as each fund's groups are its own, no report that leaves a fund out gives away what one with it hides.
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from schemas.times import DAY
from schemas.values import Access
from services.console.readmodel.figures import FEWEST
from services.readmodel.books import Case, FactDict, Fund, Pledge


class CaseAsked(Case):
    """One case; times in microseconds since 1970, None until they come.

    Attributes:
        own: what the person carries themselves.
        access: where care was sought and under which papers, if that was said and could be read.
    """

    __slots__ = ("access", "beneficiary", "funded_at", "opened_at", "own")

    def __init__(self, fact: FactDict) -> None:
        super().__init__(fact)
        self.beneficiary: str = fact["beneficiary"]
        self.own: int = fact["own_contribution"]
        self.opened_at: int | None = None
        self.funded_at: int | None = None
        self.access: Access | None = None


FundAsked = Fund[CaseAsked, Pledge]


@dataclass(frozen=True)
class Sums:
    """The figures of some people; amounts in minor units: `asked` of donors, `own` carried by themselves, `funded` of what was asked.

    `days` is the median from opening to full funding, None where fewer than five were funded in full by others' money.
    """

    people: int
    asked: int
    own: int
    funded: int
    days: int | None


@dataclass(frozen=True)
class Group:
    """The people of one province and status."""

    province: str
    status: str
    sums: Sums


@dataclass(frozen=True)
class AccessReport:
    """One fund's: `groups` in order of province and status; how many are `hidden`; all who are in none that is shown, as the `rest`.

    `rest` is None if there is nobody, and where there are fewer than five: then no group is shown either.
    """

    fund: str
    currency: str
    groups: tuple[Group, ...]
    hidden: int
    rest: Sums | None

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        groups = [{"province": one.province, "status": one.status, **asdict(one.sums)} for one in self.groups]
        rest = None if self.rest is None else asdict(self.rest)
        return {"fund": self.fund, "currency": self.currency, "groups": groups, "hidden": self.hidden, "rest": rest}


def access_report(fund: FundAsked) -> AccessReport:
    """Group a fund's cases by province and status. People count once in a group, however many needs they have there."""
    groups: defaultdict[tuple[str, str], list[CaseAsked]] = defaultdict(list)
    rest: list[CaseAsked] = []
    for case in fund.cases.values():
        (groups[case.access.province, case.access.status] if case.access else rest).append(case)
    by_size = sorted(groups, key=lambda name: (-_people(groups[name]), name))
    while by_size and (_people(groups[by_size[-1]]) < FEWEST or 0 < _people(rest) < FEWEST):
        rest += groups[by_size.pop()]
    shown = tuple(Group(*name, _sums(groups[name])) for name in sorted(by_size))
    told = _sums(rest) if _people(rest) >= FEWEST else None
    return AccessReport(fund.name, fund.currency, shown, len(groups) - len(shown), told)


def _people(cases: Collection[CaseAsked]) -> int:
    return len({case.beneficiary for case in cases})


def _sums(cases: Collection[CaseAsked]) -> Sums:
    funded = [case for case in cases if case.claim and case.funded_at is not None and case.opened_at is not None]
    waited = [(case.funded_at - case.opened_at) / DAY for case in funded]  # type: ignore[operator]  # both are there
    return Sums(
        _people(cases),
        sum(case.claim for case in cases),
        sum(case.own for case in cases),
        sum(case.promised for case in cases),
        round(median(waited)) if _people(funded) >= FEWEST else None,
    )

"""The figures of a fund: how many cases, how much asked, placed, settled, delivered, waiting and released. Never mixed in one.

An operator, who may read the whole ledger anyway, sees every figure. What is shown to the public says nothing about fewer than five
people (contract, 8): for each figure those are counted who are in it, beneficiaries and donors apart. Cases that nobody has vouched for
hide nobody: whoever sends events can make as many as they like. What the difference of two figures tells is not looked at.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from services.console.readmodel.model import Case, Fund, Pledge

FEWEST = 5
"""Public figures about fewer people than this are suppressed."""


@dataclass(frozen=True)
class Figures:
    """One fund in figures; all but the counts are minor units of `currency`.

    Attributes:
        asked: the claims of all cases that ever opened, closed or not.
        placed: awarded and standing, settled or not; settled: paid, of that; delivered: handed over, of that.
        waiting: pledged to the fund and matched to nothing, paid or not.
        unvalued: pledges without a rate for their currency.
        released: unpaid money given back; refunded: paid money given back.
        about: how many people are in each, at the fewest.
    """

    fund: str
    currency: str
    beneficiaries: int
    donors: int
    submitted: int
    open: int
    funded: int
    closed: int
    pledges: int
    unvalued: int
    asked: int
    placed: int
    settled: int
    delivered: int
    waiting: int
    released: int
    refunded: int
    about: Mapping[str, int] = field(default_factory=dict)


_OF_CASE: Final[Mapping[str, Callable[[Case], int]]] = {
    "submitted": lambda case: case.status == "submitted",
    "open": lambda case: case.status == "open" and case.lacks > 0,
    "funded": lambda case: case.status == "open" and not case.lacks,
    "closed": lambda case: case.status == "closed",
    "asked": lambda case: case.claim if case.opened else 0,
    "placed": lambda case: case.promised if case.opened else 0,
    "settled": lambda case: case.settled if case.opened else 0,
    "delivered": lambda case: case.delivered if case.opened else 0,
}
_OF_PLEDGE: Final[Mapping[str, Callable[[Pledge], int]]] = {
    "pledges": lambda _pledge: 1,
    "unvalued": lambda pledge: pledge.rate is None,
    "waiting": lambda pledge: pledge.waiting,
    "released": lambda pledge: pledge.released,
    "refunded": lambda pledge: pledge.refunded,
}
_OF_DONORS_TOO: Final[Mapping[str, Callable[[Pledge], int]]] = {
    "placed": lambda pledge: pledge.matched,
    "settled": lambda pledge: pledge.paid,
}


def figures_of(fund: Fund) -> Figures:
    """A fund's figures. `funded` counts open cases that lack nothing, `open` those that lack something."""
    cases, pledges = fund.cases.values(), fund.pledges.values()
    needs = [(case.beneficiary, {name: int(of(case)) for name, of in _OF_CASE.items()}) for case in cases]
    gifts = [(pledge.donor, {name: int(of(pledge)) for name, of in _OF_PLEDGE.items()}) for pledge in pledges]
    theirs = [(pledge.donor, {name: of(pledge) for name, of in _OF_DONORS_TOO.items()}) for pledge in pledges]
    about = {
        "cases": len({case.beneficiary for case in cases if case.opened}),
        "gifts": len({pledge.donor for pledge in pledges}),
    }
    for found, names in ((needs, _OF_CASE), (gifts, _OF_PLEDGE), (theirs, _OF_DONORS_TOO)):
        for name in names:
            people = len({who for who, parts in found if parts[name]})
            about[name] = min(people, about.get(name, people))
    return Figures(
        fund=fund.name,
        currency=fund.policy.currency,
        beneficiaries=len(fund.of_beneficiary),
        donors=about["gifts"],
        **{name: sum(parts[name] for _, parts in needs) for name in _OF_CASE},
        **{name: sum(parts[name] for _, parts in gifts) for name in _OF_PLEDGE},
        about=about,
    )


def for_operators(figures: Figures) -> dict[str, Any]:
    """Every figure."""
    return {name: value for name, value in asdict(figures).items() if name != "about"}


def for_everyone(figures: Figures) -> dict[str, Any]:
    """The figures with None in place of each that is about fewer than five people."""
    told, about = for_operators(figures), figures.about
    hidden = {name for name in ("beneficiaries", "donors") if 0 < told[name] < FEWEST}
    for names, group in ((_OF_CASE, "cases"), (_OF_PLEDGE, "gifts")):
        few = about[group] < FEWEST  # then nothing at all is said, not even that there is nothing
        hidden |= {name for name in names if few or 0 < about.get(name, 0) < FEWEST}
    if about["gifts"] < FEWEST:
        hidden |= {*_OF_DONORS_TOO}
    return {name: None if name in hidden else value for name, value in told.items()}

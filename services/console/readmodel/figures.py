"""The figures of a fund: how many cases, how much asked, promised, settled, delivered, waiting and released. Never mixed in one.

An operator, who may read the whole ledger anyway, sees every figure. What is shown to the public says nothing about fewer than
five people (contract, 8): a fund with fewer than five beneficiaries, or donors, shows no figure about them, and a count from one
to four is withheld.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from services.console.readmodel.model import Fund

FEWEST = 5
"""Public figures about fewer people than this are suppressed."""


@dataclass(frozen=True)
class Figures:
    """One fund in figures; all but the counts are minor units of `currency`.

    Attributes:
        asked: the claims of all cases that ever opened, closed ones with what they came to.
        promised: awarded and standing, settled or not; settled: paid, of that; delivered: handed over, of that.
        waiting: promised to the fund and matched to nothing, paid or not.
        unvalued: pledges without a rate for their currency.
        released: unpaid money given back; refunded: paid money given back.
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
    promised: int
    settled: int
    delivered: int
    waiting: int
    released: int
    refunded: int


def figures_of(fund: Fund) -> Figures:
    """A fund's figures. `funded` counts open cases that lack nothing, `open` those that lack something."""
    cases, pledges = fund.cases.values(), fund.pledges.values()
    standing = Counter("funded" if c.status == "open" and not c.lacks else c.status for c in cases)
    opened = [c for c in cases if c.opened]
    return Figures(
        fund=fund.name,
        currency=fund.policy.currency,
        beneficiaries=len(fund.of_beneficiary),
        donors=len({p.donor for p in pledges}),
        submitted=standing["submitted"],
        open=standing["open"],
        funded=standing["funded"],
        closed=standing["closed"],
        pledges=len(fund.pledges),
        unvalued=sum(p.rate is None for p in pledges),
        asked=sum(c.promised if c.status == "closed" else c.claim for c in opened),
        promised=sum(c.promised for c in opened),
        settled=sum(c.settled for c in opened),
        delivered=sum(c.delivered for c in opened),
        waiting=sum(p.waiting for p in pledges),
        released=sum(p.released for p in pledges),
        refunded=sum(p.refunded for p in pledges),
    )


_OF_BENEFICIARIES = ("submitted", "open", "funded", "closed", "asked", "delivered")
_OF_DONORS = ("pledges", "unvalued", "waiting", "released", "refunded")
_OF_BOTH = ("promised", "settled")
_COUNTS = ("beneficiaries", "donors", "submitted", "open", "funded", "closed", "pledges", "unvalued")


def for_operators(figures: Figures) -> dict[str, Any]:
    """Every figure."""
    return asdict(figures)


def for_everyone(figures: Figures) -> dict[str, Any]:
    """The figures with None in place of each that is about fewer than five people."""
    told = asdict(figures)
    hidden: set[str] = set()
    if figures.beneficiaries < FEWEST:
        hidden |= {*_OF_BENEFICIARIES, *_OF_BOTH}
    if figures.donors < FEWEST:
        hidden |= {*_OF_DONORS, *_OF_BOTH}
    hidden |= {name for name in _COUNTS if 0 < told[name] < FEWEST}
    return {name: None if name in hidden else value for name, value in told.items()}

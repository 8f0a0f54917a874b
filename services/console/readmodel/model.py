"""The read model: the books that all readers share, and what else people ask about. Who promised, who got what, when, and why.

It follows the facts and never the rule: the matcher's decisions are taken as they are. *Promised* counts all awarded money,
settled or not; *settled* what of it is paid; *delivered* what of that was handed over. The three are kept apart everywhere.
People are known here by pseudonym alone. All money is in the fund's minor units, all times are the entries', as RFC 3339 texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, get_args

from schemas.currencies import convert
from schemas.values import CLASSES, Rule
from services.readmodel import awards
from services.readmodel.books import FactDict, Promise

WATERFILL, FIRST_COME, GUARANTEED_FLOOR = get_args(Rule)


@dataclass(slots=True, frozen=True)
class Policy:
    """A fund's configuration, as of one `fund_configured`."""

    currency: str
    share: int
    weights: str
    vouchers_required: int
    rule: str = WATERFILL


@dataclass(slots=True, frozen=True)
class Moment:
    """The entry that a fact stands in.

    Attributes:
        entry: `<partition>-<seq>`.
        at: its time, RFC 3339.
        offset: of the command it answers; entries of one answer have the same.
    """

    entry: str
    at: str
    offset: int = -1


class Case(awards.Case):
    """One need of one beneficiary; `needed_by` is RFC 3339, `since` when it was submitted."""

    __slots__ = ("beneficiary", "need", "needed_by", "open_order", "opened", "route", "since", "vouchers")

    def __init__(self, fact: FactDict) -> None:
        super().__init__(fact)
        self.beneficiary: str = fact["beneficiary"]
        self.need: str = fact["need"]
        self.route: str = fact["route"]
        self.needed_by: str | None = fact.get("needed_by")
        self.vouchers, self.open_order = 0, -1
        self.opened: Moment | None = None
        self.since: Moment

    def vouch(self, voucher: str) -> None:
        self.vouchers += 1


class Pledge(Promise):
    """A donor's promise or one instalment of it.

    Attributes:
        received: all payments, valued.
        fallback: where money goes that the donor's choice has no room for.
        closed: "withdrawn" or "expired", or None.
        since: since when it waits, for money to be matched or for a rate; None if it doesn't.
    """

    __slots__ = ("closed", "fallback", "received", "since")

    def __init__(self, fact: FactDict, of: Pledge | None) -> None:
        super().__init__(fact, of)
        self.fallback: str = of.fallback if of else fact.get("fallback", "pool")
        self.received = 0
        self.closed: str | None = None
        self.since: Moment | None = None

    def look(self, moment: Moment) -> None:
        """Keep since when it waits."""
        waits = self.waiting > 0 or (self.rate is None and self.closed is None)
        self.since = (self.since or moment) if waits else None

    @property
    def awarded(self) -> int:
        """Matched and not yet paid."""
        return self.matched - self.paid

    @property
    def settled(self) -> int:
        """Matched, paid and not delivered."""
        return self.paid - self.delivered

    @property
    def delivered(self) -> int:
        """Handed over."""
        return sum(award.delivered for award in self.awards)

    @property
    def paid_waiting(self) -> int:
        """The paid part of what is matched to nothing."""
        return self.received - self.paid - self.refunded


class Award(awards.Award[Case, Pledge]):
    """The part of a pledge matched to a case.

    Attributes:
        given: what was awarded at first; `amount` is what of it stands.
        policy: the fund's policy when it was awarded.
    """

    __slots__ = ("given", "id", "made", "policy", "why")

    def __init__(self, fact: FactDict, pledge: Pledge, case: Case) -> None:
        super().__init__(fact, pledge, case)
        self.id: str = fact["award"]
        self.given = self.amount
        self.why: dict[str, Any] = fact["why"]
        self.made: Moment
        self.policy: Policy


class Fund(awards.Fund[Case, Pledge, Award]):
    """One fund, by its facts.

    Attributes:
        lacking: for each class, how many open cases lack money, and how much they lack together.
        last: the entry of its latest fact.
    """

    RULES = get_args(Rule)
    KEEPS_VOIDED = True

    def __init__(self, name: str) -> None:
        super().__init__(name, Case, Pledge, Award)
        self.policy: Policy
        self.awards: dict[str, Award] = {}
        self.of_beneficiary: dict[str, list[Case]] = {}
        self.opened = 0
        self.lacking = [[0, 0] for _ in CLASSES]
        self.last: Moment | None = None

    def configure(self, fact: FactDict) -> None:
        super().configure(fact)
        self.policy = Policy(fact["currency"], fact["share"], fact["weights"], fact["vouchers_required"], fact["rule"])

    def count(self, case: Case | None, sign: int) -> None:
        """Take a case out of `lacking` before it changes (-1), and into it after (+1)."""
        if case is not None and (lacks := case.lacks):
            self.lacking[case.rank][0] += sign
            self.lacking[case.rank][1] += sign * lacks


Watcher = Callable[[Fund, FactDict, Moment], None]


class ReadModel(awards.Fold[Fund]):
    """All funds of the entries fed so far; `before` is called with each fact before it is folded."""

    def __init__(self, before: Watcher | None = None) -> None:
        super().__init__(Fund)
        self._before = before
        self._moment: Moment

    def feed(self, partition: int, entry: dict[str, Any]) -> None:
        self._moment = Moment(f"{partition}-{entry['seq']}", entry["at"], entry["cause"]["offset"])
        super().feed(partition, entry)

    def change(self, fund: Fund, fact: FactDict) -> Any:
        fund.last = self._moment
        if self._before:
            self._before(fund, fact, self._moment)
        case = fund.case_of(fact)
        fund.count(case, -1)
        about = super().change(fund, fact)
        self._note(fund, fact, about)
        fund.count(case, 1)
        return about

    def _note(self, fund: Fund, fact: FactDict, about: Any) -> None:
        """Keep what people ask about beyond the books, after the fact has taken effect."""
        match fact["fact"]:
            case "case_submitted":
                fund.of_beneficiary.setdefault(about.beneficiary, []).append(about)
                about.since = self._moment
            case "case_opened":
                about.opened, about.open_order = self._moment, fund.opened
                fund.opened += 1
            case "case_amended":
                about.needed_by = fact.get("needed_by", about.needed_by)
            case "pledge_withdrawn" | "pledge_expired":
                fund.pledges[fact["pledge"]].closed = fact["fact"].removeprefix("pledge_")
            case "pledge_raised" if fact.get("rate"):
                about.received = convert(about.face_paid, about.rate, about.currency, fund.currency)
            case "payment_received":
                about.received += fact["amount"] or 0
            case "awarded":
                fund.awards[about.id] = about
                about.made, about.policy = self._moment, fund.policy
        pledge = about.pledge if isinstance(about, Award) else about
        if isinstance(pledge, Pledge):
            pledge.look(self._moment)


def unbalanced(funds: Iterable[Fund]) -> list[str]:
    """Where the ledger's own sums don't hold (contract, 6: conservation): one line each, with ids only."""
    lines = []
    for fund in funds:
        for p in fund.pledges.values():
            parts = (p.waiting, p.awarded, p.settled, p.released, p.refunded)
            if p.matched != sum(a.amount for a in p.awards) or min(parts) < 0 or not 0 <= p.paid_waiting <= p.waiting:
                lines.append(f"fund {fund.name}: pledge {p.id} does not add up")
        lines += [
            f"fund {fund.name}: case {c.id} does not add up"
            for c in fund.cases.values()
            if not 0 <= c.delivered <= c.settled <= c.promised <= c.claim
        ]
    return lines

"""The state of a fund: its cases, pledges and awards, and what is derived from them to find quickly who and what is next.

Derived are the books (which claim), the queues (which waiting money) and the timers (when). They can be built anew from the rest at
any time; nothing here decides.
"""

from __future__ import annotations

from operator import attrgetter

from services.matcher.model.award_rows import Fresh
from services.matcher.model.changes import Changes
from services.matcher.model.entities import Award, Case, Pledge, Policy
from services.matcher.model.timers import Timers
from services.matcher.model.totals import Totals
from services.matcher.model.waiting_money import Queues
from services.matcher.rules.index import book_of
from services.matcher.rules.protocol import RuleBook, Share, StagedShare

_BY_OPENING = attrgetter("open_order")


class Fund:
    """A community's pool of pledges and cases in one currency."""

    def __init__(self, name: str, now: int) -> None:
        self.name = name
        self.now = now
        self.policy: Policy = None  # type: ignore[assignment]  # until its first fact, which configures it
        self.cases: dict[str, Case] = {}
        self.pledges: dict[str, Pledge] = {}
        self.pledges_made = 0
        self.cases_opened = 0
        self.rates: dict[str, str] = {}
        self.unrated: dict[str, dict[str, Pledge]] = {}
        self.deliveries: dict[str, tuple[str, int]] = {}
        self.payments: dict[str, tuple[str, int]] = {}
        self.failures: dict[str, tuple[str, str]] = {}
        self.refunds: dict[str, tuple[str, int]] = {}
        self.awards_made = 0
        self.fresh = Fresh()
        self.timers = Timers()
        self.queues = Queues()
        self.pool: RuleBook | None = None
        self.needs: dict[str, RuleBook] = {}
        self.totals = Totals()
        self.changed = Changes()  # since the last checkpoint
        # What the answer at hand has changed, each once, in order.
        self.touched_cases: list[Case] = []
        self.touched_pledges: list[Pledge] = []

    def touch_case(self, case: Case) -> None:
        """Note that a case changes with the answer at hand."""
        if not case.touched:
            case.touched = True
            self.touched_cases.append(case)

    def touch_pledge(self, pledge: Pledge) -> None:
        """Note that a pledge does."""
        if not pledge.touched:
            pledge.touched = True
            self.touched_pledges.append(pledge)

    def award(self, award_id: str) -> Award:
        """An award by its id.

        Raises:
            KeyError: if it was never made, is void as a whole, or delivered in whole.
        """
        pledge, _, number = award_id.rpartition("/")
        known = self.pledges[pledge]
        return known.award(int(number))

    def open_cases(self) -> list[Case]:
        """The open cases in opening order."""
        cases = [case for case in self.cases.values() if case.status == "open"]
        cases.sort(key=_BY_OPENING)
        return cases

    def book_of_pool(self) -> RuleBook:
        """Who is next among all claims."""
        if self.pool is None:
            self.pool = book_of(self.policy, self.open_cases())
        return self.pool

    def book_of_need(self, need: str) -> RuleBook:
        """Who is next among the claims of one need; kept from the first designation on."""
        book = self.needs.get(need)
        if book is None:
            cases = [case for case in self.cases.values() if case.need == need and case.status == "open"]
            book = self.needs[need] = book_of(self.policy, cases)
        return book

    def books_of(self, case: Case) -> list[RuleBook]:
        """The books that hold an open case."""
        pool, of_need = self.book_of_pool(), self.needs.get(case.need)
        return [pool] if of_need is None else [pool, of_need]

    def move(self, case: Case, claim: int, awarded: int) -> None:
        """Change a case's claim and awarded money by the given amounts, books included."""
        case.claim += claim
        case.awarded += awarded
        if case.status == "open":
            self._tell_books(case, claim, awarded, None)
        self.touch_case(case)

    def follow(self, shares: list[Share] | list[StagedShare], book: RuleBook) -> None:
        """Tell the other books of money that `book` has just shared out."""
        if self.needs:
            for share in shares:
                self._tell_books(share[1], 0, share[2], book)

    def _tell_books(self, case: Case, claim: int, awarded: int, but: RuleBook | None) -> None:
        """Tell all books but one how much an open case has changed; those not built yet will be from what is true then."""
        pool, of_need = self.pool, self.needs.get(case.need)
        if pool is not None and pool is not but:
            pool.update(case, claim, awarded)
        if of_need is not None and of_need is not but:
            of_need.update(case, claim, awarded)

    def settle_in(self) -> None:
        """End an answer: put touched pledges that have money into their queues, and list all that was touched as changed."""
        for pledge in self.touched_pledges:
            pledge.touched = False
            if pledge.waiting:
                self.queues.wait(pledge)
            if not pledge.listed:
                self.changed.add(pledge)
        for case in self.touched_cases:
            case.touched = False
            if not case.listed:
                self.changed.add(case)
        self.touched_pledges, self.touched_cases = [], []

    def reclass(self, case: Case, rank: int) -> None:
        """Put an open case into another class."""
        books = self.books_of(case)
        for book in books:
            book.remove(case)
        self.totals.open[case.rank] -= 1
        self.totals.open[rank] += 1
        case.rank = rank
        self.touch_case(case)
        for book in books:
            book.add(case)

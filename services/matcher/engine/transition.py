"""A transition: what one command or one timer does to a fund, told fact by fact.

`tell` applies a fact and notes it; everything else here is built from it: placing a pledge by the rule, matching all that waits,
voiding awards, releasing money. It remembers which claims opened and which money came free, so that `match` looks at no more than
that.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush

from schemas.forms import (
    AWARD_SETTLED,
    AWARD_VOIDED,
    AWARDED,
    CASE_FUNDED,
    RELEASED,
    WAITING,
    Fact,
    as_dict,
)
from schemas.values import CLASSES
from services.matcher.engine.facts import apply, commit, release, settle_award, void_award
from services.matcher.engine.fund import Fund
from services.matcher.model.entities import POOL, Award, Case, FactDict, Pledge, Queue, award_id
from services.matcher.rules.protocol import RuleBook, Share, StagedShare


class Transition:
    """What one command or one timer does to one fund.

    Args:
        fund: what it is done to.
        at: the instant, microseconds since 1970.
        facts: where facts are noted, in order.
        named: True if each fact names its fund (a tick's entry).
    """

    __slots__ = ("_freed", "_opened", "at", "facts", "fund", "named")

    def __init__(self, fund: Fund, at: int, facts: list[Fact], named: bool = False) -> None:
        self.fund, self.at, self.facts, self.named = fund, at, facts, named
        self._opened: list[Case] = []
        self._freed: dict[Pledge, bool] = {}  # with whether it is new

    def tell(self, fact: FactDict) -> None:
        """Apply a fact and note it."""
        apply(self.fund, fact, self.at)
        self.note(fact)

    def note(self, fact: Fact) -> None:
        """Note a fact whose effect is there already."""
        if self.named:
            fact = as_dict(fact)
            fact = {"fact": fact["fact"], "fund": self.fund.name, **fact}
        self.facts.append(fact)

    def claim_opened(self, case: Case) -> None:
        """Remember that a case has, or has again, a claim that money may go to, for `match` once the command is decided."""
        self._opened.append(case)

    def money_freed(self, pledge: Pledge, new: bool = False) -> None:
        """Remember that a pledge has money, for `match` once the command is decided; a new one is told of what must wait."""
        if new or pledge not in self._freed:
            self._freed[pledge] = new

    def match(self) -> None:
        """Match all waiting money that could find a claim since it began, in pledge order."""
        if not self._opened and len(self._freed) < 2:  # a plain pledge or payment: nobody else is concerned
            for pledge, new in self._freed.items():
                self._place(pledge, new)
            return
        queues: set[Queue] = set()
        for case in self._opened:
            if case.residual():
                queues |= {POOL, ("case", case.id), ("need", case.need)}
        heap: list[tuple[int, int, Pledge, Queue | None]] = []
        for queue in queues:
            self._push_head(heap, queue)
        heap += [(pledge.order, 0, pledge, None) for pledge in self._freed]
        heapify(heap)
        while heap:
            _, _, pledge, whence = heappop(heap)
            self._place(pledge, self._freed.pop(pledge, False))
            if whence is not None and self._queue_has_claims(whence):
                self._push_head(heap, whence)

    def void_pledge(self, pledge: Pledge) -> None:
        """End a pledge's unsettled awards, newest first, and release all its unpaid money."""
        for award in reversed(pledge.all_awards()):  # each leaves it at most by itself
            unsettled = award.amount - award.settled
            if unsettled:
                self._void(award, unsettled, 0)
                self.claim_opened(award.case)
        self.release(pledge)

    def void_case(self, case: Case, excess: int) -> None:
        """Take money back from a case: newest unsettled awards first, then settled money not yet delivered.

        Args:
            case: the case, closed or with a lower claim.
            excess: how much, minor units; at most what is not delivered.
        """
        newest = case.all_awards()[::-1]
        parts: dict[Award, list[int]] = {}
        for settled in (0, 1):
            for award in newest:
                part = min(excess, award.settled - award.delivered if settled else award.amount - award.settled)
                if part:
                    parts.setdefault(award, [0, 0])[settled] += part
                    excess -= part
        for award, (unsettled, settled) in parts.items():
            self._void(award, unsettled + settled, settled)
            self.money_freed(award.pledge)

    def release(self, pledge: Pledge) -> None:
        """Release the unpaid money of a pledge that waits."""
        unpaid = pledge.waiting - pledge.paid_waiting
        if unpaid:
            release(self.fund, pledge, unpaid)
            self.note((RELEASED, pledge.id, unpaid))

    def settle(self, pledge: Pledge, amount: int) -> None:
        """Settle a pledge's awards, oldest first, with paid money that waits."""
        for award in pledge.all_awards():
            part = min(amount, award.amount - award.settled)
            if part:
                self._settle(award, part)
                amount -= part
                if not amount:
                    return

    def funded(self, case: Case) -> None:
        """Tell that an open case's awards have reached its claim."""
        self.note((CASE_FUNDED, case.id, case.claim))

    def _settle(self, award: Award, amount: int) -> None:
        settle_award(self.fund, award, amount)
        self.note((AWARD_SETTLED, award_id(award.pledge, award.number), amount))

    def _void(self, award: Award, amount: int, settled: int) -> None:
        void_award(self.fund, award, amount, settled)
        self.note((AWARD_VOIDED, award_id(award.pledge, award.number), amount, settled))

    def _push_head(self, heap: list[tuple[int, int, Pledge, Queue | None]], queue: Queue) -> None:
        head = self.fund.queues.head(queue)
        if head is not None:
            heappush(heap, (head.order, 1, head, queue))

    def _queue_has_claims(self, queue: Queue) -> bool:
        kind, name = queue
        if kind == "case":
            return self.fund.cases[name].residual() > 0
        book = self.fund.book_of_need(name) if kind == "need" else self.fund.book_of_pool()
        return book.any_residual()

    def _place(self, pledge: Pledge, new: bool) -> None:
        """Run the rule for one pledge: its designation first, then its fallback."""
        if pledge.waiting:
            if pledge.has_terms:
                self._place_by_terms(pledge)
            else:
                self._share_out(pledge, self.fund.book_of_pool())
        if pledge.waiting:
            if new:
                self.note((WAITING, pledge.id, pledge.waiting))
            self.fund.queues.wait(pledge)

    def _place_by_terms(self, pledge: Pledge) -> None:
        designation = pledge.designation
        if designation is not None:
            kind, name = designation
            self._place_designated(pledge, kind, name)
        if pledge.queue is POOL and pledge.waiting:
            self._share_out(pledge, self.fund.book_of_pool())
        if designation is not None and pledge.fallback == "release":
            self.release(pledge)

    def _place_designated(self, pledge: Pledge, kind: str, name: str) -> None:
        fund = self.fund
        if kind == "need":
            self._share_out(pledge, fund.book_of_need(name))
        elif name in fund.cases:
            share = fund.book_of_pool().share_of_one(fund.cases[name], pledge.waiting)
            if share:
                fund.move(share[1], 0, share[2])
                self._award(pledge, [share])

    def _share_out(self, pledge: Pledge, book: RuleBook) -> None:
        shares = book.share_out(pledge.waiting)
        self.fund.follow(shares, book)
        self._award(pledge, shares)

    def _award(self, pledge: Pledge, shares: Sequence[Share | StagedShare]) -> None:
        """Tell of the awards whose money the rule has just moved, and settle them with what is paid already."""
        fund, paid = self.fund, pledge.paid_waiting
        for share in shares:
            key, case, amount, before, claim, rank = share[0], share[1], share[2], share[3], share[4], share[5]
            number = pledge.awards_made + 1
            commit(fund, pledge, case, number, amount)
            told = (
                AWARDED,
                award_id(pledge, number),
                pledge.id,
                case.id,
                amount,
                CLASSES[rank],
                key,
                before,
                before + amount,
                claim,
            )
            self.note(told + share[6:] if len(share) > 6 else told)
            if paid:
                part = min(paid, amount)
                self._settle(pledge.award(number), part)
                paid -= part
            if case.awarded == case.claim:
                self.funded(case)

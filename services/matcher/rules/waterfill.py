"""The book of `urgency-waterfill/1`: who is next, kept ready while money comes and cases open, age and close.

Each class has a line of places (`key_heap`), in which claimants stand by their key and by the opening order of their oldest case
with a residual. Places are never searched for: a claimant that changes gets a new one, and the old are dropped when they come to the
top, so that a pledge costs O(log n) however many cases are open and whatever happened before. (A claimant that comes back to a former
place may stand there twice; that is one place.) A fund has one book for the pool, and one for each need that a donor ever designated.
A book is derived from the cases alone and can be built anew at any time.

`share_out` is the walk: it goes along the path that the rule lays down and moves the money as it goes. While a pledge stops short of
a boundary, its claimant keeps its place; a full step replaces the top of the heap by the claimant's next place. After very many
steps `leap` takes the rest by bisection.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from operator import attrgetter

from services.matcher.model.breach import ConservationBreach
from services.matcher.model.entities import Case
from services.matcher.rules.key_heap import NOWHERE, Places
from services.matcher.rules.leap import highest_key_paid_in_full
from services.matcher.rules.protocol import RuleBook, Share
from services.matcher.rules.waterfill_arithmetic import SCALE, boundary_of, key_of, level_of

_STEPS_BEFORE_LEAP = 256
_BY_OPENING = attrgetter("open_order")
_CLASSES = 4


class Claimant:
    """All open cases of one beneficiary in one class; claim and awarded are their sums (minor units).

    `oldest` is the oldest with a residual, `younger` are the others that have one, in order; most have one case, and no list.
    `key` and `order` are its valid place, the key -1 while nobody waits. Splitting one need into many cases gains nothing, because the
    sums and not the cases are compared.
    """

    __slots__ = ("awarded", "cases", "claim", "key", "oldest", "order", "younger")

    def __init__(self) -> None:
        self.cases = 0
        self.claim = self.awarded = 0
        self.key, self.order = NOWHERE, 0
        self.oldest: Case | None = None
        self.younger: list[Case] | None = None

    def wait(self, case: Case) -> None:
        """Count a case among those with a residual."""
        oldest = self.oldest
        if oldest is None:
            self.oldest = case
            return
        if case.open_order < oldest.open_order:
            self.oldest, case = case, oldest
        if self.younger is None:
            self.younger = []
        insort(self.younger, case, key=_BY_OPENING)

    def leave(self, case: Case) -> None:
        """Count it among them no longer."""
        younger = self.younger
        if case is not self.oldest:
            assert younger is not None, "it is among them"
            del younger[bisect_left(younger, case.open_order, key=_BY_OPENING)]
        else:
            self.oldest = younger.pop(0) if younger else None


class Claimants:
    """All claimants of one class, in line.

    Attributes:
        residual: what they lack together, minor units.
    """

    __slots__ = ("_by_claim", "_by_name", "_places", "_rank", "_share", "_waiting", "residual")

    def __init__(self, rank: int, share: int, by_claim: bool) -> None:
        self._rank, self._share, self._by_claim = rank, share, by_claim
        self._by_name: dict[str, Claimant] = {}
        self._places = Places()
        self._waiting = 0
        self.residual = 0

    def add(self, case: Case) -> None:
        """Take in an open case."""
        claimant = self._by_name.get(case.beneficiary)
        if claimant is None:
            claimant = self._by_name[case.beneficiary] = Claimant()
        claimant.cases += 1
        self.update(case, case.claim, case.awarded)

    def remove(self, case: Case) -> None:
        """Let go of a case."""
        claimant = self._by_name[case.beneficiary]
        claimant.cases -= 1
        residual = case.residual()
        if residual:
            claimant.leave(case)
        claimant.claim -= case.claim
        claimant.awarded -= case.awarded
        self.residual -= residual
        self._put(claimant)
        if not claimant.cases:
            del self._by_name[case.beneficiary]

    def update(self, case: Case, claim: int, awarded: int) -> None:
        """Follow a change of a case's claim and awarded money, by the given amounts, after it happened."""
        claimant = self._by_name[case.beneficiary]
        claimant.claim += claim
        claimant.awarded += awarded
        residual, was = case.residual(), max(0, case.claim - claim - case.awarded + awarded)
        self.residual += residual - was
        if residual and not was:
            claimant.wait(case)
        elif was and not residual:
            claimant.leave(case)
        self._put(claimant)

    def walk(self, amount: int, shares: list[Share]) -> int:
        """Walk until the amount or the claims are used up, and add to `shares` what is given; returns what is left."""
        places, share, by_claim, whole, first = self._places, self._share, self._by_claim, amount, len(shares)
        steps = leapt = 0
        at: dict[Case, int] = {}  # where a case's share is, once the path may have come back to one
        level = NOWHERE
        while amount:
            claimant = self._next()
            if claimant is None:
                break
            key, before, claim = claimant.key, claimant.awarded, claimant.claim
            case = claimant.oldest
            assert case is not None, "who stands in line lacks money"
            boundary = boundary_of(before, claim, share) if by_claim else key
            if by_claim and claim > SCALE:  # several stairs have one key, and are climbed in one go
                boundary = max(boundary, level_of(key, claim, share, by_claim))
            lacking = case.claim - case.awarded
            step = min(boundary - before, lacking, amount)
            if step <= 0:  # a walk that stands still would never end
                raise ConservationBreach(
                    f"case {case.id}: {step} of {amount} to give, where the book says it lacks money"
                )
            case.awarded += step
            claimant.awarded = after = before + step
            amount -= step
            if not steps:
                level = key
            if key == level:  # a case comes again only under a higher key
                shares.append((key, case, step, before, claim, self._rank))
            else:
                _note(shares, at, first, (key, case, step, before, claim, self._rank))
            steps += 1
            if step == lacking:
                claimant.leave(case)
                places.pop()
                self._put(claimant)
            elif after == boundary:  # a full step: on to the next boundary
                claimant.key = key = key_of(boundary_of(after, claim, share), claim, by_claim)
                places.replace(key, claimant.order, claimant)
            if amount and steps - leapt >= _STEPS_BEFORE_LEAP + 4 * self._waiting:  # which gets less on the way
                amount = self._leap(amount, shares, at, first)
                leapt = steps
        given = whole - amount
        self.residual -= given
        for place in range(first, len(shares)):
            given -= shares[place][2]
        if given:  # money has moved in a case, and no award would tell of it
            raise ConservationBreach(f"class {self._rank}: {given} more of {whole} given than its shares tell of")
        return amount

    def _next(self) -> Claimant | None:
        """Whose the next money is, or None if nobody waits; invalid places before that are dropped."""
        places = self._places
        while len(places):
            claimant: Claimant = places.first()
            if places.is_at(claimant.key, claimant.order):
                return claimant
            places.pop()
        return None

    def _leap(self, amount: int, shares: list[Share], at: dict[Case, int], first: int) -> int:
        """Serve at once every step up to the highest key that the amount pays for in full."""
        claimants = [claimant for claimant in self._by_name.values() if claimant.oldest]
        if not claimants:  # the claims of the class are just used up
            return amount
        stands = [(claimant.claim, claimant.awarded) for claimant in claimants]
        key = highest_key_paid_in_full(amount, stands, self._share, self._by_claim)
        for claimant in claimants:
            rise = max(0, level_of(key, claimant.claim, self._share, self._by_claim) - claimant.awarded)
            amount -= rise
            self._raise(claimant, rise, shares, at, first)
            self._put(claimant)
        # In the order of the first money, which is that of the path.
        shares[first:] = sorted(shares[first:], key=lambda share: (share[0], share[1].open_order))
        at.clear()
        return amount

    def _raise(self, claimant: Claimant, amount: int, shares: list[Share], at: dict[Case, int], first: int) -> None:
        """Put money into a claimant's oldest cases with a residual, one after the other."""
        while amount:
            case, before, claim = claimant.oldest, claimant.awarded, claimant.claim
            assert case is not None, "nobody is raised above what they ask"
            lacking = case.claim - case.awarded
            step = min(amount, lacking)
            key = key_of(boundary_of(before, claim, self._share), claim, self._by_claim)
            _note(shares, at, first, (key, case, step, before, claim, self._rank))
            case.awarded += step
            claimant.awarded += step
            amount -= step
            if step == lacking:
                claimant.leave(case)

    def _put(self, claimant: Claimant) -> None:
        """Give a claimant its present place."""
        was, oldest = claimant.key, claimant.oldest
        if oldest is None:
            if was != NOWHERE:
                claimant.key = NOWHERE
                self._waiting -= 1
            return
        order = oldest.open_order
        key = key_of(boundary_of(claimant.awarded, claimant.claim, self._share), claimant.claim, self._by_claim)
        if was == key and claimant.order == order:
            return
        if was == NOWHERE:
            self._waiting += 1
        claimant.key, claimant.order = key, order
        places = self._places
        places.push(key, order, claimant)
        if len(places) > 64 + 4 * self._waiting:
            places.rebuild([(each.key, each.order, each) for each in self._by_name.values() if each.oldest])


class Book(RuleBook):
    """The claimants of one scope (the pool, or one need), class by class, ready for the rule.

    Args:
        share: the fund's step of the water-fill, minor units.
        by_claim: True for `weights="claim"`.
        cases: the open cases of the scope.
    """

    def __init__(self, share: int, by_claim: bool, cases: Iterable[Case]) -> None:
        self._share, self._by_claim = share, by_claim
        self._classes = [Claimants(rank, share, by_claim) for rank in range(_CLASSES)]
        for case in cases:
            self.add(case)

    def any_residual(self) -> bool:
        """True while any claim of the scope is open."""
        return sum([claimants.residual for claimants in self._classes]) > 0

    def add(self, case: Case) -> None:
        """Take in an open case, in its present class."""
        claimants = self._classes[case.rank]
        claimants.add(case)

    def remove(self, case: Case) -> None:
        """Let go of a case, before its class or state changes."""
        claimants = self._classes[case.rank]
        claimants.remove(case)

    def update(self, case: Case, claim: int, awarded: int) -> None:
        """Follow a change of a case's claim and awarded money, after it happened."""
        claimants = self._classes[case.rank]
        claimants.update(case, claim, awarded)

    def share_out(self, amount: int) -> list[Share]:
        """Run the rule for `amount` minor units over the claims: classes strictly by urgency, then the path within."""
        shares: list[Share] = []
        for claimants in reversed(self._classes):
            if amount and claimants.residual:
                amount = claimants.walk(amount, shares)
        return shares

    def share_of_one(self, case: Case, amount: int) -> Share | None:
        """What a pledge designated to a single case gives it, or None if the case has no residual; no money is moved here."""
        given = min(amount, case.residual())
        if given <= 0:
            return None
        key = key_of(boundary_of(case.awarded, case.claim, self._share), case.claim, self._by_claim)
        return (key, case, given, case.awarded, case.claim, case.rank)


def _note(shares: list[Share], at: dict[Case, int], first: int, step: Share) -> None:
    """Add a step to the shares from `first` on: one share a case, with the key and the standing of its first money."""
    if not at:
        for place in range(first, len(shares)):
            share = shares[place]
            at[share[1]] = place
    found = at.get(step[1])
    if found is None:
        at[step[1]] = len(shares)
        shares.append(step)
    else:
        key, case, amount, before, claim, rank = shares[found]
        shares[found] = (key, case, amount + step[2], before, claim, rank)

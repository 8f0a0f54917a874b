"""The index of rules: the name a fund is configured with → the book that keeps the rule ready.

Each rule's module says what it promises, and shows the smallest example of each promise it breaks:

| | `urgency-waterfill/1` (`waterfill_arithmetic`) | `first-come/1` (`first_come`) | `guaranteed-floor/1` (`guaranteed_floor`) |
|---|---|---|---|
| a pledge split in two gives every case the same (batch-invariance) | yes | yes | yes |
| a larger pledge takes from no case (house-monotonicity) | yes | yes | yes |
| a commitment is never taken away | yes | yes | yes |
| no class waits behind a lower one (urgency) | yes | no | no: floors go across classes |
| splitting a need gains nothing, while its parts are open in one class | yes | yes | no: each case has a floor of its own |
| no claim starves beside those there are, while its class is served | yes | no | yes |

A name once used on a ledger keeps its meaning for ever: a rule that decides otherwise gets another number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from services.matcher.model.entities import Case, Policy
from services.matcher.rules.first_come import FirstCome
from services.matcher.rules.guaranteed_floor import GuaranteedFloor
from services.matcher.rules.protocol import RuleBook
from services.matcher.rules.waterfill import Book


def book_of(policy: Policy, cases: Iterable[Case]) -> RuleBook:
    """The book of a fund's rule over some open cases, oldest first.

    Raises:
        KeyError: if no rule has that name; `schemas.values.Rule` lets none through.
    """
    return BOOKS[policy.rule](policy, cases)


BOOKS: dict[str, Callable[[Policy, Iterable[Case]], RuleBook]] = {
    "urgency-waterfill/1": lambda policy, cases: Book(policy.share, policy.weights == "claim", cases),
    "first-come/1": lambda _policy, cases: FirstCome(cases),
    "guaranteed-floor/1": lambda policy, cases: GuaranteedFloor(policy.share, policy.weights == "claim", cases),
}

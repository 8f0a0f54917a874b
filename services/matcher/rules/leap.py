"""The leap: a large pledge over a small share, without walking share by share.

A claimant's steps never go back in `(key, order)`, so the steps of all claimants merge into one sorted path. So the highest key whose
steps are all affordable can be found by bisection; they are taken at once, and only the rest is walked.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.matcher.rules.waterfill_arithmetic import SCALE, level_of


def highest_key_paid_in_full(amount: int, stands: Sequence[tuple[int, int]], share: int, by_claim: bool) -> int:
    """The greatest key such that `amount` pays for every step with a key up to it.

    Args:
        amount: minor units.
        stands: claim and awarded money of each claimant with a residual; not empty.
        share: the fund's step, minor units.
        by_claim: True for `weights="claim"`.

    Returns:
        The key; -1 if not even the lowest steps can be paid for.
    """

    def cost(key: int) -> int:
        return sum(max(0, level_of(key, claim, share, by_claim) - awarded) for claim, awarded in stands)

    low, high = -1, SCALE if by_claim else max(claim for claim, _ in stands)
    while low < high:  # cost(-1) is 0
        middle = (low + high + 1) // 2
        low, high = (middle, high) if cost(middle) <= amount else (low, middle - 1)
    return low

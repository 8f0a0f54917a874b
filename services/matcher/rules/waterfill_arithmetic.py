"""The rule `urgency-waterfill/1`: who is next, and how much.

*Priority classes; within a class, weighted constrained equal awards* (Flores-Szwagrzak, JET 160, 2015). Each claimant (all open
cases of one beneficiary in one class) has a stairway of boundaries, multiples of `share` up to its claim, and each boundary has a
key. The next money always goes to the claimant with the least `(key, opening order of its oldest case with a residual)`, up to its
boundary, into that oldest case.

Why this rounding and no other: the order of steps depends only on what each claimant has, never on the size of the pledge at hand.
A pledge is merely how far one walks along a path that is already laid down. Hence *batch-invariance* (two walks of a and b end
where one walk of a + b ends) and *house-monotonicity* (walking further takes nothing back). Proportional shares with largest
remainders have neither property, since each new total reshuffles the remainders (the Alabama paradox):

>>> def largest_remainder(total, claims):
...     floors = [total * c // sum(claims) for c in claims]
...     by_remainder = sorted(range(len(claims)), key=lambda i: -(total * claims[i] % sum(claims)))
...     return [f + (i in by_remainder[: total - sum(floors)]) for i, f in enumerate(floors)]
>>> largest_remainder(10, [60, 60, 20]), largest_remainder(11, [60, 60, 20])  # one more to give, and the third loses
([4, 4, 2], [5, 5, 1])

What it promises besides: *no class waits behind a lower one*; *splitting a need gains nothing* while its parts are open in one class,
since a beneficiary's sums and not the cases are compared; and *no claim starves beside those there are*: before a claimant's next step
is full no other of its class gets past the same height, however much more it asks, and ageing brings every case as far as `asap`.

What it does not promise. Who comes later begins at the lowest stair, so a claim that has something may wait behind newcomers for as
long as these come faster than money; with `weights="claim"` one that has nothing may, since larger claims begin with smaller keys. And
a part of a need that is delivered and closed, or alone raised to a higher class, counts no longer with the rest, so that torn in two
a need may end with more than whole; whoever vouches sees to it that one need is one case.

>>> from services.matcher.rules.example import give
>>> give("urgency-waterfill/1", 40, "ana urgent 40", "bo urgent 40", share=10)
[20, 20]
>>> give("urgency-waterfill/1", 40, *["ana urgent 10"] * 4, "bo urgent 40", share=10)  # ana, torn in four
[10, 10, 0, 0, 20]
>>> give("urgency-waterfill/1", 15, "ana routine 99", "bo asap 99", "cho asap 5", share=10)
[0, 10, 5]

This module is the arithmetic of one claimant; `waterfill` knows who is next, and walks; `leap` is its short cut.
"""

from __future__ import annotations

SCALE = 10**12
"""Fixed-point scale of the keys of `weights="claim"`."""


def boundary_of(awarded: int, claim: int, share: int) -> int:
    """The next stair: `min(claim, (awarded // share + 1) * share)`."""
    return min(claim, (awarded // share + 1) * share)


def key_of(boundary: int, claim: int, by_claim: bool) -> int:
    """What is compared between claimants: the boundary itself, or its part of the claim in 10⁻¹²."""
    return boundary * SCALE // claim if by_claim else boundary


def level_of(key: int, claim: int, share: int, by_claim: bool) -> int:
    """How high a claimant stands once all its boundaries with a key up to `key` are served."""
    height = ((key + 1) * claim - 1) // SCALE if by_claim else key
    return claim if height >= claim else height // share * share

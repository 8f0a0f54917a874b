"""Command logs as Hypothesis draws them: gestures over small pools of ids, so that commands hit what others made.

Every amount is a small number of `unit`s, and the share is a smaller one: a unit of one minor unit makes roundings bite, a unit
of 2**40 makes numbers large without making the oracle walk for ever. Times within the data are hours from the gesture on (see
`tests.oracle.season`), so a log still means something after Hypothesis has cut pieces out of it.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import chain
from typing import Any

from hypothesis import strategies as st

from tests.oracle.season import CLASSES, DAY, FOREIGN, HOUR, NEEDS, OFF, OUTCOMES, RATES, RULES, UNREADABLE, Gesture

FUNDS = {"f-1": "CNY", "f-2": "JPY"}
"""Funds and their currencies, of 2 digits and of none; those of `FOREIGN` have 2, 0, 3 and 4."""
CASES = [f"c-{n}" for n in range(1, 6)]
PLEDGES = [f"p-{n}" for n in range(1, 6)]
PARTS = [*PLEDGES, *PLEDGES, "p-1#2", "p-1#3", "p-2#2", "p-3#2"]

funds = st.sampled_from(["f-1", "f-1", "f-1", "f-2"])
jumps = st.sampled_from([0, 0, 0, 0, 1, HOUR, 12 * HOUR, DAY, DAY, 3 * DAY, 7 * DAY, 31 * DAY, 31 * DAY, 184 * DAY,
                        -1, -DAY, -40 * DAY])  # fmt: skip
offs = st.sampled_from([None] * 30 + OFF)
hours = st.sampled_from([1, 12, 24, 48, 72, 96, 7 * 24, 31 * 24, 59 * 24])
recurrences = st.one_of(  # short periods end soon, so that a jump of a year brings no thousands of instalments
    st.fixed_dictionaries({"every": st.sampled_from(["P1D", "P3D", "P1W"]), "times": st.integers(1, 6)}),
    st.fixed_dictionaries({"every": st.sampled_from(["P1M", "P2M", "P1Y"])}, optional={"times": st.integers(1, 4)}),
)
policies = st.fixed_dictionaries(
    {
        "rule": st.sampled_from(RULES),
        "vouchers_required": st.sampled_from([0, 0, 0, 1, 2]),
        "ageing_days": st.sampled_from([0, 1, 7]),
        "deadline_hours": st.sampled_from([0, 24, 72]),
        "weights": st.sampled_from(["equal", "claim"]),
    }
)


def logs(length: int = 60) -> st.SearchStrategy[list[Gesture]]:
    """Logs of up to `length` gestures after the funds' configuration."""
    return st.sampled_from([1, 1, 1, 10_000, 2**40]).flatmap(lambda unit: _logs(unit, length))


@lru_cache
def _logs(unit: int, length: int) -> st.SearchStrategy[list[Gesture]]:
    configured = [_configured(fund, unit).map(lambda data: Gesture(0, "fund.configured", data)) for fund in FUNDS]
    piece = st.lists(_gestures(unit), max_size=length // 4)  # in pieces, since a single list is mostly drawn short
    return st.builds(lambda a, b, *pieces: [a, b, *chain(*pieces)], *configured, piece, piece, piece, piece)


def _configured(fund: str, unit: int) -> st.SearchStrategy[dict[str, Any]]:
    shares = st.sampled_from([1, 2, 3, 7, 10]).map(lambda share: share * unit)
    return st.builds(
        lambda policy, share: {"fund": fund, "currency": FUNDS[fund], "share": share, **policy}, policies, shares
    )


@lru_cache
def _gestures(unit: int) -> st.SearchStrategy[Gesture]:
    """Any one gesture; what moves money is drawn oftener."""
    kinds = kinds_of_data(unit)
    often = ["case.submitted", "case.submitted", "case.vouched", "pledge.made", "pledge.made", "payment.received"]
    return st.sampled_from([*kinds, *often]).flatmap(
        lambda kind: st.builds(Gesture, jumps, st.just(kind), kinds[kind], offs)
    )


@lru_cache
def kinds_of_data(unit: int) -> dict[str, st.SearchStrategy[dict[str, Any]]]:
    """For each type of command what may be said with it, and for what can't be read, its type or none."""
    amounts = st.one_of(st.integers(1, 12), st.integers(1, 60), st.sampled_from([9, 10, 11, 20, 30, 200])).flatmap(
        lambda n: st.sampled_from([n * unit, n * unit, n * unit, n * unit + 1, max(1, n * unit - 1)])
    )
    of_case = {"fund": funds, "case": st.sampled_from(CASES)}
    of_pledge = {"fund": funds, "pledge": st.sampled_from(PARTS)}
    numbers = st.integers(1, 40)
    marks = st.sampled_from(["~" + letter * 26 for letter in "ab"])
    payments = {**of_pledge, "payment": numbers.map("m-{}".format)}
    return {
        "case.submitted": st.fixed_dictionaries(
            {
                **of_case,
                "beneficiary": st.sampled_from(["b-1", "b-2", "b-3"]),
                "need": st.sampled_from(NEEDS),
                "route": st.sampled_from(["clinic", "home"]),
                "goal": amounts,
                "priority": st.sampled_from(CLASSES),
            },
            optional={
                "own_contribution": amounts,
                "needed_by": hours,
                "recurrence": recurrences,
                "mark": marks,
                "access_box": st.sampled_from(["A" * 160, "B" * 160]),
            },
        ),
        "case.vouched": st.fixed_dictionaries(
            {**of_case, "voucher": st.sampled_from(["v-1", "v-2"])}, optional={"mark": marks}
        ),
        "case.amended": st.fixed_dictionaries(
            of_case, optional={"goal": amounts, "priority": st.sampled_from(CLASSES), "needed_by": hours}
        ),
        "case.delivered": st.fixed_dictionaries({**of_case, "delivery": numbers.map("d-{}".format), "amount": amounts}),
        "case.thanked": st.fixed_dictionaries(
            {**of_case, "thanks": st.sampled_from(["thank-you", "~abcdefghijklmnopqrstuvwxyz"])}
        ),
        "case.closed": st.fixed_dictionaries(of_case, optional={"outcome": st.sampled_from(OUTCOMES)}),
        "pledge.made": st.fixed_dictionaries(
            {
                "fund": funds,
                "pledge": st.sampled_from(PLEDGES),
                "donor": st.sampled_from(["d-1", "d-2"]),
                "amount": amounts,
                "currency": st.sampled_from(["CNY", "CNY", "CNY", "JPY", *FOREIGN]),
            },
            optional={
                "designation": st.one_of(
                    st.fixed_dictionaries({"case": st.sampled_from(CASES)}),
                    st.fixed_dictionaries({"need": st.sampled_from(NEEDS)}),
                ),
                "fallback": st.sampled_from(["pool", "hold", "release"]),
                "expires_at": hours,
                "recurrence": recurrences,
            },
        ),
        "pledge.withdrawn": st.fixed_dictionaries(of_pledge),
        "payment.received": st.fixed_dictionaries({**payments, "amount": amounts}),
        "payment.failed": st.fixed_dictionaries({**payments, "reason": st.just("no-funds")}),
        "payment.refunded": st.fixed_dictionaries({**payments, "amount": amounts}),
        "rate.quoted": st.fixed_dictionaries(
            {"fund": funds, "currency": st.sampled_from([*FOREIGN, "CNY", "JPY"]), "rate": st.sampled_from(RATES)}
        ),
        "fund.configured": st.sampled_from(list(FUNDS)).flatmap(lambda fund: _configured(fund, unit)),
        "clock.ticked": st.just({}),
        UNREADABLE: st.sampled_from([{}, {"type": "pumasi.clock.ticked"}]),
    }

"""The plain pledge: by far the commonest command, in one function.

A pledge is plain if it is new, in the fund's currency, for whoever is next, and without an end or a recurrence. What happens to it is
what `decide.pledge` and `turn` make of any pledge, only without the detours: the same facts, the same state. That they are the same
is held by a property (every log, decided with and without this short cut) and by the oracle.
"""

from __future__ import annotations

from schemas.commands import PledgeMade
from schemas.values import CLASSES
from services.matcher.conservation import ConservationBreach
from services.matcher.entities import Award, FactDict, Pledge
from services.matcher.state import Fund


def accept_plain(fund: Fund, data: PledgeMade) -> list[FactDict] | None:
    """Accept and match a plain pledge.

    Returns:
        All its facts; None, with nothing done, if the pledge is not plain, the pool's book has to be built first, or the fund's rule
        has stages to tell of.

    Raises:
        ConservationBreach: if money would be over-allocated; the engine must then be thrown away.
    """
    said, pool = data.__dict__, fund.pool  # the model's own: read by name, an attribute takes twice as long
    name, amount, currency = said["pledge"], said["amount"], said["currency"]
    if (
        said["designation"] is not None
        or said["expires_at"] is not None
        or said["recurrence"] is not None
        or said["fallback"] != "pool"
        or currency != fund.policy.currency
        or name in fund.pledges
        or pool is None
        or pool.stages
    ):
        return None
    accepted: FactDict = {
        "fact": "pledge_accepted",
        "pledge": name,
        "donor": said["donor"],
        "amount": amount,
        "face": amount,
        "currency": currency,
        "rate": "1",
    }
    pledge = fund.pledges[name] = Pledge(accepted, fund.pledges_made, 0)
    fund.pledges_made += 1
    fund.changed.add(pledge)
    facts = [accepted]
    shares = pool.share_out(amount)
    if shares:
        if fund.needs:
            fund.follow(shares, pool)
        amount -= _award(fund, pledge, shares, facts)
        if amount < 0:
            raise ConservationBreach(f"pledge {name}: {-amount} more awarded than promised")
        pledge.waiting = amount
    if amount:
        facts.append({"fact": "waiting", "pledge": name, "amount": amount})
        fund.lanes.wait(pledge)
    return facts


def _award(fund: Fund, pledge: Pledge, shares: list, facts: list[FactDict]) -> int:
    """Make and tell the awards of a new pledge, whose money the rule has just moved; returns their sum."""
    name, order, given, awards = pledge.id, fund.awards_made, 0, []
    changed = fund.changed.add
    for number, (key, case, amount, before, claim, rank) in enumerate(shares, 1):
        award = Award(number, order, pledge, case, amount)
        case.awards.append(award)
        changed(case)
        awards.append(award)
        order += 1
        given += amount
        facts.append(
            {
                "fact": "awarded",
                "award": f"{name}/{number}",
                "pledge": name,
                "case": case.id,
                "amount": amount,
                "why": {"class": CLASSES[rank], "key": key, "before": before, "after": before + amount, "claim": claim},
            }
        )
        if case.awarded >= case.claim:
            if case.awarded > case.claim:
                raise ConservationBreach(f"case {case.id}: awarded {case.awarded} > claim {case.claim}")
            facts.append({"fact": "case_funded", "case": case.id, "claim": case.claim})
    fund.awards_made = order
    pledge.awards, pledge.awards_made, pledge.awarded = awards, len(awards), given
    return given

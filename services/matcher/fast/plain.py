"""The plain pledge: by far the commonest command, decided without detours.

A pledge is plain if it is new, in the fund's currency, for whoever is next, and without an end or a recurrence. To it happens what
`engine.commands.pledge` and `transition` make of any pledge: the same facts, the same state. `accept` does it, `facts_of` gives its
facts. That both ways lead to the same is held by properties (every log is
decided with this short cut and without, and in the express lane) and by the oracle.
"""

from __future__ import annotations

from schemas.values import CLASSES
from services.matcher.engine.fund import Fund
from services.matcher.model.breach import ConservationBreach
from services.matcher.model.entities import FactDict, Pledge
from services.matcher.rules.protocol import Share


def accept(fund: Fund, pledge: Pledge, name: str, donor: str, amount: int, currency: str) -> list[Share] | None:
    """Accept a pledge without terms, and match it.

    Args:
        fund: where it is made.
        pledge: blank, to become the pledge.
        name, donor, amount, currency: what was said.

    Returns:
        What it gives to whom, one share a case; None, with nothing done, if it is not new or in another currency, if the pool's book
        has to be built first, or if the fund's rule has stages to tell of.

    Raises:
        ConservationBreach: if money would be over-allocated; the engine must then be thrown away.
    """
    pool = fund.pool
    pledges = fund.pledges
    if currency != fund.policy.currency or pool is None or pool.stages:
        return None
    if pledges.setdefault(name, pledge) is not pledge:
        return None
    pledge.begin(name, fund.pledges_made, donor, amount, currency, "1", amount)
    fund.pledges_made += 1
    changed = fund.changed
    changed.add(pledge)
    shares: list[Share] = pool.share_out(amount)  # type: ignore[assignment]  # for it has no stages
    if shares:
        if fund.needs:
            fund.follow(shares, pool)
        fresh, number, given = fund.fresh, 0, 0
        for _key, case, part, _before, _claim, _rank in shares:
            number += 1
            given += part
            case.take(fresh, fresh.add(pledge, case, part, case.last_row))
            changed.add(case)
            if case.awarded > case.claim:
                raise ConservationBreach(f"case {case.id}: awarded {case.awarded} > claim {case.claim}")
        pledge.begin_fresh(fresh, number, fund.awards_made)
        pledge.awarded = given
        fund.awards_made += number
        amount -= given
        if amount < 0:
            raise ConservationBreach(f"pledge {name}: {-amount} more awarded than promised")
        pledge.waiting = amount
    if amount:
        fund.queues.wait(pledge)
    return shares


def facts_of(pledge: Pledge, shares: list[Share]) -> list[FactDict]:
    """The facts of a pledge that was just accepted. A case is told as funded by the state it is in now."""
    name, amount = pledge.id, pledge.amount
    facts: list[FactDict] = [
        {
            "fact": "pledge_accepted",
            "pledge": name,
            "donor": pledge.donor,
            "amount": amount,
            "face": amount,
            "currency": pledge.currency,
            "rate": "1",
        }
    ]
    for number, (key, case, part, before, claim, rank) in enumerate(shares, 1):
        facts.append(
            {
                "fact": "awarded",
                "award": f"{name}/{number}",
                "pledge": name,
                "case": case.id,
                "amount": part,
                "why": {"class": CLASSES[rank], "key": key, "before": before, "after": before + part, "claim": claim},
            }
        )
        if case.awarded >= case.claim:
            facts.append({"fact": "case_funded", "case": case.id, "claim": case.claim})
    if pledge.waiting:
        facts.append({"fact": "waiting", "pledge": name, "amount": pledge.waiting})
    return facts


"""Who gives: the pledges of one fund, drawn whole before anything is decided.

Some give steadily, some after an appeal for a case; whoever gives tells others, who give too (`arrivals`). How much is given
follows from what is asked: `generosity` of it on average, split between appeals and steady givers. No pledge depends on what a
policy decides.
"""

from collections.abc import Iterable, Iterator
from math import exp
from random import Random
from typing import Any

from schemas.currencies import DIGITS
from schemas.times import DAY, parse, text_of
from services.policies.season.arrivals import Step, after, daily, echoes
from services.policies.season.draws import exponential, lognormal, spoken, stream
from services.policies.season.needs import PlannedCase
from services.policies.season.parameters import CURRENCY, FOREIGN, NEEDS, Season

_LEAST = 10
"""The smallest pledge anybody names, in the fund's major units."""
_NAMED_CASE = 0.5


def pledges_of(season: Season, fund: str, cases: list[PlannedCase]) -> Iterator[Step]:
    """The pledges of a fund, by time, each with its withdrawal if it comes to that."""
    times = sorted(_times(season, fund, cases), key=lambda time: (time[0], time[1] or ""))
    needs = {case.id: case.data["need"] for case in cases}
    for number, (at, case) in enumerate(times, 1):
        yield from _pledge(season, fund, number, at, case, needs)


def _times(season: Season, fund: str, cases: list[PlannedCase]) -> Iterable[tuple[int, str | None]]:
    """When a pledge comes, and for which case's appeal, if it was one."""
    start = parse(season.start)
    end = start + season.days * DAY
    r = stream(season.seed, fund, "pledges")
    generosity = season.generosity
    if season.funds > 1:
        generosity *= lognormal(r, 1.0, season.uneven_funds)
    mean = season.pledge_median * exp(season.pledge_sigma**2 / 2) / (1 - season.echo)  # with all it brings
    asked = sum(case.claim for case in cases)
    steady = (1 - season.appeals) * generosity * asked / mean / season.days
    sources: list[tuple[int, str | None]] = [
        (at, None) for at in daily(r, start, end, steady, season.rhythm, season.peak_hour)
    ]
    heard = sum(min(case.claim, season.appeal_cap) for case in cases if case.vouchers)
    a_unit = season.appeals * generosity * asked / mean / heard if heard else 0.0
    for case in cases:
        if case.vouchers:
            drawn, number = stream(season.seed, fund, "appeal", case.id), a_unit * min(case.claim, season.appeal_cap)
            told = after(drawn, case.vouchers[0][0], number, season.appeal_hours, season.rhythm, season.peak_hour)
            sources += ((at, case.id) for at in told)
    for number, (at, case_id) in enumerate(sources):
        brought = echoes(stream(season.seed, fund, "echo", number), at, season.echo, season.echo_hours)
        yield from ((time, case_id) for time in (at, *brought) if time < end)


def _pledge(season: Season, fund: str, number: int, at: int, case: str | None, needs: dict[str, str]) -> Iterator[Step]:
    r = stream(season.seed, fund, "pledge", number)
    currency, amount = _amount(season, r)
    data: dict[str, Any] = {
        "fund": fund,
        "pledge": f"p-{number}",
        "donor": f"d-{int(number * r.random() ** 0.3) + 1}",
        "amount": amount,
        "currency": currency,
    }
    if r.random() < season.designated:
        data |= _designation(season, r, case, needs)
    if r.random() < season.recurring_pledges:
        data["recurrence"] = {"every": "P1M"}
    elif r.random() < season.expiring:
        data["expires_at"] = text_of(at + DAY + int(exponential(r, (season.expiry_days - 1) * DAY)))
    yield Step(at, "pumasi.pledge.made", data)
    if r.random() < season.taken_back:
        back = at + int(exponential(r, season.taken_back_days * DAY))
        yield Step(back, "pumasi.pledge.withdrawn", {"fund": fund, "pledge": data["pledge"]})


def _amount(season: Season, r: Random) -> tuple[str, int]:
    """Currency and minor units: a sum that somebody would name in their own currency."""
    worth = lognormal(r, season.pledge_median, season.pledge_sigma) / 10 ** DIGITS[CURRENCY]
    drawn = r.random()
    for currency, foreign in FOREIGN.items():
        if drawn < foreign.part:
            face = spoken(worth / foreign.rate, max(1, round(_LEAST / foreign.rate)))
            return currency, face * 10 ** DIGITS[currency]
        drawn -= foreign.part
    return CURRENCY, spoken(worth, _LEAST) * 10 ** DIGITS[CURRENCY]


def _designation(season: Season, r: Random, case: str | None, needs: dict[str, str]) -> dict[str, Any]:
    kinds = list(NEEDS)
    need = r.choices(kinds, [NEEDS[kind].weight for kind in kinds])[0]
    named = case is not None and r.random() < _NAMED_CASE
    told: dict[str, Any] = {"designation": {"case": case} if named else {"need": needs[case] if case else need}}
    drawn = r.random()
    if drawn < season.hold:
        told["fallback"] = "hold"
    elif drawn < season.hold + season.release:
        told["fallback"] = "release"
    return told

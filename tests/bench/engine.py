"""How fast is the engine alone, and how much does it remember? No broker, no bytes: decided commands in one process.

Each row is a fresh process with so many open cases (heavy-tailed goals, four classes, one beneficiary each, share CNY 100). Pledges
are made in small bunches and timed by the processor's clock while they are decided, as they are in the matcher: just parsed, and
their facts let go of. The machine's speed drifts, so workloads take turns within a row, and the figure is the median over turns.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from statistics import median
from typing import Any, NamedTuple

import psutil
from msgspec.json import encode
from msgspec.structs import replace

from schemas.commands import CaseClosed, CaseSubmitted, CaseVouched, Command, FundConfigured, PledgeMade, read_data
from schemas.values import Model
from services.matcher.engine.engine import Engine

SIZES = (100, 1_000, 10_000, 100_000, 1_000_000)
SHARE = 10_000
_BUNCH, _TURNS, _TURN = 200, 10, 4_000
_TELLING = 10_000
_PRIORITIES = ("routine", "urgent", "asap", "stat")
_FAR = datetime(2126, 1, 1, tzinfo=UTC)


class Row(NamedTuple):
    """What was measured with so many open cases.

    Attributes:
        cases: open cases.
        plain: pledges a second of at most half a share, mostly one award each.
        lognormal: pledges a second of lognormal amounts around CNY 100.
        awards: awards a pledge, of the latter.
        designated: pledges a second to one case each.
        bytes_a_case, bytes_a_pledge: resident memory of an open case, and of a pledge with its awards; the former None where there
            are too few cases to tell them from noise.
    """

    cases: int
    plain: int
    lognormal: int
    awards: float
    designated: int
    bytes_a_case: int | None
    bytes_a_pledge: int


def scale(sizes: Sequence[int], seed: int) -> Iterator[Row]:
    """The table from few open cases to many, row by row.

    Args:
        sizes: open cases of each row.
        seed: of the goals and amounts.
    """
    for size in sizes:
        yield _alone(_row, size, seed)


def ceiling(name: str, seed: int) -> float:
    """What must not cost: one of `CEILINGS`.

    Returns:
        `leap_equal_ms`, `leap_claim_ms`: milliseconds for CNY 10,000,000 at share 1 over 1,000 cases, the median of five funds;
        `timers`, `history`: rate of plain pledges with a million pending expiries, and after a million pledges and 100,000 closed
        cases, as a part of the rate without.
    """
    return _alone(*CEILINGS[name], seed)


def _alone(measure: Callable[..., Any], *given: Any) -> Any:
    """Measure in a process of its own, so that nothing before it is in the way."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, *given).result()


class _Fund:
    """An engine with one fund, and a source of commands for it."""

    def __init__(self, seed: int, share: int = SHARE, weights: str = "equal") -> None:
        gc.set_threshold(200_000, 20, 100)  # as the matcher does
        self.random = random.Random(seed)
        self.engine = Engine()
        self.made = 0
        self.say("fund.configured", FundConfigured, currency="CNY", share=share, weights=weights)

    def command(self, kind: str, model: type[Model], **data: Any) -> Command:
        return Command(f"pumasi.{kind}", "e", 1, read_data(f"pumasi.{kind}", encode({"fund": "f", **data})), 0)

    def say(self, kind: str, model: type[Model], **data: Any) -> None:
        self.engine.execute(self.command(kind, model, **data))

    def open(self, cases: int, goal: Callable[[], int] | None = None) -> None:
        scale = max(300_000, 3_000_000_000 // cases)  # so much is asked for that no pledge has to wait
        goal = goal or (lambda: min(int(self.random.paretovariate(1.3) * scale), 10**12))
        for number in range(cases):
            case = {"case": f"c-{number}", "beneficiary": f"b-{number}", "need": "test", "route": "clinic"}
            priority = self.random.choice(_PRIORITIES)
            self.say("case.submitted", CaseSubmitted, **case, goal=goal(), priority=priority)
            self.say("case.vouched", CaseVouched, case=f"c-{number}", voucher=f"v-{number}")

    def pledges(self, count: int, amount: Callable[[], int], **more: Any) -> Iterator[Command]:
        for _ in range(count):
            self.made += 1
            yield self.command(
                "pledge.made", PledgeMade, pledge=f"p-{self.made}", donor=f"d-{self.made}", amount=amount(),
                currency="CNY", **{name: value() for name, value in more.items()},
            )  # fmt: skip

    def small(self) -> int:
        return self.random.randint(1, SHARE // 2)

    def lognormal(self) -> int:
        return max(1, int(self.random.lognormvariate(9.2, 1)))

    def turn(self, amount: Callable[[], int], **more: Any) -> tuple[float, float]:
        """Seconds of processor time a pledge, and awards a pledge, over one turn."""
        seconds, awards = 0.0, 0
        decide = self.engine.decide  # as the matcher does
        for _ in range(_TURN // _BUNCH):
            bunch = list(self.pledges(_BUNCH, amount, **more))
            began = time.process_time()
            for command in bunch:
                awards += len(decide(command)[2]) - 1
            seconds += time.process_time() - began
        return seconds / _TURN, awards / _TURN


def _row(cases: int, seed: int) -> Row:
    fund = _Fund(seed)
    empty = _resident()
    fund.open(cases)
    full = _resident()
    gc.freeze()
    fund.turn(fund.small)  # the first pledge finds a cold cache
    turns: dict[str, list[float]] = {"plain": [], "lognormal": [], "designated": []}
    awards: list[float] = []
    before, made = _resident(), fund.made
    for _ in range(_TURNS):
        turns["plain"].append(fund.turn(fund.small)[0])
        seconds, given = fund.turn(fund.lognormal)
        turns["lognormal"].append(seconds)
        awards.append(given)
        to_one = {"designation": lambda: {"case": f"c-{fund.random.randrange(cases)}"}}
        turns["designated"].append(fund.turn(fund.small, **to_one)[0])
    remembered = (_resident() - before) / (fund.made - made)
    rate = {name: round(1 / median(seconds)) for name, seconds in turns.items()}
    a_case = round((full - empty) / cases) if cases >= _TELLING else None
    return Row(
        cases, rate["plain"], rate["lognormal"], round(median(awards), 2), rate["designated"], a_case, round(remembered)
    )


def _leap(weights: str, seed: int) -> float:
    """Milliseconds for CNY 10,000,000 at share 1 over 1,000 cases; the median of five funds."""
    seconds = []
    for again in range(5):
        fund = _Fund(seed + again, share=1, weights=weights)
        goals = fund.random
        fund.open(1_000, lambda goals=goals: goals.randint(500_000, 5_000_000))
        [pledge] = fund.pledges(1, lambda: 1_000_000_000)
        began = time.process_time()
        fund.engine.execute(pledge)
        seconds.append(time.process_time() - began)
    return round(median(seconds) * 1000, 1)


def _with_timers(timers: int, seed: int) -> float:
    """Rate with so many pledges that will expire one day, as a part of the rate with none."""
    plain, timed = _Fund(seed), _Fund(seed)
    for fund in (plain, timed):
        fund.open(10_000)
    # In a currency without a rate, so that they only wait for their end.
    for pledge in timed.pledges(timers, timed.small, expires_at=lambda: _FAR):
        foreign = replace(pledge.data, currency="USD")
        timed.engine.execute(Command(pledge.type, pledge.id, pledge.time, foreign, pledge.offset))
    return _ratio(timed, plain)


def _with_history(pledges: int, seed: int) -> float:
    """Rate after so many pledges and a tenth as many closed cases, as a part of the rate of a young fund."""
    plain, old = _Fund(seed), _Fund(seed)
    old.open(pledges // 10)
    for pledge in old.pledges(pledges, old.small):
        old.engine.execute(pledge)
    for number in range(pledges // 10):
        old.say("case.closed", CaseClosed, case=f"c-{number}", outcome="withdrawn")
    for case in range(10_000):
        more = {"case": f"n-{case}", "beneficiary": f"b-{case}", "need": "test", "route": "clinic", "goal": 10**9}
        for fund in (plain, old):
            fund.say("case.submitted", CaseSubmitted, **more, priority="urgent")
            fund.say("case.vouched", CaseVouched, case=f"n-{case}", voucher="v")
    return _ratio(old, plain)


def _ratio(one: _Fund, other: _Fund) -> float:
    gc.freeze()
    pairs = []
    for _ in range(_TURNS):
        slow, _awards = one.turn(one.small)
        fast, _awards = other.turn(other.small)
        pairs.append(fast / slow)
    return round(median(pairs), 2)


def _resident() -> int:
    gc.collect()
    return psutil.Process().memory_info().rss


CEILINGS: dict[str, tuple[Callable[..., float], object]] = {
    "leap_equal_ms": (_leap, "equal"),
    "leap_claim_ms": (_leap, "claim"),
    "timers": (_with_timers, 1_000_000),
    "history": (_with_history, 1_000_000),
}
"""Name → how it is measured, and with what."""

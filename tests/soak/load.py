"""The load: what people and partners submit in a soak, event after event. A pure function of the seed.

Some funds lie in every partition. Cases open, are vouched for, change, are delivered and close; pledges come in the fund's
currency and in others, for anybody or somebody, once or again and again, some with a time after which they lapse; payments
come, fail, and are given back. What refers to something refers to what was said before, mostly; now and then it misses, and is
refused. Some events come twice, some twice with other data, and some are no events at all.

Nothing here knows what the ledger says: who sends does not wait for answers. Story time runs faster than the clock, so that
months of renewals, instalments, ageing and expiry pass in minutes; it begins in 2031, ahead of any clock that intake may look
at.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Literal, NamedTuple, get_args

from schemas.values import PHRASES, Rule
from services.bus.partition import partition_of
from tests.soak.check.sentfile import ID_KEY, SENDER
from tests.soak.poison import COMMANDS_POISON, SUBMISSIONS_POISON

START = datetime(2031, 1, 1, tzinfo=UTC)
STORY_DAYS = 90
"""Days of story time in a soak, however long it takes."""
FUNDS_A_PARTITION = 3
PLEDGES = 0.58
"""The part of all events that are pledges."""
LATE_CURRENCY = "EUR"
"""Of one fund many pledges come in this currency, and its rate only near the end: an answer too large for one entry."""

Door = Literal["http", "topic"]
As = Literal["first", "repeat", "conflict", "poison"]
_RECENT = 300
_CASES_OPEN_MAX = 60
_CURRENCIES = ("CNY", "CNY", "CNY", "KRW", "BHD")
_FOREIGN = {"USD": "7.1", "KRW": "0.0052", "KWD": "23.456789", "JPY": "0.048"}
_CLASSES = ("routine", "urgent", "asap", "stat")
_NEEDS = ("treatment", "admission", "medication", "surgery", "test", "vaccine")
_ROUTES = ("charity-hospital", "general-hospital", "clinic", "pharmacy", "go-between", "home")
_RULES = (*get_args(Rule)[:1] * 2, *get_args(Rule))  # the first, with the fast path, most often
_WHAT = {
    "pledge.made": 100 * PLEDGES, "payment.received": 13, "case.submitted": 4, "case.vouched": 1.0, "case.amended": 1.8,
    "case.delivered": 4, "case.thanked": 0.6, "case.closed": 1.2, "payment.failed": 1.2, "payment.refunded": 1.2,
    "pledge.withdrawn": 1.6, "rate.quoted": 0.8, "fund.configured": 0.2, "repeat": 5, "conflict": 1,
    "poison": 1.4,
}  # fmt: skip


class Event(NamedTuple):
    """One thing to be sent.

    Attributes:
        number: from 0, in order.
        due_s: seconds after the load began at which it is due.
        sender: who sends it; events of one sender go out in order.
        door: through which.
        sent_as: for the first time, again, again with other data, or as poison.
        source, id, type: the CloudEvent's. Of poison, `type` names the kind, and `id` tells the record.
        time: the CloudEvent's, RFC 3339; None leaves it out.
        data: the CloudEvent's; of poison what the kind needs.

    """

    number: int
    due_s: float
    sender: int
    door: Door
    sent_as: As
    source: str
    id: str
    type: str
    time: str | None
    data: dict[str, Any]


@dataclass
class _Fund:
    """What the load remembers of a fund: enough to speak of what there is."""

    name: str
    sender: int
    currency: str
    policy: dict[str, Any]
    cases: list[str] = field(default_factory=list)
    unvouched: list[str] = field(default_factory=list)
    pledges: deque[tuple[str, int, str]] = field(default_factory=lambda: deque(maxlen=_RECENT))
    serial: int = 0


class Load:
    """The events of a soak.

    Args:
        seed: decides all.
        rate: events a second.
        length_s: for how many seconds.
        partitions: of the commands topic; every one gets funds.
        senders: how many send side by side. The last of them goes through the topic, the others through HTTP.

    """

    def __init__(self, seed: int, rate: float, length_s: float, partitions: int, senders: int) -> None:
        self.seed, self.rate, self.length_s, self.partitions, self.senders = seed, rate, length_s, partitions, senders
        self._draw = Random(f"{seed}/load")  # a load, not a secret
        self._speed = STORY_DAYS * 86_400 / length_s
        self._funds = [self._fund(number, name) for number, name in enumerate(_funds(partitions))]
        self._said: list[deque[Event]] = [deque(maxlen=4000) for _ in range(senders)]
        self._number = 0

    @property
    def tick_seconds(self) -> int:
        """Seconds of story time between two ticks: some three seconds of the clock, but at most the day that the setting allows."""
        return min(86_400, int(3 * self._speed))

    def opening(self) -> list[Event]:
        """What must be there before anything else: the funds, their first rates, a few cases."""
        events = []
        for fund in self._funds:
            events.append(self._first(fund, 0.0, "fund.configured", {"currency": fund.currency, **fund.policy}))
            for currency, rate in _FOREIGN.items():
                if currency != fund.currency:
                    events.append(self._first(fund, 0.0, "rate.quoted", {"currency": currency, "rate": rate}))
            events += [self._event(fund, 0.0, "case.submitted") for _ in range(4)]
        return events

    def events(self, goes_on: Callable[[], bool] = lambda: False) -> Iterator[Event]:
        """Everything after the opening, in order of its time; beyond the length, more of it for as long as `goes_on` says so."""
        kinds, weights = list(_WHAT), list(_WHAT.values())
        count = int(self.rate * self.length_s)
        late = self._funds[0]
        for number in itertools.count():
            if number >= count and not goes_on():
                return
            due = number / self.rate
            fund = self._draw.choice(self._funds)
            if number == int(count * 0.85):
                yield self._first(late, due, "rate.quoted", {"currency": LATE_CURRENCY, "rate": "7.7"})
            kind = self._draw.choices(kinds, weights)[0]
            if kind == "poison":
                yield self._poison(due)
            elif kind in ("repeat", "conflict"):
                yield self._again(fund, due, kind) or self._event(fund, due, "pledge.made")
            else:
                yield self._event(fund, due, kind)

    # ---- events

    def _event(self, fund: _Fund, due: float, kind: str) -> Event:
        make = getattr(self, f"_{kind.replace('.', '_')}")
        return self._first(fund, due, kind, make(fund, due))

    def _first(self, fund: _Fund, due: float, kind: str, data: dict[str, Any]) -> Event:
        door = self._door(fund)
        number = self._number
        self._number += 1
        event = Event(
            number, due, fund.sender, door, "first", f"/soak/{door}", f"e-{self.seed}.n{number}", f"pumasi.{kind}",
            None if self._draw.random() < 0.03 else self._at(due), {"fund": fund.name, **data},
        )  # fmt: skip
        self._note(fund, event)
        self._said[fund.sender].append(event)
        return event

    def _door(self, fund: _Fund) -> Door:
        return "topic" if fund.sender == self.senders - 1 else "http"

    def _note(self, fund: _Fund, event: Event) -> None:
        """Remember under which id what was said will be known, also where intake derives it."""
        name = {"pumasi.case.submitted": "case", "pumasi.pledge.made": "pledge"}.get(event.type)
        if name is None:
            return
        made = event.data.get(name) or derived_id(f"{name[0]}-", event.source, event.id)
        if name == "pledge":
            fund.pledges.append((made, event.data["amount"], event.data["currency"]))
            return
        fund.cases.append(made)
        fund.unvouched.append(made)

    def _again(self, fund: _Fund, due: float, kind: str) -> Event | None:
        """Something its sender said before; None if there was nothing yet."""
        said = self._said[fund.sender]
        if not said:
            return None
        former = self._draw.choice(said)
        number = self._number
        self._number += 1
        data, door = former.data, former.door
        if kind == "conflict":
            changed = next((name for name in ("amount", "goal") if name in data), None)
            if changed is None or "contact" in data:
                return former._replace(number=number, due_s=due, sent_as="repeat")
            data = {**data, changed: data[changed] + 1}
        elif "contact" not in data and self._draw.random() < 0.3:  # by the other door, whose keeper may not know it
            door = "topic" if door == "http" else "http"
        return former._replace(number=number, due_s=due, sent_as=kind, door=door, data=data)

    def _poison(self, due: float) -> Event:
        number = self._number
        self._number += 1
        fund = self._draw.choice(self._funds)
        on_commands = self._draw.random() < 0.5
        kinds = COMMANDS_POISON if on_commands else SUBMISSIONS_POISON
        kind = self._draw.choice(list(kinds))
        if kinds[kind].large and self._draw.random() < 0.9:
            kind = next(iter(kinds))
        topic = "commands" if on_commands else "submissions"
        data = {"topic": topic, "fund": fund.name, "partition": partition_of(fund.name, self.partitions)}
        if kind == "wrong partition":
            data["partition"] = (data["partition"] + 1) % self.partitions
        return Event(number, due, self.senders - 1, "topic", "poison", "/soak/poison", f"x-{self.seed}-{number}", kind,
                     None, data)  # fmt: skip

    def _at(self, due: float, days: float = 0.0) -> str:
        moment = START + timedelta(seconds=due * self._speed, days=days)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _id(self, fund: _Fund, letter: str) -> str:
        fund.serial += 1
        return f"{letter}-{fund.name}-{fund.serial}"

    def _own(self, fund: _Fund, name: str, letter: str) -> dict[str, str]:
        """An id of the sender's own; now and then it is left to intake. A payment's is a bank's, and may hold a number."""
        before = "wx-13800138000-" if name == "payment" and fund.serial % 2 else ""
        return {} if self._draw.random() < 0.05 else {name: before + self._id(fund, letter)}

    def _fund(self, number: int, name: str) -> _Fund:
        draw = self._draw
        policy = {
            "rule": _RULES[number % len(_RULES)], "share": draw.choice([1000, 10_000, 25_000]),
            "weights": draw.choice(["equal", "claim"]), "ageing_days": draw.choice([0, 3, 7, 7]),
            "deadline_hours": 72, "vouchers_required": draw.choice([0, 0, 1]),
        }  # fmt: skip
        sender = (number + number // self.partitions) % self.senders  # no sender has all funds of a partition
        return _Fund(name, sender, _CURRENCIES[number % len(_CURRENCIES)], policy)

    # ---- what each kind says

    def _fund_configured(self, fund: _Fund, _due: float) -> dict[str, Any]:
        fund.policy = {**fund.policy, "share": self._draw.choice([1000, 10_000, 25_000])}
        return {"currency": fund.currency, **fund.policy}

    def _case_submitted(self, fund: _Fund, due: float) -> dict[str, Any]:
        draw = self._draw
        goal = int(min(draw.paretovariate(1.3), 100) * 60_000)
        data: dict[str, Any] = {
            **self._own(fund, "case", "c"), "beneficiary": f"b-{draw.randint(1, 400)}", "need": draw.choice(_NEEDS),
            "route": draw.choice(_ROUTES), "goal": goal, "priority": draw.choices(_CLASSES, [4, 3, 2, 1])[0],
        }  # fmt: skip
        if draw.random() < 0.1:
            data["own_contribution"] = goal // draw.choice([2, 3, 10])
        if draw.random() < 0.15:
            data["needed_by"] = self._at(due, draw.uniform(1, 30))
        if draw.random() < 0.04:
            data["recurrence"] = {"every": draw.choice(["P1W", "P1M"]), "times": draw.randint(2, 4)}
        if draw.random() < 0.2:
            data["access"] = {"province": draw.choice(["CN-JL", "CN-HL", "CN-LN"]), "status": "unregistered"}
        return self._with_contact(fund, "beneficiary", data)

    def _with_contact(self, fund: _Fund, person: str, data: dict[str, Any]) -> dict[str, Any]:
        """Sometimes a contact in place of the pseudonym, over HTTP only; the address is what must be seen on no topic."""
        if self._door(fund) == "http" and self._draw.random() < 0.04:
            number = self._draw.randint(1, 300)
            del data[person]
            data["contact"] = {"address": f"mailto:leak-marker-{number}@example.org", "language": "ko"}
        return data

    def _case_vouched(self, fund: _Fund, _due: float) -> dict[str, Any]:
        case = fund.unvouched.pop(0) if fund.unvouched else self._case(fund)
        return {"case": case, "voucher": f"v-{self._draw.randint(1, 50)}"}

    def _case(self, fund: _Fund) -> str:
        """Mostly one that is there."""
        return "c-nobody" if not fund.cases or self._draw.random() < 0.01 else self._draw.choice(fund.cases)

    def _case_amended(self, fund: _Fund, due: float) -> dict[str, Any]:
        draw = self._draw
        data: dict[str, Any] = {"case": self._case(fund)}
        if draw.random() < 0.7:
            data["goal"] = int(min(draw.paretovariate(1.3), 100) * 60_000)
        if draw.random() < 0.3 or len(data) == 1:
            data["priority"] = draw.choice(_CLASSES)
        if draw.random() < 0.2:
            data["needed_by"] = self._at(due, draw.uniform(1, 30))
        return data

    def _case_delivered(self, fund: _Fund, _due: float) -> dict[str, Any]:
        return {**self._own(fund, "delivery", "d"), "case": self._case(fund), "amount": self._draw.randint(500, 15_000)}

    def _case_thanked(self, fund: _Fund, _due: float) -> dict[str, Any]:
        return {"case": self._case(fund), "thanks": self._draw.choice(PHRASES)}

    def _case_closed(self, fund: _Fund, _due: float) -> dict[str, Any]:
        """The oldest go first, so that the number of open cases stays bounded."""
        many = len(fund.cases) > _CASES_OPEN_MAX
        case = fund.cases.pop(0) if many else self._case(fund)
        return {"case": case, "outcome": self._draw.choice(["completed", "withdrawn", "deceased", "duplicate"])}

    def _pledge_made(self, fund: _Fund, due: float) -> dict[str, Any]:
        draw = self._draw
        currency = fund.currency
        if draw.random() < (0.5 if fund is self._funds[0] else 0.1):
            late = fund is self._funds[0] and draw.random() < 0.8
            currency = LATE_CURRENCY if late else draw.choice(list(_FOREIGN))
        data: dict[str, Any] = {
            **self._own(fund, "pledge", "p"), "donor": f"d-{draw.randint(1, 3000)}", "currency": currency,
            "amount": max(1, int(draw.lognormvariate(9.0, 0.9))),
        }  # fmt: skip
        if draw.random() < 0.1:
            designated = draw.random() < 0.5
            data["designation"] = {"case": self._case(fund)} if designated else {"need": draw.choice(_NEEDS)}
            data["fallback"] = draw.choice(["pool", "hold", "release"])
        if draw.random() < 0.1:
            data["expires_at"] = self._at(due, draw.uniform(0.5, 20))
        if draw.random() < 0.02:
            data["recurrence"] = {"every": draw.choice(["P3D", "P1W", "P1M"]), "times": draw.randint(2, 4)}
        return self._with_contact(fund, "donor", data)

    def _pledge(self, fund: _Fund) -> tuple[str, int]:
        """Mostly one of late, with its amount; now and then an instalment of it, or none that is known."""
        if not fund.pledges or self._draw.random() < 0.01:
            return "p-nobody", 1000
        pledge, amount, _ = self._draw.choice(fund.pledges)
        return (f"{pledge}#2" if self._draw.random() < 0.01 else pledge), amount

    def _pledge_withdrawn(self, fund: _Fund, _due: float) -> dict[str, Any]:
        return {"pledge": self._pledge(fund)[0]}

    def _payment_received(self, fund: _Fund, _due: float) -> dict[str, Any]:
        pledge, amount = self._pledge(fund)
        part = self._draw.choice([amount, amount, amount, (amount + 1) // 2, amount + 7])
        return {**self._own(fund, "payment", "y"), "pledge": pledge, "amount": part}

    def _payment_failed(self, fund: _Fund, _due: float) -> dict[str, Any]:
        return {**self._own(fund, "payment", "y"), "pledge": self._pledge(fund)[0], "reason": "no-funds"}

    def _payment_refunded(self, fund: _Fund, _due: float) -> dict[str, Any]:
        pledge, amount = self._pledge(fund)
        return {**self._own(fund, "payment", "y"), "pledge": pledge, "amount": max(1, amount // 2)}

    def _rate_quoted(self, fund: _Fund, _due: float) -> dict[str, Any]:
        currency = self._draw.choice([name for name in _FOREIGN if name != fund.currency])
        return {"currency": currency, "rate": f"{float(_FOREIGN[currency]) * self._draw.uniform(0.9, 1.1):.6f}"}


def _funds(partitions: int) -> list[str]:
    """Names of funds, so many for each partition, in an order that takes the partitions in turn."""
    found: dict[int, list[str]] = {partition: [] for partition in range(partitions)}
    number = 0
    while any(len(names) < FUNDS_A_PARTITION for names in found.values()):
        name = f"fund-{number}"
        names = found[partition_of(name, partitions)]
        if len(names) < FUNDS_A_PARTITION:
            names.append(name)
        number += 1
    return [names[index] for index in range(FUNDS_A_PARTITION) for names in found.values()]


def derived_id(prefix: str, source: str, event: str) -> str:
    """The id that intake derives; here from its own words, so that the load can speak of what it left out."""
    from services.intake.ids import Ids

    return Ids(ID_KEY).derived(prefix, SENDER, source, event)

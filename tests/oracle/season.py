"""Seasons: random command logs that a seed tells in full, made quickly enough for campaigns of many thousands.

A season is a list of *gestures*, and a gesture is a jump of the clock, a command's type, and its data. Times within the data
(`needed_by`, `expires_at`) are written as hours from the moment of the gesture, so that a gesture keeps its meaning when those
before it are dropped; `commands_of` turns gestures into commands. What makes a season worth running: ids come from small pools,
so commands hit what exists; amounts lie about the share's multiples; the clock moves in whole hours, days and months, so timers
fall due at one instant; and each season has a temper of its own (how many funds, which share, how scarce money is).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple, get_args

from schemas.commands import TICK, Command, Unreadable, read_data
from schemas.values import Rule

HOUR = 3600 * 10**6
DAY = 24 * HOUR
OFF = [0, 120 * 10**6, 120 * 10**6 + 1, 400 * DAY, 3650 * DAY]
"""How far a writer's wall clock is ahead, microseconds: not at all, as far as it may be, and further."""
START = datetime(2027, 1, 29, tzinfo=UTC)  # two days before a month's end: calendar periods have to clamp
UNREADABLE = "unreadable"

CLASSES = ["routine", "urgent", "asap", "stat"]
NEEDS = ["treatment", "medication", "test"]
RULES = list(get_args(Rule))
FOREIGN = ["USD", "KRW", "KWD", "CLF"]
"""Currencies of 2, 0, 3 and 4 digits, whatever the fund's own is."""
RATES = ["7.1", "7.10", "0.0052", "0.5", "23.456789", "1", "0.0000001"]
PERIODS = ["P1D", "P3D", "P1W", "P1M", "P2M", "P1Y"]
MARKS = ["~" + letter * 26 for letter in "ab"]
OUTCOMES = ["completed", "withdrawn", "deceased", "duplicate"]


class Gesture(NamedTuple):
    """A command before it has a time: `jump` in microseconds since the gesture before (or back).

    `off`: it is stamped by a wall clock that is so many microseconds ahead; None: by a clock that is trusted.
    """

    jump: int
    type: str
    data: dict[str, Any]
    off: int | None = None


def commands_of(gestures: list[Gesture]) -> list[Command | Unreadable]:
    """The commands, with times, ids and offsets."""
    time = int(START.timestamp()) * 10**6
    commands: list[Command | Unreadable] = []
    for offset, (jump, kind, data, off) in enumerate(gestures):
        time += jump
        if kind == UNREADABLE:
            commands.append(Unreadable("not JSON at byte 0", data.get("type"), offset))
            continue
        told = {
            name: _text(time + value * HOUR) if name in ("needed_by", "expires_at") else value
            for name, value in data.items()
        }
        model = read_data(f"pumasi.{kind}", json.dumps(told).encode())
        at, appended = (time, None) if off is None else (time // 1000 * 1000 + off, time // 1000 * 1000)
        commands.append(Command(f"pumasi.{kind}", f"e-{offset}", at, model, offset, appended))
    return commands


def _only(data: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: data[name] for name in names}


def _text(micros: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    return moment.isoformat().replace("+00:00", "Z")


def log(seed: int) -> list[Command | Unreadable]:
    """The season of a seed."""
    return commands_of(gestures(seed))


def gestures(seed: int) -> list[Gesture]:
    """The season of a seed, as gestures."""
    return _Season(Random(seed)).play()


def by_wall_clocks(seed: int) -> list[Gesture]:
    """The same, one in ten of them stamped by a wall clock that may be ahead."""
    r = Random(f"clocks {seed}")
    return [
        one._replace(off=r.choice(OFF)) if one.type != UNREADABLE and r.random() < 0.1 else one
        for one in gestures(seed)
    ]


class _Season:
    """One season's temper, and what it has said so far."""

    def __init__(self, r: Random) -> None:
        self.r, self.marks = r, Random(0)
        self.funds = ["f-1", "f-2", "f-3"][: r.choice([1, 1, 1, 2, 3])]
        self.currencies = {fund: r.choice(["CNY"] * 7 + ["JPY", "BHD"]) for fund in self.funds}
        self.rules = r.choice([[rule] for rule in RULES] + [RULES])  # one for the season, or changing
        self.share = r.choice([1, 2, 3, 7, 10, 100, 10_000, 10**12])
        self.scale = self.share * r.choice([1, 2, 5, 20])
        self.length = r.choice([8, 15, 30, 60, 100])
        self.people = [f"b-{n}" for n in range(1, r.choice([2, 3, 5, 9]))]
        self.cases = [f"c-{n}" for n in range(1, r.choice([4, 8, 16]))]
        self.pledges = [f"p-{n}" for n in range(1, r.choice([4, 12, 30]))]
        self.foreign = r.choice([0, 0.1, 0.5])
        self.repeats = r.choice([0, 0.15, 0.4])  # recurring cases and pledges
        self.wishes = r.choice([0, 0.3, 0.7])  # designations
        self.haste = r.choice([0, 0.2, 0.6])  # deadlines, expiries
        self.calm = r.choice([0.3, 0.7, 0.9])  # how often no time passes, or little
        self.years = r.random() < 0.3  # whether time may leap by many months at once
        self.need = r.choice([1, 3, 10])  # goals against pledges
        self.said: list[Gesture] = []
        self.faces: dict[str, int] = {}
        self.made: dict[tuple[str, str], list[str]] = {}  # (fund, "case" or "pledge") → ids
        self.serial = 0
        what = {
            "case.submitted": 7, "case.vouched": 4, "case.amended": 4, "case.delivered": 6, "case.thanked": 0.7,
            "case.closed": 2, "pledge.made": 9, "pledge.withdrawn": 1.5, "payment.received": 9, "payment.failed": 1,
            "payment.refunded": 2, "rate.quoted": 0.5 + 4 * self.foreign, "clock.ticked": 2,
            "fund.configured": 0.6 * len(self.rules), UNREADABLE: 0.4,
        }  # fmt: skip
        self.kinds = list(what)
        self.weights = [weight * r.choice([0.5, 1, 2]) for weight in what.values()]

    def play(self) -> list[Gesture]:
        for fund in self.funds:
            if self.r.random() < 0.98:
                self.say(0, "fund.configured", self.fund_configured(fund))
        while len(self.said) < self.length:
            if self.said and self.r.random() < 0.03:
                self.again()
                continue
            kind = self.r.choices(self.kinds, self.weights)[0]
            fund = self.r.choice(self.funds) if self.r.random() > 0.005 else "f-unknown"
            if self.idle(fund, kind) and self.r.random() < 0.9:
                continue
            if kind == UNREADABLE:
                data = {"type": self.r.choice([None, "pumasi.pledge.made", TICK])}
            elif kind == "clock.ticked":
                data = {}
            else:
                data = getattr(self, kind.replace(".", "_"))(fund)
            self.say(self.jump(), kind, data)
            self.follow(kind, data)
        return self.said

    def follow(self, kind: str, data: dict[str, Any]) -> None:
        """What commonly comes next: a case is vouched for, a pledge is paid, paid money is delivered."""
        r = self.r
        if kind == "case.submitted":
            for voucher in ["v-1", "v-2"][: r.choice([0, 1, 1, 2])]:
                self.say(self.jump(), "case.vouched", {**_only(data, "fund", "case"), "voucher": voucher})
        elif kind == "pledge.made" and r.random() < 0.3:
            payment = {**_only(data, "fund", "pledge", "amount"), "payment": self.number("m")}
            self.say(self.jump(), "payment.received", payment)
            if r.random() < 0.6:
                self.say(self.jump(), "case.delivered", self.case_delivered(data["fund"]))

    def idle(self, fund: str, kind: str) -> bool:
        """True if the command could only miss: nothing to speak of yet, or no id left."""
        cases, pledges = self.made.get((fund, "case"), []), self.made.get((fund, "pledge"), [])
        if kind == "case.submitted":
            return len(cases) == len(self.cases)
        if kind == "pledge.made":
            return len(pledges) == len(self.pledges)
        sort = kind.partition(".")[0]
        return (sort == "case" and not cases) or (sort in ("pledge", "payment") and not pledges)

    def say(self, jump: int, kind: str, data: dict[str, Any]) -> None:
        self.said.append(Gesture(jump, kind, data))

    def again(self) -> None:
        """A repeat of something said, as it was or with one member changed."""
        earlier = self.r.choice(self.said)
        data = dict(earlier.data)
        if self.r.random() < 0.4 and "amount" in data:
            data["amount"] += 1
        elif self.r.random() < 0.3 and "outcome" in data:
            data["outcome"] = self.r.choice(OUTCOMES)
        self.say(self.jump(), earlier.type, data)

    def jump(self) -> int:
        r = self.r
        if r.random() < self.calm:
            return r.choice([0, 0, 0, 1, 60 * 10**6, HOUR])
        if r.random() < 0.08:
            return -r.choice([1, HOUR, DAY, 40 * DAY])
        if self.years and r.random() < 0.15:
            return r.choice([92, 181, 365]) * DAY
        return r.choice([12 * HOUR, DAY, DAY, 3 * DAY, 7 * DAY, 7 * DAY + 1, 30 * DAY, 31 * DAY, 28 * DAY - 1])

    def amount(self) -> int:
        """About the share's multiples sometimes, anything up to the scale at others, now and then far beyond."""
        r = self.r
        drawn = r.random()
        if drawn < 0.3:
            return max(1, self.share * r.randint(0, 4) + r.choice([-1, 0, 0, 1]))
        if drawn < 0.95:
            return r.randint(1, self.scale * 2)
        return r.randint(1, self.scale * 10)

    def currency(self, fund: str) -> str:
        return self.currencies.get(fund, "CNY")

    def case(self, fund: str) -> str:
        return self.pick(fund, "case", self.cases)

    def pledge(self, fund: str) -> str:
        name = self.pick(fund, "pledge", self.pledges)
        if self.repeats and self.r.random() < 0.3:
            name += self.r.choice(["#2", "#3", "#4"])
        return name

    def pick(self, fund: str, sort: str, pool: list[str]) -> str:
        """Mostly one that exists, the newest a little oftener."""
        made = self.made.get((fund, sort))
        if not made or self.r.random() < 0.03:
            return self.r.choice(pool)
        return made[-1] if self.r.random() < 0.2 else self.r.choice(made)

    def fresh(self, fund: str, sort: str, pool: list[str]) -> str:
        """Mostly an id not used yet."""
        made = self.made.setdefault((fund, sort), [])
        unused = [name for name in pool if name not in made]
        name = unused[0] if unused and self.r.random() < 0.98 else self.r.choice(pool)
        if name not in made:
            made.append(name)
        return name

    def number(self, letter: str) -> str:
        """Mostly a new number."""
        self.serial += 1
        return f"{letter}-{self.serial if self.r.random() < 0.93 else self.r.randint(1, self.serial)}"

    def hours(self) -> int:
        return self.r.choice([1, 12, 24, 48, 72, 7 * 24, 10 * 24, 30 * 24, 31 * 24, 90 * 24])

    def recurrence(self) -> dict[str, Any]:
        every = self.r.choice(PERIODS)
        ends = self.r.random() < 0.7 or (self.years and every[-1] in "DW")  # a leap of a year would bring hundreds
        return {"every": every} | ({"times": self.r.choice([1, 2, 3, 12])} if ends else {})

    def fund_configured(self, fund: str) -> dict[str, Any]:
        r = self.r
        data = {
            "fund": fund,
            "currency": self.currency(fund) if r.random() < 0.97 else "EUR",
            "rule": r.choice(self.rules),
            "share": self.share if r.random() < 0.9 else self.share + 1,
            "weights": r.choice(["equal", "claim"]),
            "ageing_days": r.choice([0, 1, 2, 7, 30]),
            "deadline_hours": r.choice([0, 1, 24, 72, 240]),
            "vouchers_required": r.choice([0, 1, 1, 1, 2]),
        }
        for name in list(data)[3:]:
            if r.random() < 0.15:
                del data[name]
        if data["rule"] == RULES[0] and r.random() < 0.5:  # the default
            del data["rule"]
        if "share" not in data and not 1000 <= self.scale <= 10**7:
            data["share"] = self.share  # with the default of 10000 a run would be one step, or more than one can walk
        return data

    def case_submitted(self, fund: str) -> dict[str, Any]:
        r = self.r
        data: dict[str, Any] = {
            "fund": fund,
            "case": self.fresh(fund, "case", self.cases),
            "beneficiary": r.choice(self.people),
            "need": r.choice(NEEDS),
            "route": "clinic",
            "goal": self.amount() * self.need,
            "priority": r.choices(CLASSES, [4, 3, 2, 1])[0],
        }
        if r.random() < 0.15:
            data["own_contribution"] = r.choice([1, data["goal"] // 2, data["goal"], data["goal"] + 1])
        if r.random() < self.haste:
            data["needed_by"] = self.hours()
        if r.random() < self.repeats:
            data["recurrence"] = self.recurrence()
        if r.random() < 0.1:
            data["access_box"] = r.choice("AB") * 160
        return data | self.mark()

    def case_vouched(self, fund: str) -> dict[str, Any]:
        voucher = self.r.choice(["v-1", "v-2", "v-3"])
        return {"fund": fund, "case": self.case(fund), "voucher": voucher, **self.mark()}

    def mark(self) -> dict[str, str]:
        return {"mark": self.marks.choice(MARKS)} if self.marks.random() < 0.5 else {}

    def case_amended(self, fund: str) -> dict[str, Any]:
        r = self.r
        data: dict[str, Any] = {"fund": fund, "case": self.case(fund)}
        if r.random() < 0.7:
            data["goal"] = r.choice([self.amount() * self.need, self.amount(), 1 + self.share // 2])
        if r.random() < 0.3:
            data["priority"] = r.choice(CLASSES)
        if r.random() < 0.3:
            data["needed_by"] = self.hours()
        return data

    def case_delivered(self, fund: str) -> dict[str, Any]:
        amount = self.r.choice([1, self.share, self.share, 2 * self.share, self.amount()])
        return {"fund": fund, "case": self.case(fund), "delivery": self.number("d"), "amount": amount}

    def case_thanked(self, fund: str) -> dict[str, Any]:
        return {
            "fund": fund,
            "case": self.case(fund),
            "thanks": self.r.choice(["thank-you", "~abcdefghijklmnopqrstuvwxyz"]),
        }

    def case_closed(self, fund: str) -> dict[str, Any]:
        data = {"fund": fund, "case": self.case(fund), "outcome": self.r.choice(OUTCOMES)}
        if self.r.random() < 0.3:
            del data["outcome"]
        return data

    def pledge_made(self, fund: str) -> dict[str, Any]:
        r = self.r
        foreign = r.random() < self.foreign
        data: dict[str, Any] = {
            "fund": fund,
            "pledge": self.fresh(fund, "pledge", self.pledges),
            "donor": r.choice(["d-1", "d-2", "d-3"]),
            "amount": self.amount(),
            "currency": r.choice(FOREIGN) if foreign else self.currency(fund),
        }
        if r.random() < self.wishes:
            data["designation"] = {"case": self.case(fund)} if r.random() < 0.5 else {"need": r.choice(NEEDS)}
        if r.random() < 0.6:
            data["fallback"] = r.choice(["pool", "hold", "release"])
        if r.random() < self.haste:
            data["expires_at"] = self.hours() if r.random() < 0.95 else 0
        if r.random() < self.repeats:
            data["recurrence"] = self.recurrence()
        self.faces[data["pledge"]] = data["amount"]
        return data

    def payment_received(self, fund: str) -> dict[str, Any]:
        pledge = self.pledge(fund)
        face = self.faces.get(pledge.partition("#")[0], self.scale)
        part = self.r.choice([face, face, (face + 1) // 2, face // 3 + 1, face + 1, 2 * face, 1])
        return {"fund": fund, "pledge": pledge, "payment": self.number("m"), "amount": part}

    def payment_failed(self, fund: str) -> dict[str, Any]:
        return {"fund": fund, "pledge": self.pledge(fund), "payment": self.number("m"), "reason": "no-funds"}

    def payment_refunded(self, fund: str) -> dict[str, Any]:
        amount = self.r.choice([1, self.share, self.amount()])
        return {"fund": fund, "pledge": self.pledge(fund), "payment": self.number("m"), "amount": amount}

    def pledge_withdrawn(self, fund: str) -> dict[str, Any]:
        return {"fund": fund, "pledge": self.pledge(fund)}

    def rate_quoted(self, fund: str) -> dict[str, Any]:
        currency = self.r.choice([*FOREIGN, self.currency(fund)]) if self.r.random() < 0.9 else "EUR"
        return {"fund": fund, "currency": currency, "rate": self.r.choice(RATES)}

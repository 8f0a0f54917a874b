"""From a story to sentences: a head, figures, what happened, and why. Each part as data too, for `--json`.

Sentences are short enough for somebody who has never heard of the rule. *Placed*, *settled* and *delivered* are figures of their
own and never added up.
"""

from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import Any

from schemas.currencies import format_money
from schemas.values import CLASSES
from services.console.explain import wording
from services.console.explain.missed import Missed
from services.console.explain.runs import Found, waits_for
from services.console.explain.story import Event
from services.console.explain.voice import Voice
from services.console.explain.why_not import lacks_of, time_text, why_not
from services.console.explain.why_there import exact, findings, in_full, in_short
from services.console.readmodel.model import Award, Case, Fund, Pledge

_MANY = 6  # so many sums in a row are shown one by one; more together
_MONEY_IN = ("awarded", "award_settled")


@dataclass
class Told:
    """An explanation.

    Attributes:
        data: the same for programs.
        head: sentences before all.
        figures: `(word, amount)`, each by itself.
        parts: `(title, [(time or "", sentence)])`.
        findings: what the rule can't explain.
        exact: of an award, the arithmetic in minor units.
    """

    data: dict[str, Any]
    head: list[str] = field(default_factory=list)
    figures: list[tuple[str, str]] = field(default_factory=list)
    parts: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    exact: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Data and sentences, as JSON."""
        text = [*self.head, *(sentence for _, rows in self.parts for _, sentence in rows)]
        return {**self.data, "text": text, "findings": self.findings, "ok": not self.findings}


class Teller:
    """Explains one fund's cases, pledges and awards in one language."""

    def __init__(self, fund: Fund, language: str) -> None:
        self.fund, self.voice = fund, Voice(language, fund.policy.currency)

    def case(self, case: Case, events: list[Event], missed: Missed) -> Told:
        """A case: its story, and why it has no more."""
        three = {"placed": case.promised, "settled": case.settled, "delivered": case.delivered}
        sums = {"asked": case.claim, **three, "lacks": lacks_of(case)}
        need, route = self.voice.need(case.need), self.say(wording.ROUTES[case.route])
        first = self.say("Case {id}: {need}, {route}", id=case.id, need=need, route=route)
        told = self._told("case", case.id, first, sums, events)
        told.data |= {"status": case.status, "class": CLASSES[case.rank], "need": case.need, "outcome": case.outcome}
        told.data["needed_by"] = case.needed_by
        if case.status == "closed":
            told.figures.pop()  # it asks for nothing any more, whatever it had
        told.head.append(self._state(case))
        if case.needed_by and case.status != "closed":
            say = partial(self.say, time=time_text(case.needed_by))
            over = self.fund.last is not None and self.fund.last.at >= case.needed_by
            was, now = say("It was needed by {time} UTC."), say("It is needed by {time} UTC.")
            told.head.append(was if over else now)
        told.parts.append((self.say("What happened"), self._story(events, "case")))
        not_more = why_not(self.voice, self.fund, case, missed)
        told.data |= not_more.data
        told.findings += not_more.findings
        told.parts.append((self.say("Why not more"), [("", line) for line in not_more.lines]))
        return told

    def pledge(self, pledge: Pledge, events: list[Event], found: dict[str, Found]) -> Told:
        """A pledge: its story, and why each award went where it went."""
        awards = [_three_of(award) for award in pledge.awards]
        placed = {name: sum(three[name] for three in awards) for name in ("placed", "settled", "delivered")}
        rest = {"waiting": pledge.waiting, "released": pledge.released, "refunded": pledge.refunded}
        face = format_money(pledge.face, pledge.currency)
        first = self.say("Pledge {id}: {amount}", id=pledge.id, amount=face)
        told = self._told("pledge", pledge.id, first, placed | rest, events)
        told.data |= {"amount": pledge.amount, "face": pledge.face, "face_currency": pledge.currency}
        told.data |= {"closed": pledge.closed, "awards": [_award_data(award) for award in pledge.awards]}
        if pledge.designation:
            told.head.append(self._designation(pledge))
        told.parts.append((self.say("What happened"), self._story(events, "pledge", pledge)))
        why = [("", in_short(self.voice, award, self.fund.policy, found[award.id])) for award in pledge.awards]
        told.findings = [wrong for award in pledge.awards for wrong in findings(self.voice, award, found[award.id])]
        if pledge.waiting:
            why.append(("", self._waiting(pledge, told)))
        told.parts.append((self.say("Why there"), why))
        return told

    def _waiting(self, pledge: Pledge, told: Told) -> str:
        amount, cases = self.voice.money(pledge.waiting), waits_for(self.fund, pledge)
        if not cases:
            return self.say("{amount} waits: no open case that it may go to lacks money now.", amount=amount)
        wrong = self.say(
            "{amount} waits, though it could go to cases that lack money: {count}. Audit the ledger.",
            amount=amount, count=len(cases),
        )  # fmt: skip
        told.findings.append(wrong)
        return wrong

    def award(self, award: Award, events: list[Event], found: Found) -> Told:
        """An award: its story, and the arithmetic that brought it there."""
        first = self.say(
            "Award {id}: {amount} of pledge {pledge} to case {case} ({need})", id=award.id, case=award.case.id,
            amount=self.voice.money(award.given), pledge=award.pledge.id, need=self.voice.need(award.case.need),
        )  # fmt: skip
        told = self._told("award", award.id, first, {"given": award.given, **_three_of(award)}, events)
        told.data |= _award_data(award)
        lines, told.findings = in_full(self.voice, award, self.fund.policy, found)
        told.data["exact"] = told.exact = exact(self.voice, award)
        told.data["served_before"] = list(found.served)
        told.parts.append((self.say("Why there"), [("", line) for line in lines]))
        told.parts.append((self.say("What happened"), self._story(events, "case")))
        return told

    # ---- words ---------------------------------------------------------------------------------------------------------

    def say(self, text: str, /, **names: object) -> str:
        return self.voice.say(text, **names)

    def _told(self, kind: str, name: str, first: str, sums: dict[str, int], events: list[Event]) -> Told:
        data = {
            "kind": kind,
            "id": name,
            "fund": self.fund.name,
            "currency": self.fund.policy.currency,
            "rule": self.fund.policy.rule,
            "figures": sums,
            "story": [{"event": e.name, "at": e.moment.at, "entry": e.moment.entry, **e.data} for e in events],
        }
        figures = [(self.say(wording.FIGURES[word]), self.voice.money(amount)) for word, amount in sums.items()]
        fund = self.say("In fund {fund}.", fund=self.fund.name)
        told = Told(data, [first, fund, self.voice.rule(self.fund.policy)], figures)
        if last := self.fund.last:
            data["as_of"] = {"entry": last.entry, "at": last.at}
            at = time_text(last.at)
            told.head.append(self.say("As the ledger stands at entry {entry}, {time} UTC.", entry=last.entry, time=at))
        return told

    def _state(self, case: Case) -> str:
        return self.say(
            wording.STATES[case.status],
            vouchers=case.vouchers,
            required=self.fund.policy.vouchers_required,
            class_=self.voice.class_(case.rank),
            outcome=self.say(wording.OUTCOMES[case.outcome]) if case.outcome else "",
        )

    def _designation(self, pledge: Pledge) -> str:
        wish, fallback = pledge.designation or {}, self.say(wording.FALLBACKS[pledge.fallback])
        if "case" in wish:
            case = self.fund.cases.get(wish["case"])
            state = "unknown" if case is None else case.status
            said = self.say("The donor chose case {case}; {fallback}.", case=wish["case"], fallback=fallback)
            return f"{said} {self.say(wording.NOT_OPEN[state])}" if state in wording.NOT_OPEN else said
        need = self.voice.need(wish["need"])
        return self.say("The donor chose the need {need}; {fallback}.", need=need, fallback=fallback)

    # ---- the story -----------------------------------------------------------------------------------------------------

    def _story(self, events: list[Event], of: str, pledge: Pledge | None = None) -> list[tuple[str, str]]:
        rows: list[tuple[str, str]] = []
        for money, group in groupby(events, lambda event: of == "case" and event.name in _MONEY_IN):
            run = list(group)
            if money and len(run) > _MANY:
                rows += self._together(run)
            else:
                rows += [(time_text(event.moment.at), self._event(event, of, pledge)) for event in run]
        return rows

    def _together(self, run: list[Event]) -> list[tuple[str, str]]:
        """Many small sums in one line for promises and one for payments."""
        rows = []
        for name in _MONEY_IN:
            if parts := [event for event in run if event.name == name]:
                amount = self.voice.money(sum(event.data["amount"] for event in parts))
                rows.append((time_text(parts[0].moment.at), self._sum(name, len(parts), amount, parts[-1].moment.at)))
        return sorted(rows)

    def _sum(self, name: str, count: int, amount: str, last: str) -> str:
        if name == "awarded":
            return self.voice.say_many(
                "{count} award promised {amount}, until {until}.",
                "{count} awards promised {amount} together, until {until}.",
                count, amount=amount, until=time_text(last),
            )  # fmt: skip
        return self.voice.say_many(
            "{count} payment settled {amount}, until {until}.",
            "{count} payments settled {amount} together, until {until}.",
            count, amount=amount, until=time_text(last),
        )  # fmt: skip

    def _event(self, event: Event, of: str, pledge: Pledge | None) -> str:
        data = dict(event.data)
        name = event.name
        if name in ("pledge_accepted", "pledge_instalment", "payment_received"):
            return self._face(event, pledge)
        if name == "pledge_raised" and data.get("rate"):
            name = "pledge_raised_rate"
        if name == "awarded" and of == "pledge":
            name = "awarded_of_pledge"
            case = self.fund.cases[data["case"]]
            data |= {"need": self.voice.need(case.need), "class": data["why"]["class"]}
        return self.say(wording.EVENTS[name], **self._for_people(event.name, data))

    def _face(self, event: Event, pledge: Pledge | None) -> str:
        assert pledge is not None, "only a pledge's story has these"
        data, name = event.data, event.name
        values = {"face": format_money(data["face"], pledge.currency), "of": data.get("of")}
        if name == "pledge_accepted" and pledge.currency != self.fund.policy.currency:
            name = "pledge_accepted_rate" if data["rate"] else "pledge_accepted_unrated"
            values |= {"amount": self.voice.money(data["amount"] or 0), "rate": data["rate"]}
        return self.say(wording.EVENTS[name], **values)

    def _for_people(self, event: str, data: dict[str, Any]) -> dict[str, Any]:
        """The values of a phrase: amounts with their currency, words in the reader's language."""
        told: dict[str, Any] = dict(data)
        for name in ("amount", "claim", "goal", "settled"):
            if isinstance(data.get(name), int):
                told[name] = self.voice.money(data[name])
        if "own_contribution" in data:
            told["own"] = self.voice.money(data["own_contribution"])
        if "priority" in data:
            told["priority"] = self.voice.class_(data["priority"])
        if "outcome" in data:
            told["outcome"] = self.say(wording.OUTCOMES[data["outcome"]])
        if event == "rule_changed":
            told |= {"from_": self.voice.rule_name(data["from"]), "to": self.voice.rule_name(data["to"])}
        elif event == "case_escalated":
            told |= {
                "from_": self.voice.class_(data["from"]),
                "to": self.voice.class_(data["to"]),
                "reason": self.say(wording.ESCALATIONS[data["why"]]),
            }
        elif "reason" in data and event != "payment_failed":
            told["reason"] = self.say(wording.REASONS[data["reason"]])
        if "class" in data:
            told["class_"] = self.voice.class_(data["class"])
        for reserved in ("from", "class", "why"):
            told.pop(reserved, None)
        return told


def _three_of(award: Award) -> dict[str, int]:
    return {"placed": award.amount, "settled": award.settled, "delivered": award.delivered}


def _award_data(award: Award) -> dict[str, Any]:
    return {
        "award": award.id, "pledge": award.pledge.id, "case": award.case.id, "need": award.case.need, "given": award.given,
        **_three_of(award), "at": award.made.at, "entry": award.made.entry, "why": award.why,
    }  # fmt: skip

"""From a story to sentences: a head, figures, what happened, and why. Each part as data too, for `--json`.

Sentences are short enough for somebody who has never heard of the rule. *Promised*, *settled* and *delivered* are figures of their
own and never added up.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any

from schemas.values import CLASSES
from services.console.missed import REASONS, Missed
from services.console.model import Award, Case, Fund, Pledge
from services.console.money import shown
from services.console.standing import ahead_of, key_of, step_of
from services.console.story import Event
from services.console.wording import phrase

_MANY = 6  # as many sums in a row are told one by one; more together
_MONEY_IN = {"awarded": "awarded_many", "award_settled": "settled_many"}


@dataclass
class Told:
    """An explanation.

    Attributes:
        data: the same for programs.
        head: sentences before all.
        figures: `(word, amount)`, each by itself.
        parts: `(title, [(time or "", sentence)])`.
        findings: what can't be explained by the rule.
    """

    data: dict[str, Any]
    head: list[str] = field(default_factory=list)
    figures: list[tuple[str, str]] = field(default_factory=list)
    parts: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Data and sentences, as JSON."""
        text = [*self.head, *(sentence for _, rows in self.parts for _, sentence in rows)]
        return {**self.data, "text": text, "findings": self.findings, "ok": not self.findings}


class Teller:
    """Tells of one fund in one language."""

    def __init__(self, fund: Fund, language: str) -> None:
        self.fund, self.language = fund, language

    def case(self, case: Case, events: list[Event], missed: Missed | None) -> Told:
        """A case: its story, and why it has no more."""
        sums = {"asked": case.claim, **_three(case), "lacks": _lacks(case)}
        told = self._told("case", case.id, sums, events)
        told.data |= {"status": case.status, "class": CLASSES[case.rank], "need": case.need, "outcome": case.outcome}
        told.head.insert(
            0, self.say("case", id=case.id, need=self._need(case.need), route=self.say(f"route_{case.route}"))
        )
        told.head.append(self._state(case))
        told.parts.append((self.say("title_story"), self._story(events, "case")))
        told.parts.append((self.say("title_not"), [("", line) for line in self._why_not(case, missed, told)]))
        return told

    def pledge(self, pledge: Pledge, events: list[Event]) -> Told:
        """A pledge: its story, and why each award went where it went."""
        standing = [award for award in pledge.awards if award.amount]
        promised = {
            "promised": sum(award.amount for award in standing),
            "settled": sum(award.settled for award in standing),
            "delivered": sum(award.delivered for award in standing),
        }
        rest = {"waiting": pledge.waiting, "released": pledge.released, "refunded": pledge.refunded}
        told = self._told("pledge", pledge.id, promised | rest, events)
        told.data |= {
            "amount": pledge.amount,
            "face": pledge.face,
            "face_currency": pledge.currency,
            "closed": pledge.closed,
        }
        told.data["awards"] = [_award_data(award) for award in pledge.awards]
        told.head.insert(0, self.say("pledge", id=pledge.id, amount=shown(pledge.face, pledge.currency)))
        if pledge.designation:
            told.head.append(self._designation(pledge))
        told.parts.append((self.say("title_story"), self._story(events, "pledge", pledge)))
        why = [("", self._why_short(award)) for award in pledge.awards]
        if pledge.waiting:
            why.append(("", self.say("still_waiting", amount=self._money(pledge.waiting))))
        told.parts.append((self.say("title_why"), why))
        return told

    def award(self, award: Award, events: list[Event]) -> Told:
        """An award: its story, and the arithmetic that brought it there."""
        told = self._told("award", award.id, {"given": award.given, **_three_of(award)}, events)
        told.data |= _award_data(award)
        told.head.insert(
            0,
            self.say(
                "award", id=award.id, amount=self._money(award.given), pledge=award.pledge.id, case=award.case.id,
                need=self._need(award.case.need),
            ),
        )  # fmt: skip
        told.parts.append((self.say("title_why"), [("", line) for line in self._why_long(award, told)]))
        told.parts.append((self.say("title_story"), self._story(events, "case")))
        return told

    # ---- words ---------------------------------------------------------------------------------------------------------

    def say(self, name: str, **values: object) -> str:
        return phrase(self.language, name, **values)

    def _money(self, amount: int) -> str:
        return shown(amount, self.fund.policy.currency)

    def _class(self, rank: int | str) -> str:
        return self.say(f"class_{rank if isinstance(rank, str) else CLASSES[rank]}")

    def _need(self, need: str) -> str:
        return self.say(f"need_{need}")

    def _told(self, kind: str, name: str, sums: dict[str, int], events: list[Event]) -> Told:
        data = {
            "kind": kind,
            "id": name,
            "fund": self.fund.name,
            "currency": self.fund.policy.currency,
            "figures": sums,
            "story": [{"event": e.name, "at": e.moment.at, "entry": e.moment.entry, **e.data} for e in events],
        }
        figures = [(self.say(word), self._money(amount)) for word, amount in sums.items()]
        told = Told(data, [self.say("fund", fund=self.fund.name)], figures)
        if last := self.fund.last:
            data["as_of"] = {"entry": last.entry, "at": last.at}
            told.head.append(self.say("as_of", entry=last.entry, time=time_text(last.at)))
        return told

    def _state(self, case: Case) -> str:
        return self.say(
            f"state_{case.status}",
            vouchers=case.vouchers,
            required=self.fund.policy.vouchers_required,
            class_=self._class(case.rank),
            outcome=self.say(f"outcome_{case.outcome}") if case.outcome else "",
        )

    def _designation(self, pledge: Pledge) -> str:
        wish, fallback = pledge.designation or {}, self.say(f"fallback_{pledge.fallback}")
        if "case" in wish:
            return self.say("designated_case", case=wish["case"], fallback=fallback)
        return self.say("designated_need", need=self._need(wish["need"]), fallback=fallback)

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
        """Many small sums as one line each for what was promised and what was paid."""
        rows = []
        for name, word in _MONEY_IN.items():
            if parts := [event for event in run if event.name == name]:
                amount = self._money(sum(event.data["amount"] for event in parts))
                until = time_text(parts[-1].moment.at)
                rows.append(
                    (time_text(parts[0].moment.at), self.say(word, count=len(parts), amount=amount, until=until))
                )
        return sorted(rows)

    def _event(self, event: Event, of: str, pledge: Pledge | None) -> str:
        data = dict(event.data)
        name = _PHRASE_OF.get((event.name, of), event.name)
        if event.name in ("pledge_accepted", "pledge_instalment", "payment_received"):
            return self._face(event, pledge)
        if event.name == "pledge_raised" and data.get("rate"):
            name = "pledge_raised_rate"
        if event.name == "awarded" and of == "pledge":
            case = self.fund.cases[data["case"]]
            data |= {"need": self._need(case.need), "class": data["why"]["class"]}
        return self.say(name, **self._for_people(event.name, data))

    def _face(self, event: Event, pledge: Pledge | None) -> str:
        assert pledge is not None, "only a pledge's story has these"
        data, name = event.data, event.name
        values = {"face": shown(data["face"], pledge.currency), "of": data.get("of")}
        if name == "pledge_accepted" and pledge.currency != self.fund.policy.currency:
            name = "pledge_accepted_rate" if data["rate"] else "pledge_accepted_unrated"
            values |= {"amount": self._money(data["amount"] or 0), "rate": data["rate"]}
        return self.say(name, **values)

    def _for_people(self, event: str, data: dict[str, Any]) -> dict[str, Any]:
        """The values of a phrase: amounts with their currency, words in the reader's language."""
        told: dict[str, Any] = dict(data)
        for name in ("amount", "claim", "goal", "settled"):
            if isinstance(data.get(name), int):
                told[name] = self._money(data[name])
        if "own_contribution" in data:
            told["own"] = self._money(data["own_contribution"])
        if "priority" in data:
            told["priority"] = self._class(data["priority"])
        if "outcome" in data:
            told["outcome"] = self.say(f"outcome_{data['outcome']}")
        if event == "case_escalated":
            told |= {
                "from_": self._class(data["from"]),
                "to": self._class(data["to"]),
                "reason": self.say(f"why_{data['why']}"),
            }
        elif "reason" in data and event != "payment_failed":
            told["reason"] = self.say(f"reason_{data['reason']}")
        if "class" in data:
            told["class_"] = self._class(data["class"])
        for reserved in ("from", "class", "why"):
            told.pop(reserved, None)
        return told

    # ---- why there -----------------------------------------------------------------------------------------------------

    def _chosen(self, award: Award) -> str | None:
        """How the donor's choice led there: "case", "need", or None if it did not."""
        wish = award.pledge.designation or {}
        if wish.get("case") == award.case.id:
            return "case"
        return "need" if wish.get("need") == award.case.need else None

    def _why_short(self, award: Award) -> str:
        chosen = self._chosen(award)
        if chosen == "case":
            return self.say("why_short_chosen", award=award.id)
        return self.say(
            "why_short_need" if chosen else "why_short",
            award=award.id,
            class_=self._class(award.why["class"]),
            before=self._money(award.why["before"]),
            claim=self._money(award.why["claim"]),
            need=self._need(award.case.need),
        )

    def _why_long(self, award: Award, told: Told) -> list[str]:
        why, policy, chosen = award.why, award.policy, self._chosen(award)
        step, key = step_of(why["before"], why["claim"], policy.share), key_of(why["before"], why["claim"], policy)
        sums = {
            "before": self._money(why["before"]), "claim": self._money(why["claim"]), "after": self._money(why["after"]),
            "amount": self._money(award.given), "before_n": f"{why['before']:,}", "claim_n": f"{why['claim']:,}",
            "share_n": f"{policy.share:,}", "boundary_n": f"{step:,}", "key_n": f"{why['key']:,}",
        }  # fmt: skip
        name = {"case": "chosen_case", "need": "class_first_need", None: "class_first"}[chosen]
        lines = [
            self.say(name, class_=self._class(why["class"]), need=self._need(award.case.need)),
            self.say("claimant_alone" if chosen == "case" else "claimant", **sums),
            self.say("boundary", **sums),
            self.say("key_claim" if policy.weights == "claim" else "key_equal", **{**sums, "key_n": f"{key:,}"}),
        ]
        if key != why["key"]:
            told.findings.append(self.say("key_wrong", key_n=sums["key_n"], expected_n=f"{key:,}"))
            lines.append(told.findings[-1])
        lines.append(self.say("brought_to" if chosen == "case" else "least_key", **sums))
        return lines

    # ---- why not more --------------------------------------------------------------------------------------------------

    def _why_not(self, case: Case, missed: Missed | None, told: Told) -> list[str]:
        if case.status == "submitted":
            missing = max(1, self.fund.policy.vouchers_required - case.vouchers)  # a lower bar opens it with the next
            lines = [self.say("not_open_yet", missing=missing, amount=self._money(_lacks(case)))]
        elif case.status != "open":
            lines = [self.say("not_open")]
        elif not case.lacks:
            lines = [self.say("lacks_nothing")]
        else:
            lines = self._ahead(case, told)
        if missed is None or not missed.runs:
            return [*lines, self.say("no_run_missed")] if case.status == "open" else lines
        lines.append(self.say("missed", runs=missed.runs))
        told.data["missed"] = {"runs": missed.runs, **{name: asdict(share) for name, share in missed.shares.items()}}
        for name in REASONS:
            if share := missed.shares.get(name):
                lines.append("· " + self.say(f"missed_{name}", amount=self._money(share.amount)))
                if name == "unexplained":
                    told.findings.append(self.say(f"missed_{name}", amount=self._money(share.amount)))
        return lines + self._last_missed(missed, told)

    def _ahead(self, case: Case, told: Told) -> list[str]:
        ahead = ahead_of(self.fund, case)
        assert ahead is not None, "it lacks money"
        told.data["ahead"] = asdict(ahead)
        if not ahead.urgent and not ahead.lesser and not ahead.own:
            return [self.say("ahead_none")]
        lines = []
        if ahead.urgent or ahead.lesser:
            money = {"urgent_lacks": self._money(ahead.urgent_lacks), "lesser_lacks": self._money(ahead.lesser_lacks)}
            lines.append(self.say("ahead_now", urgent=ahead.urgent, lesser=ahead.lesser, **money))
        return [*lines, self.say("ahead_own")] if ahead.own else lines

    def _last_missed(self, missed: Missed, told: Told) -> list[str]:
        last = missed.last
        assert last is not None, "there was a run"
        before = last.before
        told.data["last_missed"] = {
            "at": last.moment.at, "entry": last.moment.entry, "class": CLASSES[before.rank], "key": before.key,
            "promised": before.promised, "claim": before.claim, "urgent": last.urgent, "urgent_lacks": last.urgent_lacks,
            "went": {name: asdict(share) for name, share in last.shares.items()},
        }  # fmt: skip
        lines = [
            self.say(
                "last_missed", time=time_text(last.moment.at), entry=last.moment.entry, class_=self._class(before.rank),
                promised=self._money(before.promised), claim=self._money(before.claim), key_n=f"{before.key:,}",
            )
        ]  # fmt: skip
        if last.urgent:
            lines.append(self.say("last_urgent", urgent=last.urgent, urgent_lacks=self._money(last.urgent_lacks)))
        same = [last.shares[name] for name in ("lesser", "earlier") if name in last.shares]
        if same:
            least, most = min(share.key_least for share in same), max(share.key_most for share in same)
            lines.append(self.say("last_keys", least_n=f"{least:,}", most_n=f"{most:,}"))
        return lines


_PHRASE_OF = {
    ("awarded", "case"): "awarded_case",
    ("awarded", "pledge"): "awarded_pledge",
    ("waiting", "pledge"): "waiting_event",
    ("released", "pledge"): "released_event",
    ("refunded", "pledge"): "refunded_event",
}
"""Events that have another phrase than their own name, by what is told of."""


def time_text(at: str) -> str:
    """An RFC 3339 time for people: to the minute, UTC.

    >>> time_text("2026-11-22T10:00:02.500000Z")
    '2026-11-22 10:00'
    """
    return at[:16].replace("T", " ")


def _lacks(case: Case) -> int:
    """What it asks for and nobody has promised; unlike to the rule, to people a case that isn't open yet lacks all of it."""
    return case.claim - case.promised if case.status == "submitted" else case.lacks


def _three(case: Case) -> dict[str, int]:
    return {"promised": case.promised, "settled": case.settled, "delivered": case.delivered}


def _three_of(award: Award) -> dict[str, int]:
    return {"promised": award.amount, "settled": award.settled, "delivered": award.delivered}


def _award_data(award: Award) -> dict[str, Any]:
    return {
        "award": award.id, "pledge": award.pledge.id, "case": award.case.id, "need": award.case.need, "given": award.given,
        **_three_of(award), "at": award.made.at, "entry": award.made.entry, "why": award.why,
    }  # fmt: skip

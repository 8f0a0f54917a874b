"""Answers: every command has exactly one, in order, and each says what became of the command; each thing happens once.

An answer is one entry, or several with the same cause of which all but the last say `more`. Its facts tell one of three things of the
command: the effect it asked for, with its very data; `duplicate`; or `rejected`. What has a business id takes effect once; the same
again is a duplicate, the same id with other data a conflict (contract, 5: identity). Restatements (configuration, amendment, rate)
have no id of their own and may take effect again. What a wall clock stamped more than two minutes after its append has no effect.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from tests.soak.check.findings import Findings
from tests.soak.check.records import Raw
from tests.soak.check.sentfile import canonical, digest_of

TICK = "pumasi.clock.ticked"
Entry = dict[str, Any]
_EFFECTS: dict[str, tuple[str, dict[str, str]]] = {
    "pumasi.fund.configured": ("fund_configured", {name: name for name in (
        "currency", "rule", "share", "weights", "ageing_days", "deadline_hours", "vouchers_required",
        "forget_after_days")}),
    "pumasi.case.submitted": ("case_submitted", {name: name for name in (
        "case", "beneficiary", "need", "route", "goal", "own_contribution", "priority", "needed_by", "recurrence",
        "mark")}),
    "pumasi.case.vouched": ("case_vouched", {"case": "case", "voucher": "voucher"}),
    "pumasi.case.amended": ("case_amended", {"case": "case"}),
    "pumasi.case.delivered": ("case_delivered", {"case": "case", "delivery": "delivery", "amount": "amount"}),
    "pumasi.case.thanked": ("case_thanked", {"case": "case", "thanks": "thanks"}),
    "pumasi.case.closed": ("case_closed", {"case": "case", "outcome": "outcome"}),
    "pumasi.pledge.made": ("pledge_accepted", {
        "pledge": "pledge", "donor": "donor", "face": "amount", "currency": "currency", "designation": "designation",
        "expires_at": "expires_at", "recurrence": "recurrence"}),
    "pumasi.pledge.withdrawn": ("pledge_withdrawn", {"pledge": "pledge"}),
    "pumasi.payment.received": ("payment_received", {"pledge": "pledge", "payment": "payment", "face": "amount"}),
    "pumasi.payment.failed": ("payment_failed", {"pledge": "pledge", "payment": "payment", "reason": "reason"}),
    "pumasi.payment.refunded": ("refunded", {"pledge": "pledge", "payment": "payment", "amount": "amount"}),
    "pumasi.rate.quoted": ("rate_quoted", {"currency": "currency", "rate": "rate"}),
}  # fmt: skip
"""Type → the fact of its effect, and which of the fact's members repeat which of the command's."""

_IDENTITY: dict[str, tuple[str, ...]] = {
    "pumasi.case.submitted": ("case",), "pumasi.case.vouched": ("case", "voucher"), "pumasi.case.delivered": ("delivery",),
    "pumasi.case.thanked": ("case", "thanks"), "pumasi.pledge.made": ("pledge",), "pumasi.payment.received": ("payment",),
    "pumasi.payment.failed": ("payment",), "pumasi.payment.refunded": ("payment",), "pumasi.case.closed": ("case",),
    "pumasi.pledge.withdrawn": ("pledge",),
}  # fmt: skip
"""Type → the members that make two commands the same thing, within a fund."""
_CONFLICT = {"pumasi.case.closed": "case_closed"}  # else id_conflict


class Command(NamedTuple):
    """A command that can be read: where it lies, its attributes, its data; whether a clock that was ahead stamped it."""

    record: Raw
    source: str
    id: str
    type: str
    data: dict[str, Any]
    ahead: bool = False


class Answered(NamedTuple):
    """A command and what became of it: `effect`, `duplicate`, `rejected: <code>`, `ticked`, `unreadable`, `no answer`, `?`."""

    record: Raw
    command: Command | None
    became: str
    entries: list[Entry]


def read_command(record: Raw) -> Command | None:
    """A record as a command; None if even we can't read it."""
    try:
        headers = {name: value.decode() for name, value in record.headers if value is not None}
        data = json.loads(record.value or b"")
        found = Command(
            record, headers["ce_source"], headers["ce_id"], headers["ce_type"], canonical(data), _ahead(record, headers)
        )
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None
    return found if found.type == TICK or found.type in _EFFECTS else None


def _ahead(record: Raw, headers: dict[str, str]) -> bool:
    if headers.get("pumasi_clock") != "wall":
        return False
    appended = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=record.timestamp)
    return datetime.fromisoformat(headers["ce_time"]) - appended > timedelta(minutes=2)


def is_poison(record: Raw, poison: set[tuple[str, int, str]], topic: str) -> bool:
    """Whether a record is one that was sent as poison."""
    return (topic, record.partition, digest_of(record.key, record.value, record.headers)) in poison


class Answers:
    """Pairs one partition's commands with its entries.

    Attributes:
        became: how often what became of commands.

    """

    def __init__(self, partition: int, findings: Findings, poison: Callable[[Raw], bool]) -> None:
        self._partition, self._findings, self._poison = partition, findings, poison
        self._effective: dict[tuple[str, ...], dict[str, Any]] = {}
        self.became: Counter[str] = Counter()

    def pair(self, commands: Iterable[Raw], entries: Iterable[Entry]) -> Iterator[Answered]:
        """Every command with its answer, in order; what has none, or no command, is found."""
        groups = self._groups(entries)
        group = next(groups, None)
        for record in commands:
            while group and group[0]["cause"]["offset"] < record.offset:
                self._unexplained(group)
                group = next(groups, None)
            if not group or group[0]["cause"]["offset"] > record.offset:
                self._findings.add(
                    "no_answer", f"commands {self._partition}, offset {record.offset}", "it has no entry"
                )
                yield Answered(record, self._read(record), "no answer", [])
                continue
            yield self._answered(record, group)
            group = next(groups, None)
        while group:
            self._unexplained(group)
            group = next(groups, None)

    def _groups(self, entries: Iterable[Entry]) -> Iterator[list[Entry]]:
        group: list[Entry] = []
        for entry in entries:
            if group and entry["cause"] != group[0]["cause"]:
                self._find("torn_answer", group[-1], "it says more, and another command's entry follows")
                yield group
                group = []
            group.append(entry)
            if not entry.get("more"):
                yield group
                group = []
        if group:
            self._find("torn_answer", group[-1], "it says more, and nothing follows")
            yield group

    def _unexplained(self, group: list[Entry]) -> None:
        for entry in group:
            self._find("unexplained_entry", entry, f"no command at offset {entry['cause']['offset']} is left for it")

    def _answered(self, record: Raw, group: list[Entry]) -> Answered:
        command = self._read(record)
        became = self._unreadable(record, group) if command is None else self._readable(command, group)
        self.became[became] += 1
        return Answered(record, command, became, group)

    def _read(self, record: Raw) -> Command | None:
        return None if self._poison(record) else read_command(record)

    def _unreadable(self, record: Raw, group: list[Entry]) -> str:
        facts = [(fact["fact"], fact.get("code")) for entry in group for fact in entry["facts"]]
        if facts != [("rejected", "unreadable")] or group[0]["cause"]["id"] is not None:
            self._find("read_poison", group[0], f"the record at offset {record.offset} can't be read, but was")
            return "?"
        return "unreadable"

    def _readable(self, command: Command, group: list[Entry]) -> str:
        cause, fund = group[0]["cause"], command.data.get("fund")
        if (cause["id"], cause["type"], group[0]["fund"]) != (command.id, command.type, fund):
            self._find("wrong_cause", group[0], "its cause or its fund is not the command's")
        facts = [fact for entry in group for fact in entry["facts"]]
        if any(fact["fact"] == "rejected" and fact["code"] == "unreadable" for fact in facts):
            self._find("unread_command", group[0], f"the command at offset {command.record.offset} is plain to read")
            return "?"
        refused = [fact["code"] for fact in facts if fact["fact"] == "rejected"] == ["clock_ahead"]
        if command.ahead != refused or (refused and len(facts) > 1):
            self._find(
                "wrong_clock", group[0], f"its clock was {'' if command.ahead else 'not '}ahead when it was stamped"
            )
            return "?"
        if refused:
            return "rejected: clock_ahead"
        became = self._became(command, facts, group)
        if command.type in _IDENTITY:
            self._check_identity(command, became, group)
        return became

    def _became(self, command: Command, facts: list[dict[str, Any]], group: list[Entry]) -> str:
        said = [f"rejected: {fact['code']}" for fact in facts if fact["fact"] == "rejected"]
        said += ["duplicate" for fact in facts if fact["fact"] == "duplicate"]
        if command.type == TICK:
            if said:
                self._find("wrong_effect", group[0], "a tick can't be refused")
            return "ticked"
        name, members = _EFFECTS[command.type]
        for fact in (fact for fact in facts if fact["fact"] == name):
            said.append("effect")
            wanted = {member: command.data.get(given) for member, given in members.items()}
            if {member: canonical(fact).get(member) for member in members} != wanted:
                self._find("wrong_effect", group[0], f"{name} does not say what the command said")
        if len(said) != 1:
            self._find("wrong_effect", group[0], f"of one {command.type} it says {said or 'nothing'}")
        return said[0] if said else "?"

    def _check_identity(self, command: Command, became: str, group: list[Entry]) -> None:
        key = (command.type, command.data["fund"], *(command.data[name] for name in _IDENTITY[command.type]))
        conflict = f"rejected: {_CONFLICT.get(command.type, 'id_conflict')}"
        said = {name: value for name, value in command.data.items() if name != "access_box"}  # sealed anew each time
        before = self._effective.get(key)
        if before is None:
            if became == "effect":
                self._effective[key] = said
            elif became == "duplicate":
                self._find("false_duplicate", group[0], f"nothing like this {command.type} took effect before")
            elif became == "rejected: id_conflict":
                self._find("false_conflict", group[0], f"no {command.type} with this id took effect before")
        elif became == "effect":
            self._find("applied_twice", group[0], f"this {command.type} took effect before")
        elif before == said and became != "duplicate":
            self._find("false_conflict", group[0], f"it repeats a {command.type} and became {became}")
        elif before != said and became != conflict:
            self._find("missed_conflict", group[0], f"another {command.type} has this id, and it became {became}")

    def _find(self, code: str, entry: Entry, text: str) -> None:
        self._findings.add(code, f"ledger {self._partition}, entry {entry['seq']}", text)

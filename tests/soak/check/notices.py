"""Notices: what was told, on the topic and to the webhook, against what had to be told.

Each telling at least once, always under its one id; nothing that no entry says. The notices topic records what was tried; the
receiver's own file says what arrived.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable

from tests.soak.check.findings import Findings
from tests.soak.check.records import Raw
from tests.soak.check.tellings import Telling


class Notices:
    """Holds notices against tellings.

    Attributes:
        outcomes: of the records on the topic.
        repeats: tellings beyond the first, on the topic and at the receiver.

    """

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._due: dict[str, tuple[str, Telling]] = {}
        self._ids: dict[tuple[str, str, str, str, str, str], str] = {}
        self._recorded: Counter[str] = Counter()
        self._arrived: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.repeats: Counter[str] = Counter()

    @property
    def due(self) -> int:
        """How many different things had to be told."""
        return len(self._due)

    def expect(self, entry: str, fund: str, telling: Telling) -> None:
        """Something had to be told because of an entry (`<partition>-<seq>`)."""
        self._due[telling.id(entry, fund)] = entry, telling

    def take(self, record: Raw) -> None:
        """A record of the notices topic."""
        where = f"notices {record.partition}, offset {record.offset}"
        try:
            notice = json.loads(record.value or b"")
            name = notice["id"]
        except (ValueError, KeyError, TypeError):
            self._findings.add("altered_notice", where, "it is not a notice")
            return
        if name != record.header("ce_id") or record.key != notice["to"].encode():
            self._findings.add("altered_notice", where, "its headers or its key are not its own")
        self.outcomes[notice["outcome"]] += 1
        self._recorded[name] += 1
        self.repeats["topic"] += self._recorded[name] > 1
        if notice["outcome"] != "delivered" or notice["channel"] != "webhook":
            self._findings.add("notice_not_delivered", where, f"{notice['outcome']} by {notice['channel']}")
        self._hold(name, notice, where)

    def arrived(self, lines: Iterable[str]) -> None:
        """The receiver's file."""
        for number, line in enumerate(lines, 1):
            told = json.loads(line)
            self._arrived[told["id"]] += told["n"]
            self.repeats["receiver"] += told["n"] - 1
            self._hold(told["id"], told["data"], f"receiver's file, line {number}")

    def _hold(self, name: str, notice: dict[str, object], where: str) -> None:
        """Hold one notice against the telling of its id; and its matter against the id it had before."""
        about = notice.get("pledge") if notice["role"] == "donor" else notice.get("case")
        matter = tuple(
            str(part) for part in (notice["entry"], notice["fund"], notice["to"], notice["role"], notice["kind"], about)
        )
        if self._ids.setdefault(matter, name) != name:
            self._findings.add("two_ids", where, f"the same was told as {self._ids[matter]} and as {name}")
        due = self._due.get(name)
        if due is None:
            self._findings.add("told_without_entry", where, f"no entry says what {notice['kind']} {name} tells")
            return
        entry, telling = due
        told = (notice["entry"], notice["to"], notice["role"], notice["kind"], about)
        if told != (entry, telling.to, telling.role, telling.kind, telling.about) or (
            telling.figure and notice.get(telling.figure, 0) != telling.amount
        ):
            self._findings.add("altered_notice", where, f"{name} does not say what entry {entry} says")

    def finish(self) -> None:
        """Look for what was never told."""
        for name, (entry, telling) in self._due.items():
            if not self._recorded[name]:
                self._findings.add(
                    "untold", f"entry {entry}", f"{telling.kind} about {telling.about} ({name}) is not on the topic"
                )
            if not self._arrived[name]:
                self._findings.add(
                    "untold", f"entry {entry}", f"{telling.kind} about {telling.about} ({name}) never arrived"
                )

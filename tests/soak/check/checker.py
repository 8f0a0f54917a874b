"""The check as a whole: partition by partition, then what goes across.

`check_cluster` reads a live broker; `Check` takes records from wherever they come, so that it can be tried on topics that were
tampered with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.soak.check import letters, marks, records
from tests.soak.check.answers import Answered, Answers, Entry, is_poison
from tests.soak.check.chain import Chain
from tests.soak.check.commands import Commands, tell_submissions
from tests.soak.check.findings import Findings
from tests.soak.check.money import Fund, Happened, Impossible
from tests.soak.check.notices import Notices
from tests.soak.check.records import Raw
from tests.soak.check.sentfile import SentFile, read_sent
from tests.soak.check.tellings import tellings

LEAKS = (b"leak-marker", b"13800138000")
"""What a soak sends as contacts, free text and payments' references, and nobody may tell on."""


class Check:
    """One check. Call `partition` for each, then the others, then `finish`.

    Args:
        partitions: of commands and ledger.
        sent: what was sent.

    Attributes:
        figures: counts by name, for the report.

    """

    def __init__(self, partitions: int, sent: SentFile) -> None:
        self.findings = Findings()
        self.figures: Counter[str] = Counter()
        self._sent = sent
        self._poison = set(sent.poison)
        self._commands = Commands(partitions, sent, self.findings)
        self._notices = Notices(self.findings)
        self._unreadable: set[tuple[int, int]] = set()
        self._letters: Counter[tuple[str, int, int]] = Counter()

    def partition(
        self, number: int, commands: Iterable[Raw], ledger: Iterable[Raw], checkpoints: Iterable[Raw] = ()
    ) -> None:
        """Commands, ledger and checkpoints of one partition."""
        chain = Chain(number, self.findings)
        answers = Answers(number, self.findings, lambda record: is_poison(record, self._poison, "commands"))
        books = Books(number, self.findings)
        entries = (entry for record in ledger if (entry := self._entry(chain, record)) is not None)
        for answered in answers.pair(commands, entries):
            self.figures["commands"] += 1
            self._commands.take(answered)
            if not answered.entries:
                continue
            if answered.became == "unreadable":
                self._unreadable.add((number, answered.record.offset))
            for name, fund, telling in books.take(answered):
                self._notices.expect(name, fund, telling)
        for became, count in answers.became.items():
            self.figures[became] += count
        self.figures["pledges"] += books.pledges
        newest = marks.current(self._looked_through(checkpoints, "checkpoints"))
        if marks.check_marks(number, newest, chain.hashes, self.findings) is not None:
            self.figures["checkpoints"] += 1

    def letters(self, found: Iterable[Raw]) -> None:
        """All dead letters."""
        self._letters = letters.places_of(self._looked_through(found, "dead letters"), self.findings)
        self.figures["dead letters"] = sum(self._letters.values())
        letters.hold(self._letters, self._unreadable, self.findings)

    def submissions(self, left: Iterable[Raw]) -> None:
        """What is left of the submissions topic; after the partitions and the letters."""
        self.figures["submissions on the topic"] = tell_submissions(
            left, self._sent, self._commands, set(self._letters), self.findings
        )

    def notices(self, found: Iterable[Raw]) -> None:
        """Notices, in portions if need be; after the partitions."""
        for record in self._looked_through(found, "notices"):
            self.figures["notices"] += 1
            self._notices.take(record)

    def receiver(self, lines: Iterable[str]) -> None:
        """The receiver's file."""
        self._notices.arrived(lines)

    def finish(self) -> Findings:
        """Look for what is missing; all findings."""
        self._commands.finish()
        self._notices.finish()
        self.figures["tellings"] = self._notices.due
        self.figures["told again"] = self._notices.repeats["receiver"]
        self.figures["commands sent twice"] = self._commands.copies
        self.figures["restated again"] = self._commands.again
        return self.findings

    def _entry(self, chain: Chain, record: Raw) -> Entry | None:
        self.figures["entries"] += 1
        self._look_through(record, "ledger")
        return chain.take(record)

    def _looked_through(self, found: Iterable[Raw], topic: str) -> Iterable[Raw]:
        for record in found:
            self._look_through(record, topic)
            yield record

    def _look_through(self, record: Raw, topic: str) -> None:
        """Nothing that was told in confidence may stand in what a service writes."""
        parts = [record.key, record.value, *(value for _, value in record.headers)]
        if any(leak in part for part in parts if part for leak in LEAKS):
            self.findings.add(
                "leak", f"{topic} {record.partition}, offset {record.offset}", "it holds what was told in confidence"
            )


class Books:
    """The money of one partition, fund by fund.

    Attributes:
        pledges: how many were accepted.

    """

    def __init__(self, partition: int, findings: Findings) -> None:
        self._partition, self._findings = partition, findings
        self._funds: dict[str, Fund] = {}
        self._unsound = False
        self.pledges = 0

    def take(self, answered: Answered) -> list[tuple[str, str, Any]]:
        """Take in an answer; what it has to tell: entry, fund, telling. Nothing more once the facts have become impossible."""
        name = f"{self._partition}-{answered.entries[-1]['seq']}"
        happened: dict[str, Happened] = {}
        for entry in answered.entries:
            for fact in entry["facts"]:
                of = fact.get("fund") or entry["fund"]
                if of is not None and not self._unsound:
                    self._fact(fact, of, happened, name)
        told = []
        for of, one in happened.items():
            fund = self._funds[of]
            for code, text in fund.sums(one):
                self._findings.add(code, f"ledger {self._partition}, entry {answered.entries[-1]['seq']}", text)
            told += [(name, of, telling) for telling in tellings(fund, one)]
        return told

    def _fact(self, fact: dict[str, Any], of: str, happened: dict[str, Happened], name: str) -> None:
        fund = self._funds.setdefault(of, Fund(of))
        try:
            fund.take(fact, happened.setdefault(of, Happened()))
        except Impossible as wrong:
            self._unsound = True
            self._findings.add(
                "impossible_fact", f"ledger {self._partition}, entry {name.partition('-')[2]}", str(wrong)
            )
        self.pledges += fact["fact"] == "pledge_accepted"


async def check_cluster(
    kafka: records.Kafka, sent: Path, told: Path, progress: Callable[[str], None] = lambda _text: None
) -> Check:
    """Check everything on a broker against what was sent and what arrived.

    Args:
        kafka: where it answers, and how to connect as somebody who may read everything.
        sent, told: the files of senders and receiver.
        progress: told what is being looked at.

    """
    with sent.open(encoding="utf-8") as lines:
        known = read_sent(lines)
    numbers = await records.partitions_of(kafka, records.COMMANDS)
    check = Check(len(numbers), known)

    async def all_of(topic: str, places: Sequence[int]) -> list[Raw]:
        return [record for place in places for record in await records.read_all(kafka, topic, place)]

    for number in numbers:
        progress(f"partition {number + 1} of {len(numbers)}: commands, ledger, money")
        wanted = (records.COMMANDS, records.LEDGER, records.CHECKPOINTS)
        check.partition(number, *[await all_of(topic, [number]) for topic in wanted])
    progress("dead letters, submissions")
    check.letters(await all_of(records.DEADLETTERS, await records.partitions_of(kafka, records.DEADLETTERS)))
    check.submissions(await all_of(records.SUBMISSIONS, await records.partitions_of(kafka, records.SUBMISSIONS)))
    progress("notices")
    for place in await records.partitions_of(kafka, records.NOTICES):
        async for portion in records.read(kafka, records.NOTICES, place):
            check.notices(portion)
    with told.open(encoding="utf-8") as lines:
        check.receiver(lines)
    check.finish()
    return check

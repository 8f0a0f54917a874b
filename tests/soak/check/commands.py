"""Commands against what was sent: nothing that was promised is missing, nothing is there that nobody sent, nothing was altered.

A 202 means a command. What Kafka took on the submissions topic means a command, or a dead letter if its id came with other data.
What was sent and neither acknowledged nor refused may be there or not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from tests.soak.check.answers import TICK, Answered
from tests.soak.check.findings import Findings
from tests.soak.check.records import COMMANDS, SUBMISSIONS, Raw
from tests.soak.check.sentfile import Name, SentFile, Submission, digest_of, same

_M, _MASK = 0x5BD1E995, 0xFFFFFFFF
_INTAKE = "/pumasi/intake"


class Commands:
    """Holds commands against submissions.

    Attributes:
        copies: commands beyond the first of one submission.
        again: restatements that took effect more than once.

    """

    def __init__(self, partitions: int, sent: SentFile, findings: Findings) -> None:
        self._partitions, self._sent, self._findings = partitions, sent, findings
        self._found: defaultdict[int, list[str]] = defaultdict(
            list
        )  # id of the submission → what became of its commands
        self._poison: Counter[tuple[str, int, str]] = Counter()
        self.copies = self.again = 0

    def take(self, answered: Answered) -> None:
        """A command of any partition."""
        record, command = answered.record, answered.command
        where = f"commands {record.partition}, offset {record.offset}"
        if command is None:
            place = ("commands", record.partition, digest_of(record.key, record.value, record.headers))
            self._poison[place] += 1
            if place not in self._sent.poison:
                self._findings.add("invented_command", where, "it can't be read, and nobody sent it")
            return
        if command.type == TICK and command.source == _INTAKE:
            return
        found = self._submission((command.source, command.id), command.type, command.data)
        if found is None:
            known = (command.source, command.id) in self._sent.submissions
            text = "its data are not what was sent" if known else "nobody sent it"
            self._findings.add("altered_command" if known else "invented_command", where, text)
            return
        self._found[id(found)].append(answered.became)
        fund = command.data["fund"]
        if record.key != fund.encode() or partition_of(fund, self._partitions) != record.partition:
            self._findings.add("wrong_partition", where, "its key or its partition is not its fund's")

    def _submission(self, name: Name, kind: str, data: dict[str, object]) -> Submission | None:
        for one in self._sent.submissions.get(name, ()):
            if one.type == kind and same(one.data, data):
                return one
        return None

    def arrived(self, submission: Submission) -> bool:
        """Whether a submission, as it was sent, has become a command."""
        return bool(self._found.get(id(submission)))

    def finish(self) -> None:
        """Look for what is missing; call when all partitions are taken in."""
        for (source, event), ones in self._sent.submissions.items():
            for one in ones:
                became = self._found.get(id(one), [])
                if one.acked_by_http and not became:
                    self._findings.add(
                        "lost_submission", f"{source} {event}", f"{one.type} was acknowledged and is no command"
                    )
                self.copies += max(0, len(became) - 1)
                self.again += max(0, became.count("effect") - 1)
        for place, (_tried, acked) in self._sent.poison.items():
            if place[0] == "commands" and self._poison[place] < acked:
                self._findings.add(
                    "lost_submission",
                    f"{COMMANDS} {place[1]}",
                    f"{acked} poison records were taken, {self._poison[place]} are there",
                )


def tell_submissions(left: Iterable[Raw], sent: SentFile, commands: Commands, letters: set[tuple[str, int, int]],
                     findings: Findings) -> int:  # fmt: skip
    """Hold what Kafka took on the submissions topic against commands and dead letters; how many records these were.

    Args:
        left: what is still there, though all is answered.
        letters: the places of the records that have a dead letter.

    """
    taken = [(place, one, len(ones) > 1) for ones in sent.submissions.values() for one in ones for place in one.places]
    for place, one, conflicts in taken:
        has_letter = (SUBMISSIONS, *place) in letters
        if not commands.arrived(one) and not (has_letter and conflicts):
            text = "it is no command" + (", but a dead letter" if has_letter else "")
            findings.add("lost_submission", _where(*place), text)
    for place in sent.poison_places:
        if (SUBMISSIONS, *place) not in letters:
            findings.add("lost_letter", _where(*place), "it can't be taken, and has no dead letter")
    for record in left:
        if record.key or record.value or record.header("pumasi.empty") is None:
            findings.add("kept_submission", _where(record.partition, record.offset), "it is answered, and can be read")
    return len(taken) + len(sent.poison_places)


def _where(partition: int, offset: int) -> str:
    return f"submissions {partition}, offset {offset}"


def partition_of(fund: str, partitions: int) -> int:
    """Kafka's murmur2 of the fund, modulo the number of partitions (contract, 2)."""
    data = fund.encode()
    h = 0x9747B28C ^ len(data)
    for i in range(0, len(data) & ~3, 4):
        k = int.from_bytes(data[i : i + 4], "little") * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    if tail := data[len(data) & ~3 :]:
        h = (h ^ int.from_bytes(tail, "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return ((h ^ h >> 15) & 0x7FFFFFFF) % partitions

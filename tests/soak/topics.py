"""Topics as an honest Pumasi leaves them, made in this process without a broker: for the soak's checker, and to be tampered with.

The load's own events pass intake's admission, the engine's answers, the dead-letter rules and the notifier's audience, each as the
services call them. Some are delivered twice, as after a crash.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from nacl.public import PrivateKey

from schemas.ledger import GENESIS
from schemas.notices import notice_headers
from schemas.times import parse, text_of
from services.bus.deadletters.letter import dead_letter
from services.bus.envelope import command_headers, entry_headers
from services.bus.partition import partition_of
from services.bus.topics import COMMANDS, SUBMISSIONS
from services.errors import PumasiError
from services.intake.admission import Admitted, admit
from services.intake.cloudevents import STRUCTURED, read_record
from services.intake.cloudevents import Event as Read
from services.intake.contacts import Sealer
from services.intake.senders import Known
from services.matcher.checkpoint.writing import Head, Keeper
from services.matcher.engine.engine import Engine
from services.matcher.ledger.answer import answer, linked
from services.notifier.audience import Audience
from services.notifier.phrases import in_words
from tests.soak.check.checker import Check
from tests.soak.check.findings import Findings
from tests.soak.check.records import Raw
from tests.soak.check.sentfile import ID_KEY, PSEUDONYM_KEY, SENDER, read_sent
from tests.soak.doors import cloud_event
from tests.soak.load import START, Event, Load
from tests.soak.poison import poison
from tests.soak.sent import Sent, digest_of

PARTITIONS = 4
TICK_EVERY = 40
_START = parse(START.isoformat())


class OnTopic(NamedTuple):
    """A record as services read it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    timestamp: int = 0


@dataclass
class Topics:
    """All that a soak leaves behind."""

    sent: list[str] = field(default_factory=list)
    submissions: list[Raw] = field(default_factory=list)
    """What is left of them once all are answered."""
    commands: dict[int, list[Raw]] = field(default_factory=lambda: {n: [] for n in range(PARTITIONS)})
    ledger: dict[int, list[Raw]] = field(default_factory=lambda: {n: [] for n in range(PARTITIONS)})
    checkpoints: dict[int, list[Raw]] = field(default_factory=lambda: {n: [] for n in range(PARTITIONS)})
    letters: list[Raw] = field(default_factory=list)
    notices: list[Raw] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def check(self) -> tuple[Findings, dict[str, int]]:
        """What the checker finds, and its figures."""
        check = Check(PARTITIONS, read_sent(self.sent))
        for number in range(PARTITIONS):
            check.partition(number, self.commands[number], self.ledger[number], self.checkpoints[number])
        check.letters(self.letters)
        check.submissions(self.submissions)
        check.notices(self.notices)
        check.receiver(self.told)
        return check.finish(), dict(check.figures)


def honest(directory: Path, seed: int = 1, events: int = 1500) -> Topics:
    """The topics after a load of so many events."""
    made = _Honest(Load(seed, 50.0, events / 50, PARTITIONS, 3), directory)
    return made.topics


class _Honest:
    def __init__(self, load: Load, directory: Path) -> None:
        self.topics = Topics()
        self._sealer = Sealer(PSEUDONYM_KEY, PrivateKey.generate().public_key, id_key=ID_KEY)
        self._known: dict[tuple[str, str, str], str] = {}
        self._submissions = 0
        self._sent = Sent(directory / "sent.jsonl")
        self._moment = _START
        for number, event in enumerate([*load.opening(), *load.events()]):
            if number % TICK_EVERY == 0:
                self._tick()
            self._moment = parse(event.time) if event.time else self._moment
            self._poison(event) if event.sent_as == "poison" else self._send(event)
        self._sent.close()
        self.topics.sent = (directory / "sent.jsonl").read_text().splitlines()
        for number in range(PARTITIONS):
            self._match(number)
            self._tell(number)

    def _send(self, event: Event) -> None:
        self._sent.trying(event)
        if event.door == "topic":
            self._by_topic(event)
            return
        data = json.dumps(event.data).encode()
        time = None if event.time is None else parse(event.time)
        admitted = admit(
            Read(event.id, event.source, event.type, time, data), self._sealer, Known(SENDER), clear_contact=True
        )
        if self._known.get(admitted.key, admitted.mac) != admitted.mac and event.number % 2:
            self._sent.refused(event, 409)
            return
        self._command(admitted, event.number)
        self._sent.taken(event)

    def _by_topic(self, event: Event) -> None:
        body = json.dumps(cloud_event(event)).encode()
        record = self._submission(0, event.data["fund"].encode(), body, [("content-type", STRUCTURED.encode())])
        self._sent.taken(event, (0, record.offset))
        admitted = admit(read_record(record), self._sealer, Known(SENDER), clear_contact=False)
        if self._known.get(admitted.key, admitted.mac) != admitted.mac and event.number % 2:
            self._letter(dead_letter(record, "id_conflict", "an event with this id came before"))
        else:
            self._command(admitted, event.number)

    def _submission(self, place: int, key: bytes | None, value: bytes | None, headers: list) -> OnTopic:
        """It is deleted once it is answered, so only its offset is kept."""
        self._submissions += 1
        return OnTopic(SUBMISSIONS, place, self._submissions - 1, key, value, headers)

    def _command(self, admitted: Admitted, number: int) -> None:
        """One command; two where a crash made intake forget."""
        self._known.setdefault(admitted.key, admitted.mac)
        place = partition_of(admitted.fund, PARTITIONS)
        headers = command_headers(admitted.type, admitted.id, admitted.source, text_of(admitted.time or self._moment))
        for _ in range(1 + (number % 31 == 0)):
            self._put(place, admitted.fund.encode(), admitted.value, headers)

    def _put(self, place: int, key: bytes | None, value: bytes | None, headers: list) -> None:
        self.topics.commands[place].append(Raw(place, len(self.topics.commands[place]), key, value, headers))

    def _tick(self) -> None:
        headers = command_headers(
            "pumasi.clock.ticked", f"tick-{self._moment}", "/pumasi/intake", text_of(self._moment)
        )
        for place in range(PARTITIONS):
            self._put(place, None, b"{}", headers)

    def _poison(self, event: Event) -> None:
        key, value, headers = poison(event.data["topic"], event.type, event.data["fund"], event.id)
        self._sent.trying_poison(event, digest_of(key, value, headers))
        place = event.data["partition"]
        if event.data["topic"] == "commands":
            self._put(place, key, value, headers)
            offset = len(self.topics.commands[place]) - 1
        else:
            record = self._submission(place, key, value, headers)
            offset = record.offset
            try:
                admit(read_record(record), self._sealer, Known(SENDER), clear_contact=False)
            except PumasiError as error:
                self._letter(dead_letter(record, error.code, "it can't be taken"))
        self._sent.taken(event, (place, offset))

    def _letter(self, letter: Any) -> None:
        self.topics.letters.append(Raw(0, len(self.topics.letters), letter.key, letter.value, letter.headers))

    def _match(self, number: int) -> None:
        engine, keeper, seq, digest = Engine(), Keeper(), 0, GENESIS
        for raw in self.topics.commands[number]:
            record = OnTopic(COMMANDS, *raw)
            made = answer(engine, record, PARTITIONS, seq)
            values, digest = linked(made, digest)
            for value in values:
                seq += 1
                key = made.fund.encode() if made.fund else None
                headers = entry_headers(number, seq, made.time)
                self.topics.ledger[number].append(Raw(number, seq - 1, key, value, headers))
            if hasattr(made.command, "detail"):
                self._letter(dead_letter(record, "unreadable", made.command.detail))
        head = keeper.head  # the whole state at once, as a first checkpoint has it
        rows = [row for portion in keeper.changes(engine) for row in portion]
        rows.append(head(engine, Head(seq, digest, self.topics.commands[number][-1].offset, 0)))
        self.topics.checkpoints[number] = [Raw(number, at, key, value, []) for at, (key, value) in enumerate(rows)]

    def _tell(self, number: int) -> None:
        audience = Audience(number)
        for raw in self.topics.ledger[number]:
            for tidings in audience.hear(json.loads(raw.value)):
                told = {"told_at": START, "channel": "webhook", "outcome": "delivered", "attempts": 1}
                notice = in_words(tidings, "en").model_copy(update=told)
                headers = [
                    (name, value.encode()) for name, value in notice_headers(notice, "2031-01-01T00:00:00Z").items()
                ]
                times = 1 + (len(self.topics.notices) % 17 == 0)
                for _ in range(times):
                    at = len(self.topics.notices)
                    self.topics.notices.append(Raw(0, at, notice.to.encode(), notice.wire(), headers))
                data = tidings.model_dump(mode="json", by_alias=True, exclude_defaults=True)
                self.topics.told.append(json.dumps({"id": tidings.id, "n": times, "data": data}))


# ---- tampering with a ledger


def entries(ledger: list[Raw]) -> Iterator[dict[str, Any]]:
    """Decoded."""
    return (json.loads(raw.value) for raw in ledger)


def rechained(partition: int, changed: list[dict[str, Any]]) -> list[Raw]:
    """A ledger of these entries, numbered and hashed anew: what somebody would write who knows how."""
    made: list[Raw] = []
    last = bytes(32)
    for seq, entry in enumerate(changed, 1):
        entry = {**entry, "seq": seq}
        entry.pop("hash", None)
        body = json.dumps(entry, separators=(",", ":"), ensure_ascii=False).encode()
        digest = blake2b(last + body, digest_size=32)
        last = digest.digest()
        value = body[:-1] + b',"hash":"' + digest.hexdigest().encode() + b'"}'
        key = entry["fund"].encode() if entry["fund"] else None
        made.append(Raw(partition, seq - 1, key, value, entry_headers(partition, seq, entry["at"])))
    return made


def edited(topics: Topics, edit: Callable[[list[dict[str, Any]]], Any], partition: int = 0) -> None:
    """Change a partition's entries as plain data, and chain them anew."""
    changed = list(entries(topics.ledger[partition]))
    edit(changed)
    topics.ledger[partition] = rechained(partition, changed)


def that_says(ledger: list[dict[str, Any]], fact: str, nth: int = 0) -> tuple[dict[str, Any], dict[str, Any]]:
    """The n-th entry that says a fact, and the fact."""
    found = [(entry, one) for entry in ledger for one in entry["facts"] if one["fact"] == fact]
    return found[nth]

"""The topic door: submissions from `pumasi.submissions.v1`, by FastStream's batch subscription.

Anything may come: null headers, words that are no UTF-8, broken JSON. A crash may bring a batch again: a record that has its
command already is only acknowledged (`submissions`), and a dead letter is written once, whichever process meets its record again.
The handler raises what is amiss; `partitions` tries again and acknowledges.

An event that came before and is undecided is waited for, as long as it takes, and so are the records behind it: Kafka's own order.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any

from faststream import Context
from faststream.kafka import KafkaRouter

from schemas.submissions import SealedContact, SealedText
from schemas.violations import UNKNOWN_FIELD
from services.bus import heartbeat
from services.bus.app import Each, raw_batches, writes
from services.bus.consume.clearing import is_empty
from services.bus.consume.membership import Rebalance
from services.bus.deadletters.letter import UNKNOWN, Letter, dead_letter
from services.bus.deadletters.letterbox import Letterbox
from services.bus.envelope import Record
from services.bus.produce.publisher import Publisher
from services.bus.security import Bootstrap
from services.bus.topics import COMMANDS, CONTACTS, DEADLETTERS, SERVICES, SUBMISSIONS
from services.errors import Conflict, Finding, InvalidSubmission, PumasiError, Unsigned
from services.intake.admission import Admitted, admit
from services.intake.contacts import Sealer
from services.intake.findings import is_nearly_known
from services.intake.floods import Floods
from services.intake.partitions import Leaving, Partitions
from services.intake.receipts import Place
from services.intake.senders import Senders
from services.intake.sequencer import Desk
from services.intake.submissions import Submissions
from services.intake.turns import Turns
from services.metrics import EVENTS, LETTERS, REFUSALS, Metrics

GROUP = "pumasi-intake"
Refused = tuple[Record, str, Letter]
"""A record, the code of what is wrong with it, and its dead letter."""
log = logging.getLogger("pumasi.intake")

REASON_MAX = 4000
"""The longest reason that a dead letter gives, in characters."""
_RECORDS_PER_POLL_MAX = 1000
_SAID_AGAIN_SECONDS = 300.0
_LETTERS_SAID = "%(count)d submissions went to dead letters: %(codes)s; `pumasi deadletters list` says which and why"


def router_factory(
    session_timeout_ms: int, listener: Rebalance | None = None, middlewares: Sequence[Any] = ()
) -> KafkaRouter:
    """What intake reads and writes.

    Args:
        session_timeout_ms: silence after which the group gives our partitions to another.
        listener: learns which are ours.
        middlewares: decide what becomes of what the handler raises.
    """
    router = KafkaRouter(middlewares=middlewares)
    writes(
        router,
        "Intake",
        (SERVICES, heartbeat.ABOUT, Annotated[Any, Each("services")]),
        (COMMANDS, "Commands, in the order of their fund; key: the fund", Annotated[Any, Each("commands")]),
        (
            CONTACTS,
            "Sealed contacts and texts; key: the subject, or `<subject>/…`: pending",
            SealedContact | SealedText,
        ),
        (DEADLETTERS, "A submission that could not be read, as it came, without contacts; why: in its headers", bytes),
    )
    options = raw_batches(GROUP, _RECORDS_PER_POLL_MAX, session_timeout_ms)
    router.subscriber(SUBMISSIONS, title=f"{SUBMISSIONS}:Intake", listener=listener, **options)(submissions)
    return router


async def submissions(
    records: Annotated[Sequence[Record], Each("submissions")], door: Annotated[Any, Context()]
) -> None:
    """Submissions: CloudEvents, signed and so in structured mode. Each becomes a command, or a dead letter."""
    await door.bring(records)


class TopicDoor:
    """Brings submissions through. `partitions`: the partitions that are ours."""

    def __init__(
        self,
        bootstrap: Bootstrap,
        desk: Desk,
        publisher: Publisher,
        sealer: Sealer,
        senders: Senders,
        floods: Floods,
        metrics: Metrics | None = None,
    ) -> None:
        self._metrics = metrics or Metrics("intake")
        self._bootstrap, self._desk, self._publisher = bootstrap, desk, publisher
        self._sealer, self._senders, self._floods = sealer, senders, floods
        self._boxes: dict[int, Letterbox] = {}
        self._submissions = Submissions(bootstrap)
        self._said_at: float | None = None
        self.partitions = Partitions(publisher.in_reach, self._submissions.forget)

    async def close(self) -> None:
        for box in self._boxes.values():
            await box.close()

    async def bring(self, records: Sequence[Record]) -> None:
        """Commands in the order of their records, of one partition; what can't be one goes to dead letters."""
        good: list[tuple[Record, Admitted]] = []
        letters: list[Refused] = []
        turns, caught_up = Turns(), False
        for record in records:
            await turns.breathe()
            if is_empty(record):
                continue
            try:
                try:
                    admitted = self._admit(record)
                except Unsigned:
                    if caught_up:
                        raise
                    await self._senders.catch_up()  # a key that was made before its record was sent counts for it
                    caught_up = True
                    admitted = self._admit(record)
                good.append((record, admitted._replace(submission=str(Place(record.partition, record.offset)))))
            except PumasiError as error:
                letters.append(self._letter(record, error.code, told_on_topic(error)))
            except MemoryError:  # of ours, not of the record: the same record can be read another time
                raise
            except Exception as error:  # noqa: BLE001  # a bug of ours must not stop the neighbours
                told = {"event": "submission_not_checked", "partition": record.partition, "cause": type(error).__name__}
                log.error("a submission could not be checked (%(cause)s)", told)
                letters.append(self._letter(record, "internal", f"could not be checked ({type(error).__name__})"))
        await self._refuse(letters)
        if good:
            fresh = await self._submissions.fresh(good, self._publisher.partitions(COMMANDS))
            await self._refuse(await self._let_pass(fresh))

    def _admit(self, record: Record) -> Admitted:
        sender, event = self._senders.signing(record)
        return admit(event, self._sealer, sender, clear_contact=False)

    async def _let_pass(self, good: Sequence[tuple[Record, Admitted]]) -> list[Refused]:
        """All but those in conflict. A conflict refuses a batch whole: from there on they go one by one, to find those at fault."""
        letters, left, together = [], good, len(good)
        while left:
            if self.partitions.leaving.is_set():
                raise Leaving
            try:
                taken = await self._desk.take_decided([admitted for _, admitted in left[:together]])
            except Conflict as error:
                if together > 1:
                    together = 1
                    continue
                self._floods.count(left[0][1].sender)
                letters.append(self._letter(left[0][0], error.code, error.message))
                taken = 1
            if not taken:
                self._waits(left[0][0])
            left = left[taken:]
        return letters

    def _waits(self, record: Record) -> None:
        """Say, once and then rarely, that a record waits."""
        now = asyncio.get_running_loop().time()
        if self._said_at is None or now >= self._said_at + _SAID_AGAIN_SECONDS:
            self._said_at = now
            log.warning(
                "submissions wait for the matcher: partition %(partition)d, offset %(offset)d came before and is not decided yet",
                {"event": "submissions_wait", "partition": record.partition, "offset": record.offset},
            )

    async def _refuse(self, letters: Sequence[Refused]) -> None:
        """Write the letters, all of one partition, that are not written yet."""
        if not letters:
            return
        written = await self._box(letters[0][0].partition).put({record.offset: letter for record, _, letter in letters})
        codes = Counter(code for record, code, _ in letters if record.offset in written)
        for code, number in codes.items():
            self._metrics.count(LETTERS, code, by=number)
            self._metrics.count(REFUSALS, "topic", code, by=number)
            self._metrics.count(EVENTS, "topic", "refused", by=number)
        if codes:
            told = ", ".join(f"{number} {code}" for code, number in sorted(codes.items()))
            log.warning(
                _LETTERS_SAID if len(letters) > 1 else _LETTERS_SAID.replace("submissions", "submission", 1),
                {"event": "dead_letters", "count": len(letters), "codes": told},
            )

    def _letter(self, record: Record, code: str, why: str) -> Refused:
        return record, code, dead_letter(record, code, why, self._senders.funds_of(record))

    def _box(self, partition: int) -> Letterbox:
        if partition not in self._boxes:
            place = partition % self._publisher.partitions(DEADLETTERS)
            name = f"{GROUP}-letters-{partition}"
            self._boxes[partition] = Letterbox(self._bootstrap, SUBMISSIONS, partition, place, name)
        return self._boxes[partition]


def told_on_topic(error: PumasiError) -> str:
    """A dead letter's text of an error, in the words of the HTTP door, but without any name that may be somebody's."""
    if not isinstance(error, InvalidSubmission):
        return error.message
    told = dict.fromkeys(f"{_neutral(one)}: {one['message']} ({one['code']})" for one in error.findings)
    return "; ".join(told)[:REASON_MAX]


def _neutral(finding: Finding) -> str:
    """A finding's pointer; the member's own name, where the contract knows none nearly like it, is `?`."""
    around, _, name = finding["pointer"].rpartition("/")
    is_told = finding["code"] != UNKNOWN_FIELD or is_nearly_known(name)
    return finding["pointer"] if is_told else f"{around}/{UNKNOWN}"

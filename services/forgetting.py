"""Who is to be forgotten: the words on the contacts topic that belong to an address, or to a word for somebody.

An address has a word in each fund and role, so in every fund that the ledger speaks of; they are made as intake makes them, under
each pseudonym key that there is: a fund has words of one key, and words made with other keys are nobody's. The texts of thanks
for a beneficiary's cases belong to their word; the ids are in the ledger. The ledger itself stays: it holds words and sums, and
without the contact nothing leads from a word to anybody.

Of what an event brought that the ledger doesn't answer yet, nobody may know whose it is: words of thanks, or a contact in a fund that
the ledger doesn't speak of. A matcher that is about to answer is waited for, and what it leaves is counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from schemas.values import PHRASES
from services import keys
from services.bus.consume.scan import Extent, TopicReader
from services.bus.contacts import subject_of
from services.bus.envelope import CONTACT, Record
from services.bus.topics import COMMANDS, LEDGER
from services.errors import UsageError
from services.intake.ids import People
from services.intake.recipients import NoRecipient, recipient_of
from services.settings import Settings

ROLES: Final = ("beneficiary", "donor", "voucher")
ANSWERED_WITHIN_SECONDS: Final = 5.0
"""How long the answers to what stands on the commands topic are waited for."""
_LOOK_EVERY_SECONDS = 0.2
_TOLD: Final = (b'"case_submitted"', b'"case_thanked"')
_THANKED: Final = b"pumasi.case.thanked"


class Sought:
    """What belongs to somebody, as far as the ledger was read.

    Args:
        words: words for them, where these are known.
        person: who they are, as `recipients.Recipient.person` has it, where that is known.
        people: make words for people, one for each pseudonym key.
        fund: the only fund that is looked at; None: all.

    Attributes:
        subjects: words for them, in the order in which they were found; of texts too.
    """

    def __init__(self, words: list[str], person: str | None, people: Sequence[People], fund: str | None) -> None:
        self.subjects = dict.fromkeys(words)
        self._person, self._people, self._fund = person, people, fund
        self._funds: set[str] = set()
        self._cases: set[tuple[str, str]] = set()
        if fund is not None:
            self._meet(fund)

    def take(self, record: Record) -> None:
        """Take in the next record of a partition of the ledger."""
        if record.key and self._fund is None:
            self._meet(record.key.decode("utf-8", "replace"))
        value = record.value or b""
        if any(told in value for told in _TOLD):
            entry = msgspec.json.decode(value)
            for fact in entry["facts"]:
                self._hear(fact, fact.get("fund") or entry["fund"])

    def may_hold(self, command: Record) -> bool:
        """Whether a command that has no answer yet came with what may be theirs, and is under none of `subjects`."""
        headers, fund = dict(command.headers), (command.key or b"").decode("utf-8", "replace")
        subject = subject_of(headers.get(CONTACT) or b"").decode("utf-8", "replace")
        if not subject or subject in self.subjects or self._fund not in (None, fund):
            return False
        return headers.get("ce_type") == _THANKED or (self._person is not None and fund not in self._funds)

    def _meet(self, fund: str) -> None:
        if fund in self._funds:
            return
        self._funds.add(fund)
        if self._person is not None:
            for people in self._people:
                self.subjects |= {people.pseudonym(role, fund, self._person): None for role in ROLES}

    def _hear(self, fact: dict[str, Any], fund: str) -> None:
        if self._fund not in (None, fund):
            return
        if fact["fact"] == "case_submitted" and fact["beneficiary"] in self.subjects:
            self._cases.add((fund, fact["case"]))
        if fact["fact"] == "case_thanked" and (fund, fact["case"]) in self._cases and fact["thanks"] not in PHRASES:
            self.subjects[fact["thanks"]] = None


def sought(who: str, settings: Settings, fund: str | None = None) -> Sought:
    """What is looked for.

    Args:
        who: an address, which has a colon, or a word for somebody, which has none.
        settings: by which schemes people are reached, and where the pseudonym key lies.
        fund: where alone.

    Raises:
        UsageError: if the address reaches nobody for certain. It is not repeated.
        KeyMissing: if it is an address, and the pseudonym key isn't here.
    """
    if ":" not in who:
        return Sought([who], None, [], fund)
    try:
        person = recipient_of(who, settings.recipients.split(",")).person
    except NoRecipient as nobody:
        raise UsageError(f"the address {nobody.message}") from None
    return Sought([], person, [People(key) for key in keys.pseudonym_keys(settings).values()], fund)


async def find(bootstrap: str, looked_for: Sought) -> tuple[list[bytes], int]:
    """The subjects on the contacts topic that may be somebody's, once the ledger is read to its end of now; and of how many commands
    that stood there without an answer nobody can tell whether what came with them is theirs.

    Raises:
        KafkaUnreachable, TopicsMismatch, TopicUnreadable: if it can't be.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + ANSWERED_WITHIN_SECONDS
    async with TopicReader(bootstrap) as reader:
        ends = {number: extent.end for number, extent in (await reader.extents(COMMANDS)).items()}
        read: dict[int, int] = {}
        answered: dict[int, int] = {}
        while True:
            last: dict[int, bytes] = {}
            extents = await reader.extents(LEDGER)
            new = {n: extent._replace(begin=read.get(n, extent.begin)) for n, extent in extents.items()}
            read = {number: extent.end for number, extent in extents.items()}
            async for record in reader.records(LEDGER, new):
                looked_for.take(record)
                last[record.partition] = record.value or b""
            answered |= {number: _answered(entry) for number, entry in last.items()}
            undecided = await _undecided(reader, looked_for, answered, ends)
            if not undecided or clock() > deadline:
                return [subject.encode() for subject in looked_for.subjects], undecided
            await asyncio.sleep(_LOOK_EVERY_SECONDS)


def _answered(entry: bytes) -> int:
    """The offset of the last command whose answer is whole, by the last entry of its partition; -1 if that is none, as audit says."""
    try:
        told = msgspec.json.decode(entry)
        return int(told["cause"]["offset"]) - bool(told.get("more"))
    except (msgspec.MsgspecError, AttributeError, KeyError, TypeError, ValueError):
        return -1


async def _undecided(
    reader: TopicReader, looked_for: Sought, answered: Mapping[int, int], ends: Mapping[int, int]
) -> int:
    extents = await reader.extents(COMMANDS)
    left = {n: Extent(min(max(answered.get(n, -1) + 1, extents[n].begin), end), end) for n, end in ends.items()}
    return sum([looked_for.may_hold(command) async for command in reader.records(COMMANDS, left)])

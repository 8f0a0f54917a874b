"""Who is to be forgotten: the words on the contacts topic that belong to an address, or to a word for somebody.

An address has a word in each fund and role, so in every fund that the ledger speaks of; they are made as intake makes them, under
each pseudonym key that there is: a fund has words of one key, and words made with other keys are nobody's. The texts of thanks
for a beneficiary's cases belong to their word; the ids are in the ledger. The ledger itself stays: it holds words and sums, and
without the contact nothing leads from a word to anybody.

What an event brought that the ledger doesn't answer yet, or can't, is pending on the contacts topic and names the event's fund, and
its case. So it is found without the command, which may be unreadable, hidden by a transaction, or never published. Only whose words of
thanks are for a case that the ledger doesn't speak of, nobody can tell: a matcher that is about to answer is waited for, and what it
leaves is counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from schemas.values import PHRASES
from services import keys
from services.bus.consume.scan import TopicReader
from services.bus.contacts import Contacts, event_of, subject_of
from services.bus.envelope import Record
from services.bus.replacing import Latest
from services.bus.topics import LEDGER
from services.errors import UsageError
from services.intake.ids import People
from services.intake.recipients import NoRecipient, recipient_of
from services.settings import Settings

ROLES: Final = ("beneficiary", "donor", "voucher")
ANSWERED_WITHIN_SECONDS: Final = 5.0
"""How long answers are waited for that say whose words of thanks are."""
_LOOK_EVERY_SECONDS = 0.2
_TOLD: Final = (b'"case_submitted"', b'"case_thanked"')
_TEXT: Final = b'"sealed_text"'


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
        self._cases: dict[tuple[str, str], str] = {}  # by fund and id, for whom
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

    def may_be_theirs(self, key: bytes, latest: Latest) -> bool:
        """Take in what counts under a key of the contacts topic; whether nobody can tell if it is theirs, of what is pending."""
        subject = subject_of(key)
        if key == subject or latest.value is None:
            return False
        fund, about = event_of(latest.headers)
        if not fund or self._fund not in (None, fund):
            return False
        self._meet(fund)
        if _TEXT not in latest.value:
            return False  # its subject is a person's word, and one of ours or not
        if self._cases.get((fund, about)) in self.subjects:
            self.subjects[subject.decode("utf-8", "replace")] = None
        return (fund, about) not in self._cases

    def _meet(self, fund: str) -> None:
        if fund in self._funds:
            return
        self._funds.add(fund)
        if self._person is not None:
            for people in self._people:
                self.subjects |= {people.pseudonym(role, fund, self._person): None for role in ROLES}

    def _hear(self, fact: dict[str, Any], fund: str) -> None:
        if self._fund not in (None, fund) or fact["fact"] not in ("case_submitted", "case_thanked"):
            return
        if fact["fact"] == "case_submitted":
            self._cases[fund, fact["case"]] = fact["beneficiary"]
        elif fact["thanks"] not in PHRASES and self._cases.get((fund, fact["case"])) in self.subjects:
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


async def find(ledger: str, theirs: str, looked_for: Sought) -> tuple[list[bytes], int]:
    """The subjects on the contacts topic that may be somebody's, once both topics are read to their ends of now; and of how many texts
    that are pending there nobody can tell yet whether they are for theirs.

    Args:
        ledger, theirs: where Kafka is for who may read the ledger, and for who may read contacts.

    Raises:
        KafkaUnreachable, TopicsMismatch, TopicUnreadable: if it can't be.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + ANSWERED_WITHIN_SECONDS
    async with TopicReader(ledger) as reader, Contacts(theirs, "pumasi-keys") as contacts:
        read: dict[int, int] = {}
        while True:
            await contacts.read_on()  # before the ledger, which says whose it is
            extents = await reader.extents(LEDGER)
            new = {n: extent._replace(begin=read.get(n, extent.begin)) for n, extent in extents.items()}
            read = {number: extent.end for number, extent in extents.items()}
            async for record in reader.records(LEDGER, new):
                looked_for.take(record)
            undecided = [key for key, one in contacts.latest.items() if looked_for.may_be_theirs(key, one)]
            if not undecided or clock() > deadline:
                return [subject.encode() for subject in looked_for.subjects], len(undecided)
            await asyncio.sleep(_LOOK_EVERY_SECONDS)

"""Who is to be forgotten: the words on the contacts topic that belong to an address, or to a word for somebody.

An address has a word in each fund and role, so in every fund that the ledger speaks of; they are made as intake makes them, under
each pseudonym key that there is: a fund has words of one key, and words made with other keys are nobody's. The texts of thanks
for a beneficiary's cases belong to their word; the ids are in the ledger. The ledger itself stays: it holds words and sums, and
without the contact nothing leads from a word to anybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from schemas.values import PHRASES
from services import keys
from services.bus.consume.scan import Progress, TopicReader
from services.bus.envelope import Record
from services.bus.topics import LEDGER
from services.errors import UsageError
from services.intake.ids import People
from services.intake.recipients import NoRecipient, recipient_of
from services.settings import Settings

ROLES: Final = ("beneficiary", "donor", "voucher")
_TOLD: Final = (b'"case_submitted"', b'"case_thanked"')


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


async def find(bootstrap: str, looked_for: Sought, progress: Progress | None = None) -> list[bytes]:
    """The subjects on the contacts topic that may be somebody's, once the ledger is read to its end of now.

    Raises:
        KafkaUnreachable, TopicsMismatch, TopicUnreadable: if it can't be.
    """
    async with TopicReader(bootstrap) as reader:
        async for record in reader.records(LEDGER, progress=progress):
            looked_for.take(record)
    return [subject.encode() for subject in looked_for.subjects]

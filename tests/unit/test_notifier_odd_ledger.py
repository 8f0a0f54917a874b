"""A ledger whose chain holds and whose facts can't be: nobody is told anything of it. What a reader can't know is shown, too."""

import json
from typing import Any

import pytest

from schemas.ledger import GENESIS, entries
from schemas.notices import Tidings
from services.bus.envelope import Record
from services.bus.topics import LEDGER
from services.errors import LedgerTampered
from services.notifier.ledger import Reading
from tests.broker.told_ledger import Facts, delivered, opening, paid, pledged
from tests.records import CommandRecord


class Chained:
    """Entries as whoever may write the ledger makes them, whatever they say, and a notifier that reads them."""

    def __init__(self) -> None:
        self.reading, self.seq, self.hash = Reading(0), 0, GENESIS

    def record(self, facts: Facts) -> Record:
        """The next entry's record."""
        cause = {"id": f"e-{self.seq}", "type": "pumasi.pledge.made", "offset": self.seq}
        ((seq, value, digest),) = entries(self.seq + 1, self.hash, "jilin", "2026-11-22T10:00:00Z", cause, facts)
        self.seq, self.hash = seq, digest
        return CommandRecord(LEDGER, 0, seq - 1, b"jilin", value, ())

    def say(self, *facts: Facts) -> list[Tidings]:
        return [one for said in facts for one in self.reading.take(self.record(said))]


def awarded(amount: Any, award: str = "p-1/2", case: str = "c-1", rank: str = "asap") -> dict[str, Any]:
    why = {"class": rank, "key": 0, "before": 0, "after": 1, "claim": 1}
    return {"fact": "awarded", "award": award, "pledge": "p-1", "case": case, "amount": amount, "why": why}


def released(amount: Any) -> Facts:
    return [{"fact": "released", "pledge": "p-1", "amount": amount}]


ODD: dict[str, Facts] = {
    "a case's name twice: another beneficiary": opening("jilin", 1000)[1:2],
    "a pledge's name twice: another donor": [{**pledged(1)[0], "donor": "d-9"}],
    "more delivered than paid": delivered(301),
    "more delivered than paid, of a case without awards": [{**delivered(1)[0], "case": "c-0"}],
    "more matched than asked": pledged(3, 900),
    "more matched than pledged": [awarded(201)],
    "more paid than matched": [{"fact": "award_settled", "award": "p-1/1", "amount": 1}],
    "more released than waits": released(201),
    "less than nothing released": released(-5),
    "less than nothing matched": [awarded(-5)],
    "a part of a unit": released(1.5),
    "an amount that is a text": released("5"),
    "a class that is none": [awarded(5, rank="at-once")],
    "an award of a case that isn't there": [awarded(5, case="c-9")],
    "an award out of turn": [awarded(5, award="p-1/7")],
    "a donor who is no word": [{**pledged(4, 50)[0], "donor": "Kim Cholsu"}, {**pledged(4, 50)[1]}],
    "a donor who is a number": [{**pledged(4, 50)[0], "donor": "13800138000"}, {**pledged(4, 50)[1]}],
}  # fmt: skip


@pytest.mark.parametrize("what", ODD)
def test_facts_that_cant_be_are_told_to_nobody_and_are_an_alarm(what: str) -> None:
    ledger = Chained()
    pledge, award = pledged(1, 300)
    quiet = [{**fact, "case": "c-0"} for fact in opening("jilin", 1000)[1:]]
    assert ledger.say(opening("jilin", 1000), quiet, [{**pledge, "amount": 500, "face": 500}, award], paid(1, 300))
    with pytest.raises(LedgerTampered) as alarm:
        ledger.say(ODD[what])
    assert "its facts do not fit what came before" in alarm.value.message
    assert "Kim" not in alarm.value.message


def test_what_is_forged_well_is_told_once_and_shows_with_the_matchers_next_entry() -> None:
    """Who has the matcher's rights can say anything: only the audit, which decides again, knows that nobody sent a command for it."""
    ledger = Chained()
    ledger.say(opening("jilin", 1000), pledged(1, 300))
    forged = json.loads(json.dumps(paid(1, 300)))
    true = ledger.seq, ledger.hash
    assert [one.kind for one in ledger.say(forged)] == ["settled"]
    ledger.seq, ledger.hash = true  # where the matcher stands
    with pytest.raises(LedgerTampered, match="it has number 3"):
        ledger.say(pledged(2, 100))
    assert ledger.reading.seq == 3

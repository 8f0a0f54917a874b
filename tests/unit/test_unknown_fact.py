"""A fact or a rule that this version doesn't know is said by every reader of the ledger, and stops it there: never a default."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from schemas.facts import FACTS
from schemas.ledger import GENESIS, entries
from services.console.readmodel.model import ReadModel
from services.console.readmodel.reading import PartitionRead, hold
from services.errors import LedgerTampered, UnknownFact, UnknownRule
from services.intake.progress import Progress
from services.intake.receipts import Place
from services.matcher.ledger.replay import Replay
from services.notifier.ledger import Reading
from services.notifier.standing import Standings
from services.policies.course import Course
from services.policies.season.driver import Driver
from services.readmodel import awards, fold
from services.stories.figures import Figures
from tests.records import CommandRecord

CONFIGURED = {
    "fact": "fund_configured", "fund": "jilin", "currency": "CNY", "rule": "urgency-waterfill/1", "share": 10000,
    "weights": "equal", "ageing_days": 7, "deadline_hours": 72, "vouchers_required": 1,
}  # fmt: skip
PLEDGED = {
    "fact": "pledge_accepted", "pledge": "p-1", "donor": "d", "amount": 5, "face": 5, "currency": "CNY", "rate": "1",
}  # fmt: skip
OTHER_FACT = {"fact": "no_such_fact", "pledge": "p-1", "amount": 5}
OTHER_RULE = {**CONFIGURED, "rule": "no-such-rule/1"}
AT = "2026-11-22T10:00:00Z"
PARTITION = 3
OLDER = "this version is older than the ledger; upgrade"
FACT_SAID = f"ledger partition 3, entry 3: the fact no_such_fact is unknown: {OLDER}"
RULE_SAID = f"ledger partition 3, entry 3: the rule no-such-rule/1 is unknown: {OLDER}"


def ledger(*facts: dict[str, Any], kind: str = "pumasi.pledge.made") -> list[CommandRecord]:
    """An entry for each fact, rightly linked."""
    records, last = [], GENESIS
    for offset, fact in enumerate(facts):
        cause = {"id": "e", "type": kind, "offset": offset}
        [(_, value, last)] = entries(offset + 1, last, "jilin", AT, cause, [fact])
        records.append(CommandRecord("ledger", PARTITION, offset, None, value, ()))
    return records


def test_the_index_has_every_fact_of_the_contract() -> None:
    assert fold.FOLD.keys() == awards.FOLD.keys() == FACTS.keys()


@pytest.mark.parametrize("reader", [Figures, Course, Driver, Standings, ReadModel])
def test_no_reader_has_an_index_or_a_way_of_its_own(reader: type[fold.Fold[Any]]) -> None:
    assert any(reader.INDEX is index for index in (fold.FOLD, awards.FOLD))
    assert reader.feed_facts is fold.Fold.feed_facts


def test_the_matcher_reads_no_ledger_back_that_says_what_it_does_not_know() -> None:
    replay, records = Replay(PARTITION), ledger(CONFIGURED, OTHER_FACT)
    replay.feed(records[0].value)
    with pytest.raises(LedgerTampered):
        replay.feed(records[1].value)


@pytest.mark.parametrize("name", ["Kim Cholsu", "x" * 50, 7, None, ""])
def test_a_name_that_is_none_is_not_told(name: object) -> None:
    with pytest.raises(UnknownFact) as raised:
        Figures().feed(3, {"seq": 3, "fund": "jilin", "facts": [{"fact": name}]})
    assert raised.value.message == f"ledger partition 3, entry 3: the fact is unknown: {OLDER}"


class TestReceipts:
    def test_none_of_its_partition_is_told_any_more_and_it_is_an_alarm(self, caplog: pytest.LogCaptureFixture) -> None:
        progress = Progress()
        for record in ledger(CONFIGURED, PLEDGED, OTHER_FACT, PLEDGED):
            progress.fold(record)
        for offset in range(6):
            with pytest.raises(UnknownFact) as raised:
                progress.tell(Place(PARTITION, offset))
            assert raised.value.message == FACT_SAID
        assert progress.tell(Place(0, 1)) == {"state": "accepted"}
        assert [record.levelname for record in caplog.records] == ["CRITICAL"]
        assert FACT_SAID in caplog.text

    def test_what_is_decided_and_refused_is_followed_for_repeats(self) -> None:
        progress = Progress()
        refused = {"fact": "rejected", "code": "unknown_fund", "detail": "no fund x"}
        for record in ledger(OTHER_FACT, PLEDGED, refused):
            progress.fold(record)
        assert progress.decision(Place(PARTITION, 1)) is None
        assert [progress.is_refused(Place(PARTITION, offset)) for offset in range(3)] == [False, False, True]

    def test_no_receipt_depends_on_the_rule(self) -> None:
        progress = Progress()
        for record in ledger(OTHER_RULE, PLEDGED):
            progress.fold(record)
        assert progress.tell(Place(PARTITION, 1))["progress"]["waiting"] == 5


READERS = [(OTHER_FACT, UnknownFact, "unknown_fact", FACT_SAID), (OTHER_RULE, UnknownRule, "unknown_rule", RULE_SAID)]


@pytest.mark.parametrize(("fact", "error", "code", "said"), READERS, ids=["fact", "rule"])
class TestReaders:
    def test_nobody_is_told_and_the_notifier_stops_as_at_a_tampered_ledger(
        self, fact: dict[str, Any], error: type[UnknownFact], code: str, said: str
    ) -> None:
        reading, records = Reading(PARTITION), ledger(CONFIGURED, PLEDGED, fact)
        for record in records[:2]:
            reading.take(record)
        with pytest.raises(error) as raised:
            reading.take(records[2])
        assert isinstance(raised.value, LedgerTampered)
        assert (raised.value.code, raised.value.message) == (code, said)

    def test_status_has_it_as_a_finding_and_explain_gives_no_answer(
        self, fact: dict[str, Any], error: type[UnknownFact], code: str, said: str
    ) -> None:
        chain, model = PartitionRead(PARTITION), ReadModel()
        for record in ledger(CONFIGURED, PLEDGED, fact, {**PLEDGED, "pledge": "p-2"}):
            chain.take(model, record.value)
        assert chain.finding == said
        assert "p-2" not in model.funds["jilin"].pledges
        with pytest.raises(error) as raised:
            hold({PARTITION: chain})
        assert (raised.value.code, raised.value.message) == (code, said)

    def test_simulate_ends(self, fact: dict[str, Any], error: type[UnknownFact], code: str, said: str) -> None:
        course = Course(0, 1)
        with pytest.raises(error) as raised:
            course.take(SimpleNamespace(offset=0), "jilin", 0, [CONFIGURED, fact])
        assert raised.value.code == code
        assert said.endswith(raised.value.message)


def test_the_demo_ends_with_it() -> None:
    figures = Figures()
    entry = {"seq": 3, "fund": "jilin", "at": AT, "cause": {"offset": 0}, "facts": [OTHER_FACT]}
    with pytest.raises(UnknownFact) as raised:
        figures.take(entry, PARTITION)
    assert raised.value.message == FACT_SAID

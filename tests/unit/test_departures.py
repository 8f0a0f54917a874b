"""Who has nothing open is told, and forgotten so many days later, by the ledger's time; whoever takes part again is not."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from schemas.notices import Tidings
from services.bus.envelope import COMMAND
from services.bus.topics import CONTACTS
from services.notifier import screen
from services.notifier.audience import Audience, Farewell
from services.notifier.languages import Languages
from services.notifier.phrases import sentence
from services.notifier.teller import Teller
from tests.broker.told_ledger import delivered, opening, paid, pledged
from tests.records import CommandRecord
from tests.telling import tell

Facts = list[dict[str, Any]]
ALL = {"~b", "~v", "~d"}
TEXT = "~" + "t" * 26


class Fund:
    """Entries, each on a day of May 2026; what comes of them that is about forgetting."""

    def __init__(self, days: int) -> None:
        self.audience, self.seq, self.days = Audience(0), 0, days
        self.entries: list[dict[str, Any]] = []

    def __call__(self, day: int, facts: Facts, fund: str | None = "jilin", silent: bool = False) -> dict[str, str]:
        """Who is told what, of those who are forgotten soon or now."""
        self.seq += 1
        told = json.loads(json.dumps(facts).replace('"b-1"', '"~b"').replace('"v-1"', '"~v"').replace('"d-1"', '"~d"'))
        for fact in told:
            if fact["fact"] == "fund_configured":
                fact["forget_after_days"] = self.days
        at, cause = f"2026-05-{day:02}T10:00:00Z", {"offset": self.seq}
        entry = {"seq": self.seq, "fund": fund, "at": at, "cause": cause, "facts": told}
        self.entries.append(entry)
        self.tidings = [one for one in self.audience.hear(entry, silent) if one.kind in ("forgetting", "forgotten")]
        return {one.to: one.kind for one in self.tidings}

    def tick(self, day: int, silent: bool = False) -> dict[str, str]:
        return self(day, [], None, silent)


def all_over(days: int) -> Fund:
    """A case that was paid, delivered and closed on the 1st, by one pledge."""
    fund = Fund(days)
    for facts in (opening("jilin", 100), pledged(1), paid(1), delivered(100)):
        assert fund(1, facts) == {}
    assert fund(1, [{"fact": "case_closed", "case": "c-1", "outcome": "completed"}]) == {}
    return fund


def test_all_are_told_three_days_before_and_forgotten_on_the_day() -> None:
    fund = all_over(10)
    assert fund.tick(7) == {}
    assert fund.tick(8) == dict.fromkeys(ALL, "forgetting")
    assert {one.forgotten_on.isoformat() for one in fund.tidings if one.forgotten_on} == {"2026-05-11T00:00:00+00:00"}
    assert {one.role: one.pledge or one.case for one in fund.tidings} == {
        "beneficiary": "c-1", "go-between": "c-1", "donor": "p-1"
    }  # fmt: skip
    assert fund.tick(10) == {}
    assert fund.tick(11) == dict.fromkeys(ALL, "forgotten")
    assert all(isinstance(one, Farewell) for one in fund.tidings)
    assert fund.tick(28) == {}


def test_nobody_is_forgotten_by_default_nor_by_a_word_that_a_sender_chose() -> None:
    assert all_over(0).tick(30) == {}
    fund = Fund(1)
    fund(1, pledged_and_withdrawn(7))  # its donor is d-7
    assert fund.tick(30) == {}


def pledged_and_withdrawn(number: int) -> Facts:
    return [
        *opening("jilin", 100), pledged(number)[0], {"fact": "pledge_withdrawn", "pledge": f"p-{number}"},
        {"fact": "released", "pledge": f"p-{number}", "amount": 100},
    ]  # fmt: skip


def test_who_was_told_late_still_has_the_days_between() -> None:
    fund = all_over(10)
    assert fund.tick(20) == dict.fromkeys(ALL, "forgetting")
    assert {one.forgotten_on.isoformat() for one in fund.tidings if one.forgotten_on} == {"2026-05-23T00:00:00+00:00"}
    assert fund.tick(22) == {}
    assert fund.tick(23) == dict.fromkeys(ALL, "forgotten")


def test_a_fund_that_forgets_the_next_day_tells_at_the_end() -> None:
    fund = Fund(1)
    for facts in (opening("jilin", 100), pledged(1), paid(1)):
        assert fund(1, facts) == {}
    assert fund(1, delivered(100)) == {"~d": "forgetting"}
    closed = [{"fact": "case_closed", "case": "c-1", "outcome": "completed"}]
    assert fund(1, closed) == dict.fromkeys(("~b", "~v"), "forgetting")
    assert fund.tick(2) == dict.fromkeys(ALL, "forgotten")


def test_who_has_something_open_is_not_forgotten() -> None:
    fund = Fund(10)
    fund(1, opening("jilin", 100))
    fund(1, pledged(1))
    fund(1, paid(1))
    assert fund.tick(30) == {}, "paid and not delivered"
    fund = all_over(10)
    assert set(fund(8, pledged_again())) == {"~b", "~v"}, "the donor pledges again"
    assert fund.tick(11) == dict.fromkeys(("~b", "~v"), "forgotten")
    assert fund(12, [{"fact": "pledge_withdrawn", "pledge": "p-9"}, released(9)]) == {}
    assert fund.tick(19) == {"~d": "forgetting"}


def test_who_was_told_and_takes_part_again_is_forgotten_later() -> None:
    fund = all_over(10)
    fund.tick(8)
    fund(9, pledged_again())
    assert set(fund.tick(11)) == {"~b", "~v"}
    fund(12, [{"fact": "pledge_withdrawn", "pledge": "p-9"}, released(9)])
    assert fund.tick(19) == {"~d": "forgetting"}
    assert fund.tick(22) == {"~d": "forgotten"}


def pledged_again() -> Facts:
    return [{**pledged(9)[0], "donor": "d-1"}, {"fact": "waiting", "pledge": "p-9", "amount": 100}]


def test_who_pledged_and_needs_to_pay_nothing_in_one_moment_is_forgotten_too() -> None:
    fund = Fund(10)
    fund(1, [*opening("jilin", 100), pledged(1)[0], released(1)])
    assert fund.tick(11) == {"~d": "forgetting"}


def released(number: int) -> dict[str, Any]:
    return {"fact": "released", "pledge": f"p-{number}", "amount": 100}


def test_instalments_to_come_keep_their_donor() -> None:
    monthly = {**pledged(1)[0], "recurrence": {"every": "P1M", "times": 2}}
    fund = Fund(3)
    fund(1, [*opening("jilin", 100), monthly, released(1)])
    assert fund.tick(20) == {}
    fund(20, [{**monthly, "fact": "pledge_instalment", "pledge": "p-1#2", "of": "p-1", "recurrence": None}])
    assert fund.tick(25) == {}
    fund(25, [{"fact": "released", "pledge": "p-1#2", "amount": 100}])
    assert fund.tick(28) == {"~d": "forgotten"}
    fund = Fund(3)
    fund(1, [*opening("jilin", 100), {**monthly, "recurrence": {"every": "P1M"}}, released(1)])
    assert fund(2, [{"fact": "pledge_withdrawn", "pledge": "p-1"}]) == {"~d": "forgetting"}
    assert fund.tick(5) == {"~d": "forgotten"}


def test_a_silent_replay_comes_to_the_same() -> None:
    fund = all_over(10)
    fund.tick(8)
    again = Audience(0)
    for entry in fund.entries:
        assert again.hear(entry, silent=True) == []
    fund.audience = again
    assert fund.tick(9) == {}
    assert fund.tick(11) == dict.fromkeys(ALL, "forgotten")


def test_with_the_last_notice_goes_the_contact_and_so_do_ones_own_words_of_thanks() -> None:
    fund = all_over(10)
    fund(1, [{"fact": "case_thanked", "case": "c-1", "thanks": text} for text in (TEXT, "blessing")])
    fund.tick(8)
    published: list[Any] = []

    async def publish(records: list[Any]) -> None:
        assert len({one.topic for one in records}) <= 1, "notices wait until what they say is gone is gone"
        published.extend(records)

    async def told(tidings: list[Tidings]) -> dict[bytes, int]:
        published.clear()
        reached = asyncio.Event()
        reached.set()
        kafka: Any = SimpleNamespace(in_reach=reached, partitions=lambda _topic: 4, publish=publish)
        await tell(Teller(kafka, None, screen.quiet(), Languages("en")), tidings)
        assert not any("texts" in str(one.value) for one in published)
        of_each = {key: [one.topic for one in published if one.key == key] for key in {one.key for one in published}}
        assert all(topics == sorted(topics) for topics in of_each.values()), "killed in between, all is done again"
        return {one.key: one.topic for one in published if one.value is None}

    assert asyncio.run(told(fund.tidings)) == {}, "they are only told so far"
    fund.tick(11)
    assert set(asyncio.run(told(fund.tidings))) == {b"~b", b"~v", b"~d", TEXT.encode()}


@pytest.mark.parametrize("came", [-1, 1])
def test_what_came_with_a_later_command_stays_however_late_the_last_notice_is(came: int) -> None:
    fund, languages = all_over(10), Languages("en")
    fund.tick(8)
    fund.tick(11)
    command = b"0-%d" % (fund.seq + came)
    languages.take(CommandRecord(CONTACTS, 0, 7, b"~d", b"{}", ((COMMAND, command),)))
    published: list[Any] = []

    async def publish(records: list[Any]) -> None:
        published.extend(records)

    async def told() -> None:
        reached = asyncio.Event()
        reached.set()
        kafka: Any = SimpleNamespace(in_reach=reached, partitions=lambda _topic: 4, publish=publish)
        await tell(Teller(kafka, None, screen.quiet(), languages), fund.tidings)

    asyncio.run(told())
    gone = {one.key: dict(one.headers)[COMMAND] for one in published if one.value is None}
    assert gone == dict.fromkeys({b"~b", b"~v", *([] if came > 0 else [b"~d"])}, b"0-%d" % fund.seq)


def test_the_day_is_said_in_each_language() -> None:
    fund = all_over(10)
    fund.tick(8)
    for language in ("en", "ko", "zh"):
        assert "2026-05-11" in sentence(fund.tidings[0], language)  # type: ignore[arg-type]

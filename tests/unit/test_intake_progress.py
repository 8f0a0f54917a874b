"""What receipts tell, held against the engine's own state over random seasons of commands."""

from dataclasses import dataclass, field

import pytest

from schemas.commands import Command
from schemas.ledger import GENESIS, entries
from schemas.times import text_of
from services.intake.progress import Progress
from services.intake.receipts import Place
from services.matcher.engine.engine import Engine
from tests.oracle.season import log


@dataclass
class Rec:
    """A record of the ledger."""

    value: bytes
    partition: int = 2
    offset: int = 0
    topic: str = "pumasi.ledger.v1"
    key: bytes | None = None
    headers: list = field(default_factory=list)


def played(seed: int) -> tuple[Progress, Engine, list[Command]]:
    progress, engine, seq, digest, commands = Progress(), Engine(), 0, GENESIS, log(seed)
    for command in commands:
        fund, at, facts = engine.execute(command)
        readable = isinstance(command, Command)
        cause = {"id": command.id if readable else None, "type": command.type, "offset": command.offset}
        for number, value, linked in entries(seq + 1, digest, fund, text_of(at), cause, facts):
            progress.fold(Rec(value))
            seq, digest = number, linked
    return progress, engine, [command for command in commands if isinstance(command, Command)]


@pytest.mark.parametrize("seed", range(12))
def test_receipts_tell_a_pledges_figures_and_a_cases_quarters(seed: int) -> None:
    progress, engine, commands = played(seed)
    cases = pledges = 0
    for command in commands:
        told = progress.tell(Place(2, command.offset))
        assert told["state"] in ("applied", "rejected")
        if told["state"] == "rejected" or told.get("code") == "duplicate":
            continue
        if command.type.startswith("pumasi.case."):
            case = engine.funds[command.data.fund].cases[command.data.case]
            sums = {"promised": case.awarded, "settled": case.settled, "delivered": case.delivered}
            assert told["progress"].pop("status") == case.status
            assert told["progress"].keys() == sums.keys()
            for name, percent in told["progress"].items():
                reached = [part for part in (25, 50, 75, 100) if sums[name] and sums[name] * 100 >= part * case.claim]
                assert percent == (reached[-1] if reached else 0)
            cases += 1
        elif hasattr(command.data, "pledge"):
            pledge = engine.funds[command.data.fund].pledges[command.data.pledge]
            figures = told["progress"]
            assert figures == {
                "amount": pledge.amount, "awarded": pledge.awarded + pledge.settled + pledge.delivered,
                "settled": pledge.settled + pledge.delivered, "waiting": pledge.waiting, "released": pledge.released,
            }  # fmt: skip
            assert figures["amount"] == figures["awarded"] + figures["waiting"] + figures["released"]
            pledges += 1
    assert cases + pledges


@pytest.mark.parametrize("code", ["exceeds_settled", "goal_below_delivered"])
def test_a_rejections_detail_tells_no_sums_of_a_case(code: str) -> None:
    progress, refused = Progress(), {"fact": "rejected", "code": code, "detail": "case c-1: 5 > settled 400 less 300"}
    cause = {"id": "e", "type": "pumasi.case.delivered", "offset": 0}
    for _, value, _ in entries(1, GENESIS, "x", "2026-11-22T10:00:00Z", cause, [refused]):
        progress.fold(Rec(value))
    told = progress.tell(Place(2, 0))
    assert (told["state"], told["code"]) == ("rejected", code)
    assert not any(character.isdigit() for character in told["detail"])


def test_a_rejection_is_told_with_its_code_and_a_duplicate_as_applied() -> None:
    facts = {0: [{"fact": "rejected", "code": "unknown_fund", "detail": "no fund x"}], 1: [{"fact": "duplicate"}]}
    progress = Progress()
    for offset, told in facts.items():
        cause = {"id": "e", "type": "pumasi.pledge.made", "offset": offset}
        for _, value, _ in entries(offset + 1, GENESIS, "x", "2026-11-22T10:00:00Z", cause, told):
            progress.fold(Rec(value))
    assert progress.tell(Place(2, 0)) == {"state": "rejected", "code": "unknown_fund", "detail": "no fund x"}
    assert progress.tell(Place(2, 1)) == {"state": "applied", "code": "duplicate"}
    assert progress.tell(Place(2, 2)) == {"state": "accepted"}
    assert progress.tell(Place(0, 0)) == {"state": "accepted"}
    assert [progress.is_refused(Place(2, offset)) for offset in range(3)] == [True, False, False]


async def test_a_decision_is_heard_of_with_the_last_entry_of_a_command() -> None:
    progress, here = Progress(), Place(2, 7)
    cause = {"id": "e", "type": "pumasi.pledge.made", "offset": here.offset}
    waits = progress.decision(here)
    assert waits is progress.decision(here)
    timers = [{"fact": "pledge_expired", "pledge": "p" * 60} for _ in range(9000)]
    refused = {"fact": "rejected", "code": "unknown_fund", "detail": "no fund x"}
    told = [value for _, value, _ in entries(1, GENESIS, "x", "2026-11-22T10:00:00Z", cause, [*timers, refused])]
    assert len(told) > 1
    for value in told:
        assert not waits.done()
        assert progress.tell(here) == {"state": "accepted"}
        progress.fold(Rec(value))
    assert waits.done()
    assert progress.decision(here) is None
    assert progress.is_refused(here)

"""A restart at any entry: what is rebuilt from the ledger's bytes goes on exactly as the engine that never stopped.

`test_against_oracle` replays plain facts; here they go the whole way, through entries, JSON and the chain of hashes.
"""

from hypothesis import example, given
from hypothesis import strategies as st

from schemas.commands import Command
from schemas.ledger import GENESIS, entries
from schemas.times import text_of
from services.matcher.engine.conservation import check_all
from services.matcher.engine.engine import Engine
from services.matcher.ledger.replay import Replay
from tests.oracle.season import DAY, UNREADABLE, Gesture, commands_of
from tests.properties.strategies import logs

POLICY = {"currency": "CNY", "vouchers_required": 0}
UNREADABLE_TICK = [
    Gesture(0, "fund.configured", {"fund": "f-1", **POLICY}),
    Gesture(40 * DAY, "fund.configured", {"fund": "f-2", **POLICY}),
    Gesture(0, UNREADABLE, {"type": "pumasi.clock.ticked"}),
    Gesture(-40 * DAY, "case.thanked", {"fund": "f-1", "case": "c-1", "thanks": "thank-you"}),
]
"""A tick that can't be read is no tick: it stands at the partition's latest time and moves no fund's."""


@example(UNREADABLE_TICK, 3)
@given(logs(), st.integers(0, 60))
def test_an_engine_rebuilt_from_the_ledger_goes_on_as_the_live_one(log: list[Gesture], cut: int) -> None:
    live, replay = Engine(), Replay(0)
    seq, digest = 1, GENESIS
    rebuilt = None
    for index, command in enumerate(commands_of(log)):
        if index == cut:
            replay.finish()
            rebuilt = replay.engine
        decision = live.execute(command)
        if rebuilt is not None:
            assert rebuilt.execute(command) == decision
            continue
        cause = {
            "id": command.id if isinstance(command, Command) else None,
            "type": command.type,
            "offset": command.offset,
        }
        for part in entries(seq, digest, decision.fund, text_of(decision.at), cause, decision.facts):
            number, value, digest = part
            replay.feed(value)
            seq = number + 1
    for fund in (rebuilt or replay.engine).funds.values():
        check_all(fund)


def test_an_answer_of_several_entries_is_one_answer() -> None:
    """Twenty years of daily instalments in one tick: more than 512 KiB of facts, folded as a whole."""
    log = commands_of(
        [
            Gesture(0, "fund.configured", {"fund": "f-1", **POLICY}),
            Gesture(0, "pledge.made", {"fund": "f-1", "pledge": "p-1", "donor": "d-1", "amount": 7, "currency": "CNY",
                                       "recurrence": {"every": "P1D"}}),
            Gesture(0, "case.submitted", {"fund": "f-1", "case": "c-1", "beneficiary": "b-1", "need": "test",
                                          "route": "home", "goal": 9999, "priority": "asap"}),
            Gesture(7300 * DAY, "clock.ticked", {}),
            Gesture(DAY, "case.closed", {"fund": "f-1", "case": "c-1"}),
        ]
    )  # fmt: skip
    live, replay = Engine(), Replay(0)
    seq, digest = 1, GENESIS
    for command in log[:-1]:
        decision = live.execute(command)
        cause = {"id": command.id, "type": command.type, "offset": command.offset}
        for part in entries(seq, digest, decision.fund, text_of(decision.at), cause, decision.facts):
            number, value, digest = part
            assert len(value) <= 512 * 1024
            replay.feed(value)
            seq = number + 1
    assert seq - 1 > len(log) - 1, "the tick was to need several entries"
    assert replay.engine.execute(log[-1]) == live.execute(log[-1])

"""The short cut of plain pledges (`matcher/plain.py`) changes nothing: every log decided with and without it."""

from __future__ import annotations

from hypothesis import given

from services.matcher.engine import engine as module
from services.matcher.engine.engine import Engine
from tests.oracle.season import Gesture, commands_of, log
from tests.properties.strategies import logs


@given(logs())
def test_every_log_is_decided_the_same_with_and_without_the_short_cut(gestures: list[Gesture]) -> None:
    fast, slow = Engine(), Engine(short_cut=False)
    for command in commands_of(gestures):
        assert fast.execute(command) == slow.execute(command)
        assert state(fast) == state(slow)


def test_whole_seasons_are_decided_the_same_and_many_pledges_take_the_short_cut(monkeypatch) -> None:
    taken = 0
    accept_plain = module.accept_plain

    def counted(fund, data):
        nonlocal taken
        facts = accept_plain(fund, data)
        taken += facts is not None
        return facts

    monkeypatch.setattr(module, "accept_plain", counted)
    for seed in range(250):
        fast, slow = Engine(), Engine(short_cut=False)
        for command in log(seed):
            assert fast.execute(command) == slow.execute(command), seed
        assert state(fast) == state(slow), seed
    assert taken > 80


def state(engine: Engine) -> list[object]:
    """All that a later command could see of an engine's cases, pledges and awards."""
    return [
        (
            fund.name, fund.now, fund.pledges_made, fund.awards_made,
            [
                (p.id, p.order, p.amount, p.waiting, p.awarded, p.paid_waiting, p.awards_made, p.accepted_at, p.lane,
                 [(a.id, a.order, a.amount, a.case.id) for a in p.awards])
                for p in fund.pledges.values()
            ],
            [(c.id, c.awarded, c.claim, c.rank, [a.order for a in c.awards]) for c in fund.cases.values()],
        )
        for fund in engine.funds.values()
    ]  # fmt: skip

"""Laws of the log itself, of engine and oracle alike: saying a thing twice changes nothing, and funds do not see one another."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.commands import TICK, Command, Unreadable
from services.matcher.engine.engine import Engine
from tests.oracle.oracle import Oracle
from tests.oracle.season import DAY, UNREADABLE, Gesture, commands_of
from tests.properties.strategies import logs

Maker = type[Engine] | type[Oracle]
of_both = pytest.mark.parametrize("make", [Engine, Oracle])


@of_both
@given(logs())
def test_every_command_said_twice_at_once_has_its_effect_once(make: Maker, log: list[Gesture]) -> None:
    once, twice = make(), make()
    for command in commands_of(log):
        first = once.execute(command)
        assert twice.execute(command) == first
        fund, at, facts = first
        assert twice.execute(command) == (fund, at, _repeat_of(command, facts))


def _repeat_of(command: Any, facts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the repeat of a command is answered: what was refused is refused again, what was done is a duplicate."""
    if isinstance(command, Unreadable) or command.ahead:
        return facts
    if command.type == TICK:
        return []
    return [facts[-1]] if facts[-1]["fact"] == "rejected" else [{"fact": "duplicate"}]


@of_both
@given(logs(), st.randoms(use_true_random=False))
def test_a_repeat_much_later_is_still_a_duplicate_and_moves_no_money(
    make: Maker, log: list[Gesture], random: Any
) -> None:
    """Identity outlives everything: what had a business id of its own is known for ever."""
    matcher = make()
    done = []
    for command in commands_of(log):
        _, _, facts = matcher.execute(command)
        if not isinstance(command, Unreadable) and facts and facts[-1]["fact"] not in ("rejected", "duplicate"):
            done.append(command)
    lasting = ("case.submitted", "case.vouched", "case.delivered", "case.thanked", "pledge.made", "payment.")
    for command in random.sample(done, len(done)):
        if command.type.removeprefix("pumasi.").startswith(lasting):
            assert matcher.execute(command)[2] == [{"fact": "duplicate"}], command


@of_both
@given(logs(), st.randoms(use_true_random=False))
def test_funds_are_independent_whatever_the_order_between_them(make: Maker, log: list[Gesture], random: Any) -> None:
    """Commands of different funds change places, ticks stay where they are: no fund's facts change."""
    commands = [c for c in commands_of(log) if not isinstance(c, Unreadable)]
    mixed: list[Any] = []
    stretch: dict[str, list[Any]] = defaultdict(list)
    for command in [*commands, None]:
        if command is not None and command.type != TICK:
            stretch[command.data.fund].append(command)
            continue
        while any(stretch.values()):
            mixed.append(stretch[random.choice([fund for fund, left in stretch.items() if left])].pop(0))
        mixed += [command] if command is not None else []
    assert _by_fund(make, mixed) == _by_fund(make, commands)


def _by_fund(make: Maker, commands: list[Any]) -> dict[str, list[Any]]:
    matcher = make()
    found = defaultdict(list)
    for command in commands:
        fund, at, facts = matcher.execute(command)
        for fact in facts:
            found[fact.get("fund", fund)].append((at if fund else "tick", fact))
    return found


@of_both
@given(logs())
def test_what_cannot_be_read_changes_nothing(make: Maker, log: list[Gesture]) -> None:
    """Unreadable records between commands leave every other entry as it would have been."""
    silent, spoken = make(), make()
    for command in commands_of([g for g in log if g.type != UNREADABLE]):
        spoken.execute(Unreadable("not JSON at byte 0", None, 0))
        assert spoken.execute(command) == silent.execute(command)


@of_both
@given(logs())
def test_what_a_clock_that_is_ahead_stamps_changes_nothing(make: Maker, log: list[Gesture]) -> None:
    """Every command and tick said ten years early, by another intake, leaves every other entry as it would have been."""
    silent, spoken = make(), make()
    for command in commands_of([g._replace(off=None) for g in log]):
        if not isinstance(command, Unreadable):
            ahead = Command(
                command.type, command.id, command.time + 3650 * DAY, command.data, command.offset, command.time
            )
            [refused] = spoken.execute(ahead)[2]
            assert refused["code"] == "clock_ahead"
        assert spoken.execute(command) == silent.execute(command)

"""Laws of the log itself: saying a thing twice changes nothing, and funds do not see one another."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.commands import TICK, Unreadable
from services.matcher.engine import Engine
from tests.oracle.season import UNREADABLE, Gesture, commands_of
from tests.properties.strategies import logs


@given(logs())
def test_every_command_said_twice_at_once_has_its_effect_once(log: list[Gesture]) -> None:
    once, twice = Engine(), Engine()
    for command in commands_of(log):
        first = once.execute(command)
        assert twice.execute(command) == first
        again = twice.execute(command)
        assert (again.fund, again.at) == (first.fund, first.at)
        assert again.facts == _repeat_of(command, first.facts)


def _repeat_of(command: Any, facts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the repeat of a command is answered: what was refused is refused again, what was done is a duplicate."""
    if isinstance(command, Unreadable):
        return facts
    if command.type == TICK:
        return []
    return [facts[-1]] if facts[-1]["fact"] == "rejected" else [{"fact": "duplicate"}]


@given(logs(), st.randoms(use_true_random=False))
def test_a_repeat_much_later_is_still_a_duplicate_and_moves_no_money(log: list[Gesture], random: Any) -> None:
    """Identity outlives everything: what had a business id of its own is known for ever."""
    engine = Engine()
    done = []
    for command in commands_of(log):
        facts = engine.execute(command).facts
        if not isinstance(command, Unreadable) and facts and facts[-1]["fact"] not in ("rejected", "duplicate"):
            done.append(command)
    lasting = ("case.submitted", "case.vouched", "case.delivered", "case.thanked", "pledge.made", "payment.")
    for command in random.sample(done, len(done)):
        if command.type.removeprefix("pumasi.").startswith(lasting):
            assert engine.execute(command).facts == [{"fact": "duplicate"}], command


@given(logs(), st.randoms(use_true_random=False))
def test_funds_are_independent_whatever_the_order_between_them(log: list[Gesture], random: Any) -> None:
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
    assert _by_fund(mixed) == _by_fund(commands)


def _by_fund(commands: list[Any]) -> dict[str, list[Any]]:
    engine = Engine()
    found = defaultdict(list)
    for command in commands:
        decision = engine.execute(command)
        for fact in decision.facts:
            found[fact.get("fund", decision.fund)].append((decision.at if decision.fund else "tick", fact))
    return found


@given(logs())
def test_what_cannot_be_read_changes_nothing(log: list[Gesture]) -> None:
    """Unreadable records between commands leave every other entry as it would have been."""
    silent = Engine()
    spoken = Engine()
    for command in commands_of([g for g in log if g.type != UNREADABLE]):
        spoken.execute(Unreadable("not JSON at byte 0", None, 0))
        assert spoken.execute(command) == silent.execute(command)

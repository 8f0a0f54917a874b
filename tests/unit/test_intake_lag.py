"""How long commands wait, as an intake sees it: known from what it follows anyhow, in little room."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from services.intake.lag import Lag
from services.intake.progress import Progress

CAME_MS = 1_800_000_000_000


def command(offset: int, after_seconds: float, partition: int = 0) -> Any:
    return SimpleNamespace(partition=partition, offset=offset, timestamp=CAME_MS + int(after_seconds * 1000))


def waits(lag: Lag, after_seconds: float) -> tuple[int, float] | None:
    return lag.oldest(CAME_MS + int(after_seconds * 1000))


def test_the_first_command_that_waits_is_known_by_its_partition_and_for_how_long() -> None:
    answered = {0: -1, 2: -1}
    lag = Lag(answered.__getitem__)
    assert waits(lag, 0) is None
    for number in range(10):
        lag.came(command(number, number * 10))
        lag.came(command(number, number * 10 + 5, partition=2))
    assert waits(lag, 100) == (0, 100)
    answered[0] = 5
    assert waits(lag, 100) == (2, 95)
    answered[2] = 9
    assert waits(lag, 100) == (0, 40)
    answered[0] = 9
    assert waits(lag, 100) is None


def test_what_was_answered_before_it_was_seen_does_not_wait() -> None:
    lag = Lag(lambda _partition: 7)
    lag.came(command(7, 0))
    assert waits(lag, 1000) is None
    lag.came(command(8, 5))
    assert waits(lag, 1000) == (0, 995)


def test_commands_of_a_day_take_no_more_room_than_its_seconds() -> None:
    lag = Lag(lambda _partition: -1)
    for number in range(100_000):
        lag.came(command(number, number / 1000))
    assert len(lag._came[0]) <= 101
    assert waits(lag, 100) == (0, 100)


def test_the_fold_of_the_ledger_says_how_far_answers_have_come() -> None:
    progress = Progress()
    assert progress.answered_to(1) == -1
    value = b'{"seq":1,"fund":null,"at":"2026-11-22T10:00:00Z","cause":{"id":"t","type":"pumasi.clock.ticked","offset":4},"facts":[]}'
    progress.fold(SimpleNamespace(partition=1, value=value))
    assert progress.answered_to(1) == 4

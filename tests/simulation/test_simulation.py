"""The matcher holds in two thousand simulated worlds; without a safeguard it doesn't, and the simulation says so."""

from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from tests.simulation.runs import Runs
from tests.simulation.variants import BY_NAME

FOUND = 501_325
"""A seed in which something was found that few others find."""
SEEDS_TWICE = range(60)
SEEDS_WITHOUT = range(600)
FOUND_SOON = (
    "no_fence+no_look", "as_if_not_appended", "memory_kept", "tail_unread", "watermark_not_advanced", "offsets_from_group", "no_retake",
    "transaction_per_entry", "letters_apart", "ends_as_aiokafka", "no_leftovers", "no_settling", "leftovers_aborted",
)  # fmt: skip
"""Safeguards whose loss shows within a few hundred seeds, most within a few dozen; `variants` knows more."""


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    with Runs() as runs:
        yield runs


def test_every_command_is_answered_once_whatever_goes_wrong(runs: Runs) -> None:
    held(runs, (*range(200), FOUND))


@pytest.mark.timeout(900)
def test_every_command_is_answered_once_in_two_thousand_worlds(runs: Runs) -> None:
    held(runs, range(200, 2000))


def held(runs: Runs, seeds: Sequence[int]) -> None:
    """Nothing is found in any of these worlds, and things went wrong in them."""
    faults = Counter[str]()
    for outcome in runs.worlds(seeds):
        assert outcome.kind is None, f"python -m tests.simulation {outcome.plan.seed} --story\n{outcome.finding}"
        faults += outcome.faults
    assert faults.total() > len(seeds), "worlds without faults prove little"


def test_one_seed_is_one_world(runs: Runs) -> None:
    """Whatever its process has run before."""
    once = {outcome.plan.seed: outcome.digest for outcome in runs.worlds(SEEDS_TWICE)}
    again = {outcome.plan.seed: outcome.digest for outcome in runs.worlds(reversed(SEEDS_TWICE))}
    assert again == once


@pytest.mark.parametrize("name", FOUND_SOON)
def test_a_safeguard_removed_is_missed(runs: Runs, name: str) -> None:
    assert any(outcome.kind in BY_NAME[name].shows for outcome in runs.worlds(SEEDS_WITHOUT, name)), BY_NAME[name]

"""The matcher holds in a hundred simulated worlds; without a safeguard it doesn't, and the simulation says so."""

import pytest

from tests.simulation.plan import plan_of
from tests.simulation.variants import BY_NAME
from tests.simulation.world import World

SEEDS = range(120)
FOUND_SOON = (
    "no_fence", "as_if_not_appended", "memory_kept", "tail_unread", "watermark_not_advanced", "offsets_from_group", "no_retake",
    "transaction_per_entry", "letters_apart", "ends_as_aiokafka",
)  # fmt: skip
"""Safeguards whose loss shows within a few dozen seeds; `variants` knows more."""


def test_every_command_is_answered_once_whatever_goes_wrong() -> None:
    faults = 0
    for seed in SEEDS:
        outcome = World(plan_of(seed)).run()
        assert outcome.kind is None, f"python -m tests.simulation {seed} --story\n{outcome.finding}"
        faults += outcome.faults.total()
    assert faults > len(SEEDS), "worlds without faults prove little"


def test_one_seed_is_one_world() -> None:
    for seed in (3, 8):
        assert World(plan_of(seed)).run().digest == World(plan_of(seed)).run().digest


@pytest.mark.parametrize("name", FOUND_SOON)
def test_a_safeguard_removed_is_missed(name: str) -> None:
    variant = BY_NAME[name]
    outcomes = (World(variant.plan(seed)).run(variant.change) for seed in range(120))
    assert any(outcome.kind in variant.shows for outcome in outcomes), variant

"""Whatever was once written to a topic, sent or kept as a checkpoint is read without an exception that nobody documented.

The inputs are the fuzzer's (`tests/fuzz/run.py`): seeds, and those it found on its way.
"""

import pytest

from tests.fuzz import seeds
from tests.fuzz.corpus import kept
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_every_kept_input_is_read(target: str) -> None:
    assert kept(target)
    for data in kept(target):
        TARGETS[target](data)


@pytest.mark.parametrize("target", TARGETS)
def test_every_seed_is_read(target: str) -> None:
    for data in seeds.of(target):
        TARGETS[target](data)

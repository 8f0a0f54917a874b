"""The protocol's model holds, and each safeguard that is removed is missed: every case, at a size of seconds.

`python -m tests.protocol.check` looks at larger worlds and tells how failures come about.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.protocol.cases import BY_NAME, CASES
from tests.protocol.check import NEEDED, Size, Spin, Verdict, missing

SMALL = Size(commands=2, faults=2)
SMALLER = Size(commands=2, faults=1)
"""For all but the protocol itself: one fault is enough for nearly every failure, and cycles take twenty times as long to look for."""

pytestmark = [pytest.mark.skipif(missing(), reason=NEEDED), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def asked(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Verdict]]]:
    """The cases that were selected, all under way, as many at a time as there are cores."""
    wanted = [item.callspec.params["name"] for item in request.session.items if item.path == request.path]
    small, smaller = Spin(SMALL, shortest=True), Spin(SMALLER, shortest=True)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        try:
            yield {
                name: pool.submit((small if name == "protocol" else smaller).check, BY_NAME[name]) for name in wanted
            }
        finally:
            small.stop()
            smaller.stop()


@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_spin_says_of_the_model_what_is_expected(asked: dict[str, Future[Verdict]], name: str) -> None:
    verdict = asked[name].result()
    assert verdict.expected, f"{verdict.case.means} SPIN says: {verdict.said}\n" + "\n".join(verdict.story)
    assert verdict.states > 0

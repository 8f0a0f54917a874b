"""Hashes filled in behind: the chain is the one that Python's own hash makes, whoever fills it in."""

import gc
import os
from hashlib import blake2b

import pytest

from services import native

pytestmark = pytest.mark.skipif(
    not native.in_use(), reason="nothing is compiled here: hashes are made where they are needed"
)


def test_links_are_nothing_to_the_collector_which_would_clear_them_under_the_thread() -> None:
    from services.native.chain import Links

    assert not gc.is_tracked(Links(bytes(32)))


def test_links_without_entries_hand_on_the_hash_before_them_through_forks_too() -> None:
    from services.native.chain import Links

    before = blake2b(b"before", digest_size=32).digest()
    first = Links(before)
    first.hand_over()
    second = Links(first)
    second.hand_over()
    third = Links(second)
    child = os.fork()
    if child == 0:  # the thread is not here; what it was handed is done by whoever asks
        os._exit(0 if third.hash() == second.hash() == before else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert third.hash() == second.hash() == first.hash() == before
    assert Links(third).hash() == before

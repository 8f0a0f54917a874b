"""A line of places is a heap, in C as in Python, also where a key is wider than C's numbers."""

from __future__ import annotations

import importlib.util
from heapq import heapify, heappop, heappush, heapreplace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.matcher.rules import key_heap

_PYTHON = importlib.util.spec_from_file_location(
    "places_in_python", Path(__file__).parents[2] / "services/matcher/rules/key_heap.py"
)
in_python: Any = importlib.util.module_from_spec(_PYTHON)
_PYTHON.loader.exec_module(in_python)

keys = st.one_of(st.integers(0, 9), st.integers(0, 2**63), st.integers(2**64 - 2, 2**64 + 2), st.integers(0, 2**90))
orders = st.one_of(st.integers(0, 9), st.integers(0, 2**32 - 1))
place = st.tuples(keys, orders)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("push"), place),
        st.tuples(st.just("push"), place),
        st.tuples(st.just("replace"), place),
        st.tuples(st.just("pop"), place),
        st.tuples(st.just("rebuild"), st.lists(place, max_size=9)),
    ),
    max_size=200,
)


@pytest.mark.parametrize("module", [key_heap, in_python])
@given(steps)
def test_the_top_is_always_the_least(module: Any, taken: list) -> None:
    line, heap = module.Places(), []
    for what, given_ in taken:
        if what == "rebuild":
            line.rebuild(given_)
            heap[:] = given_
            heapify(heap)
        elif what == "push":
            line.push(*given_)
            heappush(heap, given_)
        elif heap and what == "pop":
            line.pop()
            heappop(heap)
        elif heap:
            line.replace(*given_)
            heapreplace(heap, given_)
        assert len(line) == len(heap)
        assert line.order() == (heap[0][1] if heap else module.NOWHERE)
        if heap:
            assert line.is_at(heap[0][0])
            assert not line.is_at(heap[0][0] + 1)
            assert not line.is_at(heap[0][0] + 2**64)
            assert not line.is_at(-1)


@pytest.mark.parametrize("module", [key_heap, in_python])
def test_nobody_is_taken_from_an_empty_line(module: Any) -> None:
    line = module.Places()
    with pytest.raises(IndexError):
        line.pop()
    with pytest.raises(IndexError):
        line.replace(1, 1)

"""A line of places is a heap, in C as in Python."""

from __future__ import annotations

import gc
import importlib.util
import weakref
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

keys = st.one_of(st.integers(0, 9), st.integers(0, 2**63), st.integers(2**64 - 2, 2**64 + 2), st.integers(0, 2**96 - 1))
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
            line.rebuild((*place, place) for place in given_)
            heap[:] = given_
            heapify(heap)
        elif what == "push":
            line.push(*given_, given_)
            heappush(heap, given_)
        elif heap and what == "pop":
            line.pop()
            heappop(heap)
        elif heap:
            line.replace(*given_, given_)
            heapreplace(heap, given_)
        assert len(line) == len(heap)
        if heap:
            key, order = heap[0]
            assert line.first() == heap[0]
            assert line.is_at(key, order)
            assert not line.is_at(key + 1, order)
            assert not line.is_at(key, order + 1)
            assert not line.is_at(module.NOWHERE, order)


@pytest.mark.parametrize("module", [key_heap, in_python])
def test_nobody_is_taken_from_an_empty_line(module: Any) -> None:
    line = module.Places()
    with pytest.raises(IndexError):
        line.pop()
    with pytest.raises(IndexError):
        line.replace(1, 1, None)
    with pytest.raises(IndexError):
        line.first()


@pytest.mark.parametrize("module", [key_heap, in_python])
@pytest.mark.parametrize("place", [(-1, 0), (2**96, 0), (0, -1), (0, 2**32)])
def test_there_is_a_place_for_every_key_and_order_but_no_other(module: Any, place: tuple[int, int]) -> None:
    line = module.Places()
    with pytest.raises(OverflowError):
        line.push(*place, None)
    line.push(2**96 - 1, 2**32 - 1, None)
    with pytest.raises(OverflowError):
        line.replace(*place, None)
    assert line.is_at(2**96 - 1, 2**32 - 1)


@pytest.mark.parametrize("module", [key_heap, in_python])
def test_a_line_lets_go_of_whoever_stands_there_no_longer(module: Any) -> None:
    class Somebody:
        pass

    line, people = module.Places(), [Somebody() for _ in range(9)]
    for number, one in enumerate(people):
        line.push(number % 2, 1, one)
    line.replace(5, 5, people[0])
    line.pop()
    line.rebuild((key, 7, one) for key, one in enumerate(people[:4]))
    known = [weakref.ref(one) for one in people]
    del people, one
    gc.collect()
    assert [one() is None for one in known] == [False] * 4 + [True] * 5
    del line
    gc.collect()
    assert not any(one() for one in known)

import cython

from schemas.command cimport Command
from services.matcher.engine.engine cimport Engine
from services.matcher.ledger.draft cimport Draft


@cython.locals(place=Py_ssize_t, began_ns="long long", fund=str, kind=str, facts=list, sound=Command,
    verdict=str, verdicts=dict, of_kind=dict)
cpdef Py_ssize_t draft_answers(
    Engine engine, list records, Py_ssize_t start, Py_ssize_t end, int partitions, Draft draft, Py_ssize_t full, double over
) except -1

cpdef str _verdict(list facts)

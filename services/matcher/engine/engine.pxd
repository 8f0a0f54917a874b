import cython

from schemas.command cimport Command
from services.matcher.engine.conservation cimport check
from services.matcher.engine.fund cimport Fund
from services.matcher.engine.transition cimport Transition


cdef class Engine:
    cdef public dict funds, unconfigured
    cdef public long long clock, latest
    cdef list _timers
    cdef dict _announced
    cdef object __weakref__  # the tests see by it whether a memory is let go of

    cpdef tuple decide(self, command)

    @cython.locals(fund=Fund, name=str, kind=str, facts=list, time="long long", now="long long")
    cpdef tuple _answer(self, Command command)

    cpdef _decide(self, Transition transition, str kind, data)
    cpdef _close(self, Fund fund)
    cpdef announce(self, Fund fund)

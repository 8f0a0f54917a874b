import cython

from services.matcher.engine.conservation cimport check
from services.matcher.engine.fund cimport Fund
from services.matcher.engine.transition cimport Turn


cdef class Engine:
    cdef object __weakref__
    cdef public dict funds, unconfigured
    cdef public object clock, latest
    cdef list _timers
    cdef dict _announced

    @cython.locals(fund=Fund)
    cpdef execute(self, command)

    cpdef _decide(self, Turn turn, command)
    cpdef _close(self, Fund fund)
    cpdef announce(self, Fund fund)

import cython

from services.matcher.engine.fund cimport Fund
from services.matcher.engine.transition cimport Turn
from services.matcher.model.entities cimport Case, Pledge


@cython.locals(fund=Fund, known=Pledge)
cpdef receive(Turn turn, data)

@cython.locals(fund=Fund, known=Pledge)
cpdef fail(Turn turn, data)

@cython.locals(fund=Fund, case=Case)
cpdef deliver(Turn turn, data)

@cython.locals(case=Case)
cpdef close(Turn turn, data)

@cython.locals(case=Case)
cpdef vouch(Turn turn, data)

@cython.locals(fund=Fund, known=Pledge)
cpdef pledge(Turn turn, data)

cpdef dict _acceptance(Fund fund, data)
cpdef tuple valued(Fund fund, face, str currency)
cpdef Case _case(Fund fund, str case)
cpdef Pledge _pledge(Fund fund, str pledge)
cpdef _worth(Fund fund, Pledge pledge, face)
cpdef _tell_settled(Turn turn, Pledge pledge, paid)

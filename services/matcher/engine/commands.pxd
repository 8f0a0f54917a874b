import cython

from services.matcher.engine cimport facts
from services.matcher.engine.fund cimport Fund
from services.matcher.engine.transition cimport Transition
from services.matcher.model.entities cimport Case, Pledge


@cython.locals(fund=Fund, known=Pledge, payment=str)
cpdef receive(Transition transition, data)

@cython.locals(fund=Fund, known=Pledge)
cpdef fail(Transition transition, data)

@cython.locals(fund=Fund, case=Case)
cpdef deliver(Transition transition, data)

@cython.locals(case=Case)
cpdef close(Transition transition, data)

@cython.locals(case=Case)
cpdef vouch(Transition transition, data)

@cython.locals(fund=Fund, known=Pledge, made=Pledge, name=str, told=tuple)
cpdef pledge(Transition transition, data)

cpdef dict _terms(data)
@cython.locals(home=str)
cpdef tuple valued(Fund fund, face, str currency)
cpdef Case _case(Fund fund, str case)
cpdef Pledge _pledge(Fund fund, str pledge)
cpdef _worth(Fund fund, Pledge pledge, face)
cpdef _open(Transition transition, Case case)
cpdef _tell_settled(Transition transition, Pledge pledge, paid)
cpdef _not_closed(Case case)
cpdef _opened(Case case)
cpdef _not_ended(Pledge pledge)

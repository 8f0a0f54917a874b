import cython

from services.matcher.engine cimport facts
from services.matcher.engine.ageing cimport class_at
from services.matcher.engine.fund cimport Fund
from services.matcher.engine.transition cimport Transition
from services.matcher.model.entities cimport Case, Money, Pledge


@cython.locals(fund=Fund, known=Pledge, payment=str, face="long long", paid=Money, amount=Money, excess=Money)
cpdef receive(Transition transition, data)

@cython.locals(fund=Fund, known=Pledge)
cpdef fail(Transition transition, data)

@cython.locals(fund=Fund, case=Case, amount=Money)
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
@cython.locals(home=str)
cpdef Money _worth(Fund fund, Pledge pledge, Money face) except *
@cython.locals(rank=int)
cpdef _open(Transition transition, Case case)
cpdef _tell_settled(Transition transition, Pledge pledge, Money paid)
cpdef _not_closed(Case case)
cpdef _opened(Case case)
cpdef _not_ended(Pledge pledge)
